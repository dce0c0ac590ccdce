"""Object stores: the row is the publication, scratch arrays go, bad moments are waited out, broken writes stay unseen."""

import errno

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from sqlalchemy import select

from storage import query, stores
from storage.areas import Area
from storage.database import session
from storage.errors import StoreError, TilesFailedError
from storage.product import Product
from storage.publish import verify
from storage.stores import exists, files, join, persistently, read_bytes, remove, write_bytes
from storage.tables import Run
from tests.storage.flowlike import TinyParams, fill, layout, tiny

BUCKET = "s3://night/store"


class MoodyFileSystem(MemoryFileSystem):
    """An object store in memory that answers badly when told to."""

    protocol = "moody"
    store: dict = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    failures: list = []  # noqa: RUF012

    @classmethod
    def _mood(cls, path):
        if cls.failures and cls.failures[0][0] in path:
            raise cls.failures.pop(0)[1]

    def pipe_file(self, path, value, **options):
        self._mood(path)
        super().pipe_file(path, value, **options)

    def cat_file(self, path, **options):
        self._mood(path)
        return super().cat_file(path, **options)


@pytest.fixture
def moody(monkeypatch):
    fsspec.register_implementation("moody", MoodyFileSystem, clobber=True)
    monkeypatch.setattr(stores, "FIRST_PAUSE", 0.001)
    MoodyFileSystem.store.clear()
    MoodyFileSystem.failures = []
    return MoodyFileSystem


@pytest.fixture(scope="session")
def s3_server():
    """An S3 of our own on loopback."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    if not system.exists("night"):
        system.mkdir("night")
    yield BUCKET
    if system.exists("night/store"):
        system.rm("night/store", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(params=["memory", "moody", "s3"])
def remote(request, home, monkeypatch):
    """The root of an object store that this test's runs use."""
    if request.param == "s3":
        root = request.getfixturevalue("s3")
    else:
        if request.param == "moody":
            request.getfixturevalue("moody")
        root = f"{request.param}://{home.parent.name}"
    monkeypatch.setenv("NIGHTLOOM_STORE", root)
    return root


def test_bytes_come_back_and_go(remote):
    uri = join(remote, "a", "b.txt")
    assert not exists(uri)
    write_bytes(uri, b"one")
    write_bytes(uri, b"second")
    assert read_bytes(uri) == b"second"
    assert list(files(join(remote, "a"))) == [("b.txt", 6)]
    remove(uri)
    remove(uri)
    assert not exists(uri)


def test_the_row_is_the_publication_and_scratch_goes(remote):
    summary = tiny(TinyParams())
    square = summary.first("square")
    assert square.uri.startswith(remote)
    assert square.uri.endswith("square.zarr")
    assert verify(square.uri) == []
    np.testing.assert_array_equal(Product(square.uri).read()[5, :3], [5000, 5001, 5002])
    top = {file.split("/")[0] for file, _ in files(square.uri.rsplit("/", 1)[0])}
    assert top == {"square.zarr", "note.txt"}
    assert tiny(TinyParams()).run == summary.run


def test_xarray_opens_what_was_published(remote):
    import xarray

    uri = tiny(TinyParams(n=2)).first("square").uri
    options = stores.REMOTE_OPTIONS
    opened = xarray.open_zarr(uri, storage_options=options)
    assert opened.cube.shape == (7, 8)
    assert float(opened.cube[6, 7]) == 6007


def test_a_failed_run_shows_nothing_and_is_taken_up(remote):
    def poison(tile, product):
        if tile.index == (3, 3):
            raise ValueError("poison")
        return fill(tile, product)

    with pytest.raises(TilesFailedError):
        tiny(TinyParams(), step=poison)
    assert query.products() == []
    done = []

    def counted(tile, product):
        done.append(tile.index)
        return fill(tile, product)

    counted.__name__ = "poison"
    assert verify(tiny(TinyParams(), step=counted).first("square").uri) == []
    assert done == [(3, 3)]


def test_a_crash_before_the_rows_shows_nothing(remote, monkeypatch):
    def crash(_):
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr("storage.runs.RecordedRun._commit_completed", crash)
        with pytest.raises(SystemExit):
            tiny(TinyParams())
    assert query.products() == []
    assert tiny(TinyParams()).reused == 16


def test_a_bad_moment_is_waited_out(home, moody, monkeypatch):
    monkeypatch.setenv("NIGHTLOOM_STORE", "moody://night")
    moody.failures = [
        ("cube/c/1", OSError("slow down")),
        ("cube/c/1", TimeoutError()),
        ("cube/c/2", ConnectionResetError()),
    ]
    assert verify(tiny(TinyParams()).first("square").uri) == []
    assert moody.failures == []


def test_a_store_that_fails_in_mid_write_leaves_nothing_visible(home, moody, monkeypatch):
    monkeypatch.setenv("NIGHTLOOM_STORE", "moody://night")
    moody.failures = [("square.zarr/cube/c/2/2", OSError(errno.EIO, "the store broke"))] * 100
    with pytest.raises(TilesFailedError, match=r"1 of 16 tiles failed for good \(2-2\)"):
        tiny(TinyParams())
    with session() as s:
        assert s.scalars(select(Run.status)).all() == ["failed"]
    assert query.products() == []
    moody.failures = []
    assert tiny(TinyParams()).reused == 15


def test_trying_again_has_an_end_and_grows_slower(moody, monkeypatch):
    pauses, calls = [], []
    monkeypatch.setattr("storage.stores.time.sleep", pauses.append)

    def broken():
        calls.append(1)
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        persistently("s3://x", broken)
    assert len(calls) == stores.TRIES
    assert pauses == [stores.FIRST_PAUSE * 2**i for i in range(stores.TRIES - 1)]


@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EACCES, "no"), FileNotFoundError(errno.ENOENT, "none"), OSError(errno.ENOSPC, "full")],
)
def test_what_lasts_is_not_tried_again(error):
    calls = []

    def broken():
        calls.append(1)
        raise error

    with pytest.raises(OSError, match=r"no|none|full"):
        persistently("s3://x", broken)
    assert len(calls) == 1


def test_a_local_disk_is_not_asked_twice():
    calls = []

    def broken():
        calls.append(1)
        raise OSError(errno.EIO, "bad sector")

    with pytest.raises(OSError, match="bad sector"):
        persistently("/tmp/x", broken)
    assert len(calls) == 1


def test_a_missing_bucket_is_one_sentence(s3):
    with pytest.raises(StoreError) as caught:
        Area("s3://no-such-bucket", "f", "k" * 32, 0).product("square", layout(1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_ends_in_one_sentence_and_shows_nothing(home, monkeypatch, number):
    """The store fails after some tiles; a later run, with room again, does only the rest."""
    import zarr.storage._local as local

    put, calls = local._put, []

    def full(path, *args, **kwargs):
        calls.append(path)
        if "square.zarr/cube/c/2" in str(path):
            raise OSError(number, "")
        return put(path, *args, **kwargs)

    with monkeypatch.context() as broken:
        broken.setattr(local, "_put", full)
        with pytest.raises(TilesFailedError, match="free space or check rights"):
            tiny(TinyParams())
    assert query.products() == []
    assert tiny(TinyParams()).reused == 12


def test_a_disk_that_fills_up_while_publishing_shows_nothing(home, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as broken:
        broken.setattr("storage.stores._sync", full)
        with pytest.raises(StoreError, match="No space left on device"):
            tiny(TinyParams())
    assert query.products() == []
    summary = tiny(TinyParams())
    assert summary.reused == 16
    assert verify(summary.first("square").uri) == []


def test_two_writers_of_one_file_leave_one_of_them_whole(tmp_path):
    target = str(tmp_path / "f.bin")
    for data in (b"a" * 10, b"b" * 5):
        write_bytes(target, data)
    assert read_bytes(target) == b"b" * 5
    assert [p.name for p in tmp_path.iterdir()] == ["f.bin"]
