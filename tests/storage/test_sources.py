"""Inputs are known by content; whoever comes through the server reads only below the allowed roots."""

import os

import pytest

from storage.errors import BadInputError
from storage.sources import confined, product_row, readable_path, resolve
from tests.storage.flowlike import TinyParams, tiny


@pytest.fixture
def roots(home, monkeypatch):
    """An inbox, and a secret beside it; this process was started by the server."""
    inbox, secret = home / "inbox", home / "secret"
    inbox.mkdir()
    secret.mkdir()
    (inbox / "in.bin").write_bytes(b"data")
    (secret / "key.txt").write_text("secret")
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "5e1f")
    return home


def test_what_lies_in_the_inbox_or_the_store_may_be_read(roots):
    (roots / "store").mkdir()
    (roots / "store" / "p.bin").write_bytes(b"x")
    for name in ("inbox/in.bin", "inbox", "inbox/../inbox/in.bin", "store/p.bin"):
        assert readable_path(str(roots / name)).exists()


@pytest.mark.parametrize(
    "name",
    ["secret/key.txt", "inbox/../secret/key.txt", "inbox/link.txt", "inbox/folder/key.txt", "inbox2", "/etc/passwd"],
)
def test_what_lies_elsewhere_may_not(roots, name):
    (roots / "inbox" / "link.txt").symlink_to(roots / "secret" / "key.txt")
    (roots / "inbox" / "folder").symlink_to(roots / "secret")
    (roots / "inbox2").mkdir()
    with pytest.raises(BadInputError, match="outside the allowed roots"):
        readable_path(str(roots / name))
    with pytest.raises(BadInputError, match="outside the allowed roots"):
        TinyParams(source=str(roots / name)) and tiny(TinyParams(source=str(roots / name)))


def test_a_relative_way_out_is_refused(roots, monkeypatch):
    monkeypatch.chdir(roots / "inbox")
    assert readable_path("in.bin")
    with pytest.raises(BadInputError, match="outside the allowed roots"):
        readable_path("../secret/key.txt")


def test_a_loop_of_links_is_one_sentence(roots):
    loop = roots / "inbox" / "loop"
    loop.symlink_to(loop)
    with pytest.raises(BadInputError, match=r"cannot be followed|there is no file"):
        readable_path(str(loop))


def test_roots_may_be_named(roots, monkeypatch):
    monkeypatch.setenv("NIGHTLOOM_ROOTS", os.pathsep.join([str(roots / "a"), str(roots / "secret")]))
    assert confined(roots / "secret" / "key.txt")
    with pytest.raises(BadInputError):
        confined(roots / "inbox" / "in.bin")


def test_a_person_s_own_run_has_that_person_s_rights(roots, monkeypatch):
    monkeypatch.delenv("PREFECT__FLOW_RUN_ID")
    assert readable_path(str(roots / "secret" / "key.txt"))


@pytest.mark.parametrize("name", ["none.bin", "\0", "a" * 5000, "s3://bucket/key", " "])
def test_what_is_not_there_is_one_sentence(home, monkeypatch, name):
    monkeypatch.chdir(home)
    with pytest.raises(BadInputError) as caught:
        resolve("source", [name])
    assert "\n" not in str(caught.value)


def test_content_decides(home, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1" * 5_000_000)
    b.write_bytes(b"1" * 5_000_000)
    one, two = resolve("source", [str(a)]), resolve("source", [str(b)])
    assert (one.digest, one.bytes) == (two.digest, 5_000_000)
    b.write_bytes(b"1" * 4_999_999 + b"2")
    assert resolve("source", [str(b)]).digest != one.digest


def test_a_folder_counts_with_the_names_inside_it(home, tmp_path):
    for name, inner in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name / "d").mkdir(parents=True)
        (tmp_path / name / "d" / inner).write_bytes(b"1")
    digests = [resolve("source", [str(tmp_path / n)]).digest for n in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_an_unreadable_file_is_one_sentence(home, tmp_path, monkeypatch):
    def refuse(*_args, **_kw):
        raise PermissionError(13, "Permission denied", str(tmp_path / "f"))

    (tmp_path / "f").write_bytes(b"1")
    monkeypatch.setattr("storage.sources.digest_files", refuse)
    with pytest.raises(BadInputError, match="cannot be read: Permission denied; check its rights"):
        resolve("source", [str(tmp_path / "f")])


def test_a_product_is_found_by_uri_id_or_beginning(database_url):
    product = tiny(TinyParams()).first("square")
    for name in (product.uri, product.uri + "/", product.id, product.id[:8]):
        assert product_row(name).id == product.id
        source = resolve("source", [name])
        assert (source.product_id, source.uri) == (product.id, product.uri)
    assert product_row(product.id[:3]) is None
    assert product_row("%") is None
    assert product_row("______") is None


def test_several_products_are_one_input(home):
    a, b = (tiny(TinyParams(n=n)).first("square") for n in (1, 2))
    both = resolve("source", [a.uri, b.id])
    assert both.product_id is None
    assert both.digest != resolve("source", [b.uri, a.uri]).digest
