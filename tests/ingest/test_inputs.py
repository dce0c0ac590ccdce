"""What is not a readable file at all, and names that are legal but rare."""

import os

import numpy as np
import pytest

from tasks.ingest import Unreadable, describe, open_source


def refused(path):
    with pytest.raises(Unreadable) as error:
        open_source(path)
    assert "\n" not in str(error.value)
    assert describe(path)["problem"] == str(error.value)
    return str(error.value)


def test_an_empty_file(tmp_path):
    (tmp_path / "a.npy").touch()
    assert "empty (0 bytes)" in refused(tmp_path / "a.npy")


def test_a_folder_called_like_a_file(tmp_path):
    (tmp_path / "x.npy").mkdir()
    assert "is a folder" in refused(tmp_path / "x.npy")


def test_a_link_that_leads_back_to_itself(tmp_path):
    (tmp_path / "a.npy").symlink_to(tmp_path / "b.npy")
    (tmp_path / "b.npy").symlink_to(tmp_path / "a.npy")
    assert "leads back to itself" in refused(tmp_path / "a.npy")


def test_a_missing_file(tmp_path):
    assert "No such file" in refused(tmp_path / "a.npy")


def test_text_that_is_no_format(tmp_path):
    (tmp_path / "a.npy").write_text("hello, world")
    assert "begins with b'hello, w'" in refused(tmp_path / "a.npy")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    assert "not a regular file" in refused(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["two words.npy", "new\nline.npy", "Größe λ 波.npy", "-rf.npy", "'quote\".npy"])
def test_any_name_will_do(tmp_path, cube, name, read_all):
    np.save(tmp_path / name, cube)
    assert np.array_equal(read_all(open_source(tmp_path / name))[0], cube)
    (tmp_path / name).write_bytes(b"\x93NUMPY")
    refused(tmp_path / name)


def test_an_address_elsewhere_must_be_zarr():
    assert "expected a Zarr store" in refused("s3://bucket/cube.npy")
