"""Zarr version 2 and 3 as cubes."""

import numpy as np
import pytest
import xarray as xr
import zarr

from tasks.ingest import Unreadable, open_source


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dims", [("y", "x", "band"), ("band", "y", "x")])
def test_a_group_written_by_xarray(tmp_path, cube, version, dims, read_all):
    data = xr.DataArray(
        cube.transpose([("y", "x", "band").index(d) for d in dims]), dims=dims, attrs={"units": "W m-2 sr-1 um-1"}
    )
    scene = xr.Dataset({"radiance": data}, coords={"band": ("band", [0.4, 0.5, 0.7], {"units": "um"})})
    scene.to_zarr(tmp_path / "s.zarr", zarr_format=version, consolidated=False)
    source = open_source(tmp_path / "s.zarr")
    assert np.allclose(source.header.wavelength, [400, 500, 700])
    assert source.header.units == "W m-2 sr-1 um-1"
    assert np.array_equal(read_all(source)[0], cube)


@pytest.mark.parametrize("version", [2, 3])
def test_a_bare_array(tmp_path, cube, version, read_all):
    zarr.create_array(tmp_path / "a.zarr", data=cube, zarr_format=version)
    assert np.array_equal(read_all(open_source(tmp_path / "a.zarr"))[0], cube)


def test_scale_offset_and_fill_value_of_cf(tmp_path, cube, read_all):
    group = zarr.create_group(tmp_path / "s.zarr")
    array = group.create_array("data", data=cube.astype(np.int16))
    array.attrs.update({"scale_factor": 0.5, "add_offset": 10.0, "_FillValue": 3})
    values, valid = read_all(open_source(tmp_path / "s.zarr"))
    assert np.array_equal(valid, cube != 3)
    assert np.array_equal(values[valid], cube[valid] * 0.5 + 10)


def test_a_mask_beside_the_cube_is_used_and_keeps_the_values(tmp_path, cube, read_all):
    group = zarr.create_group(tmp_path / "s.zarr")
    group.create_array("cube", data=cube)
    group.create_array("valid", data=cube > 10)
    values, valid = read_all(open_source(tmp_path / "s.zarr"))
    assert np.array_equal(valid, cube > 10)
    assert np.array_equal(values, cube)


@pytest.mark.parametrize("arrays", [{}, {"flat": np.zeros((3, 3))}])
def test_a_group_without_a_cube_gets_one_sentence(tmp_path, arrays):
    group = zarr.create_group(tmp_path / "s.zarr")
    for name, values in arrays.items():
        group.create_array(name, data=values)
    with pytest.raises(Unreadable, match=r"no arrays|expected an array with three axes"):
        open_source(tmp_path / "s.zarr")
