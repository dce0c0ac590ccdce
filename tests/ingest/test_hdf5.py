"""HDF5 and NetCDF, new and classic, with the band axis anywhere."""

import h5py
import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

from tasks.ingest import Unreadable, open_source


@pytest.mark.parametrize("dims", [("y", "x", "band"), ("band", "y", "x"), ("lat", "wavelength", "lon")])
def test_named_axes_in_any_order(tmp_path, cube, dims, read_all):
    place = {"lat": "y", "lon": "x", "wavelength": "band"}
    axes = [("y", "x", "band").index(place.get(d, d)) for d in dims]
    spectral = dims[axes.index(2)]
    data = xr.DataArray(cube.transpose(axes), dims=dims, attrs={"units": "K"})
    scene = xr.Dataset({"radiance": data}, coords={spectral: (spectral, [0.7, 0.6, 0.5], {"units": "micrometers"})})
    scene.to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    source = open_source(tmp_path / "s.nc")
    assert (source.header.format, source.header.units) == ("netcdf", "K")
    assert np.allclose(source.header.wavelength, [700, 600, 500])
    assert any("descend" in n for n in source.header.notes)
    assert np.array_equal(read_all(source)[0], cube)


def test_packed_integers_with_a_fill_value(tmp_path, cube, read_all):
    cube[0, 0, 0] = np.nan
    scene = xr.Dataset({"data": (("y", "x", "band"), cube)})
    packing = {"dtype": "i2", "scale_factor": 0.25, "add_offset": 3.0, "_FillValue": -9}
    scene.to_netcdf(tmp_path / "s.nc", engine="h5netcdf", encoding={"data": packing})
    values, valid = read_all(open_source(tmp_path / "s.nc"))
    assert np.array_equal(valid, np.isfinite(cube))
    assert np.allclose(values[valid], cube[valid])


def test_unnamed_axes_are_told_by_the_wavelengths(tmp_path, cube, read_all):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["scan/cube"] = cube.transpose(2, 0, 1)
        file["scan/wavelengths"] = [400.0, 500.0, 600.0]
    source = open_source(tmp_path / "s.h5")
    assert np.allclose(source.header.wavelength, [400, 500, 600])
    assert np.array_equal(read_all(source)[0], cube)
    assert any("taken as nanometres" in n for n in source.header.notes)


def test_a_place_of_cf_is_kept(tmp_path, cube):
    from rasterio.crs import CRS

    scene = xr.Dataset(
        {"data": (("y", "x", "band"), cube, {"grid_mapping": "crs"}), "crs": ((), 0, {"crs_wkt": CRS.from_epsg(32616).to_wkt()})},
        coords={"y": ("y", 100.0 - 10 * np.arange(5), {"units": "m"}), "x": ("x", 7 + 10.0 * np.arange(4), {"units": "m"})},
    )  # fmt: skip
    scene.to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    header = open_source(tmp_path / "s.nc").header
    assert header.transform == (10, 0, 2, 0, -10, 105)
    assert "UTM zone 16N" in header.crs


def test_a_radio_cube_with_times_in_days(tmp_path, read_all):
    q = np.arange(4 * 3 * 2 * 2, dtype="f4").reshape(4, 3, 2, 2)
    scene = xr.Dataset(
        {"data": (("time", "freq", "dec", "ra"), q)},
        coords={"freq": ("freq", [1.3e9, 1.4e9, 1.5e9], {"units": "Hz"})},
    )
    scene["time"] = ("time", np.arange(4) / 86400, {"units": "days since 2020-01-01"})
    scene.to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    header = (source := open_source(tmp_path / "s.nc")).header
    assert header.kind == "radio_cube"
    assert np.allclose(header.freqs, [1300, 1400, 1500])
    assert np.allclose(header.time, [0, 1, 2, 3])
    assert np.array_equal(read_all(source)[0], q)


def test_the_classic_format(tmp_path, cube, read_all):
    with netcdf_file(tmp_path / "s.nc", "w") as file:
        for name, n in zip(("band", "y", "x"), (3, 5, 4), strict=True):
            file.createDimension(name, n)
        item = file.createVariable("radiance", "f4", ("band", "y", "x"))
        item[:] = cube.transpose(2, 0, 1)
        item.units = "W"
        bands = file.createVariable("band", "f8", ("band",))
        bands[:] = [400, 500, 600]
        bands.units = "nm"
    source = open_source(tmp_path / "s.nc")
    assert (source.header.units, list(source.header.wavelength)) == ("W", [400, 500, 600])
    assert np.array_equal(read_all(source)[0], cube)


def test_two_cubes_ask_for_a_name(tmp_path, cube, read_all):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["before"], file["after"] = cube, cube + 1
        file["before_mask"] = cube > 0
    with pytest.raises(Unreadable, match="found 2 cubes, after, before"):
        open_source(tmp_path / "s.h5")
    assert np.array_equal(read_all(open_source(tmp_path / "s.h5", "after"))[0], cube + 1)


def test_masks_and_uncertainties_are_no_second_cube(tmp_path, cube, read_all):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["radiance"], file["radiance_uncertainty"], file["flags"] = cube, cube * 0.1, (cube > 50).astype("u1")
    source = open_source(tmp_path / "s.h5")
    assert source.header.attrs["source_variable"] == "radiance"
    assert any("radiance_uncertainty" in n for n in source.header.notes)
    assert np.array_equal(read_all(source)[1], cube <= 50)


def test_links_are_not_followed(tmp_path, cube):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["cube"] = cube
        file["loop"] = h5py.SoftLink("/")
        file["away"] = h5py.ExternalLink("/etc/passwd", "/")
    assert open_source(tmp_path / "s.h5").header.shape == cube.shape


@pytest.mark.parametrize("arrays", [{}, {"flat": np.zeros((3, 3))}, {"cube": np.zeros((3, 3, 3), "c8")}])
def test_a_file_without_a_cube(tmp_path, arrays):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values
    with pytest.raises(Unreadable, match=r"expected an array with three axes|complex64"):
        open_source(tmp_path / "s.h5")


def test_a_truncated_file(tmp_path, cube):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["cube"] = cube
    (tmp_path / "s.h5").write_bytes((tmp_path / "s.h5").read_bytes()[:-100])
    with pytest.raises(Unreadable, match="truncated"):
        open_source(tmp_path / "s.h5")


def test_a_group_keeps_its_vectors_to_itself(tmp_path, cube, read_all):
    data = xr.DataArray(cube, dims=("y", "x", "band"), attrs={"grid_mapping": "crs"})
    place = {"crs_wkt": 'LOCAL_CS["here"]', "GeoTransform": "7 2 0 9 0 -3"}
    scene = xr.Dataset(
        {"radiance": data, "crs": ((), 0, place)}, coords={"band": ("band", [1.0, 2, 3], {"units": "um"})}
    )
    scene.to_netcdf(tmp_path / "s.nc", engine="h5netcdf", group="scan/one")
    source = open_source(tmp_path / "s.nc")
    assert source.header.attrs["source_variable"] == "scan/one/radiance"
    assert list(source.header.wavelength) == [1000, 2000, 3000]
    assert source.header.transform == (2, 0, 7, 0, -3, 9)
    assert np.array_equal(read_all(source)[0], cube)
