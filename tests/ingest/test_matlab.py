"""MATLAB files of both kinds; what a plain `save` there writes."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from tasks.ingest import Unreadable, open_source


def save_new(path, arrays):
    """As MATLAB 7.3 does: HDF5 behind a header of 512 bytes, the axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file[name] = np.asarray(values).T
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


SAVE = {
    "5": lambda path, arrays: savemat(path, arrays),
    "5, compressed": lambda path, arrays: savemat(path, arrays, do_compression=True),
    "7.3": save_new,
}


@pytest.mark.parametrize("version", SAVE)
@pytest.mark.parametrize("dtype", ["f8", "f4", "u2", "i2", "u1"])
def test_a_cube_with_wavelengths(tmp_path, cube, version, dtype):
    SAVE[version](tmp_path / "s.mat", {"data": cube.astype(dtype), "wavelength": [[400.0, 500.0, 600.0]]})
    source = open_source(tmp_path / "s.mat")
    values, valid = source.read((slice(1, 4), slice(0, 2), slice(1, 3)))
    assert source.header.source_dtype == np.dtype(dtype)
    assert np.allclose(source.header.wavelength, [400, 500, 600])
    assert np.array_equal(values, cube[1:4, 0:2, 1:3])
    assert valid.all()


@pytest.mark.parametrize("version", SAVE)
def test_no_array_with_three_axes(tmp_path, version):
    SAVE[version](tmp_path / "s.mat", {"flat": np.zeros((4, 5))})
    with pytest.raises(Unreadable, match=r"found flat \(4, 5\); expected an array with three axes"):
        open_source(tmp_path / "s.mat")


@pytest.mark.parametrize("version", SAVE)
def test_two_candidates(tmp_path, cube, version):
    SAVE[version](tmp_path / "s.mat", {"a": cube, "b": cube})
    with pytest.raises(Unreadable, match="found 2 cubes, a, b"):
        open_source(tmp_path / "s.mat")
    assert open_source(tmp_path / "s.mat", "b").header.shape == cube.shape


@pytest.mark.parametrize("version", SAVE)
def test_complex_values(tmp_path, cube, version, read_all):
    SAVE[version](tmp_path / "s.mat", {"data": cube * 1j})
    with pytest.raises(Unreadable, match=r"complex|no array of real numbers"):
        read_all(open_source(tmp_path / "s.mat"))


def test_structures_and_text_are_no_cubes(tmp_path):
    savemat(tmp_path / "s.mat", {"scene": {"cube": np.zeros((2, 2, 2))}, "name": "x"})
    with pytest.raises(Unreadable, match="expected an array with three axes"):
        open_source(tmp_path / "s.mat")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_a_truncated_file(tmp_path, cube, keep, read_all):
    savemat(tmp_path / "s.mat", {"data": np.random.default_rng(0).normal(size=(9, 9, 9))}, do_compression=True)
    raw = (tmp_path / "s.mat").read_bytes()
    (tmp_path / "s.mat").write_bytes(raw[: int(keep * len(raw))])
    with pytest.raises((Unreadable, OSError, ValueError)):
        read_all(open_source(tmp_path / "s.mat"))
