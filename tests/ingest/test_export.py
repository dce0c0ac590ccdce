"""Out and in again: values, wavelengths, mask and place come back."""

import numpy as np
import pytest
from rasterio.crs import CRS

from tasks.ingest import Unreadable, open_source
from tasks.ingest.export import FORMATS, blocks, export

NAMES = {"envi": "out.img", "netcdf": "out.nc", "geotiff": "out.tif", "fits": "out.fits"}


@pytest.fixture
def scene(write_envi, cube):
    cube[1, 2] = np.nan
    cube[3, 3, 0] = -9
    return write_envi(
        cube,
        wavelength="{500.25, 601, 777}",
        fwhm="{9, 10, 11.5}",
        bbl="{1, 0, 1}",
        data_ignore_value=-9,
        data_units="W m-2",
        map_info="{UTM, 1, 1, 500000, 4600000, 30, 20, 16, North, WGS-84}",
    )


@pytest.fixture
def radio(tmp_path):
    q = np.arange(6 * 3 * 4 * 5, dtype=np.int16).reshape(6, 3, 4, 5)
    mask = np.ones((6, 3), bool)
    mask[2, 1] = False
    np.savez(tmp_path / "r.npz", q=q, scale=0.5, mask=mask, freq_mhz=[1500.0, 1390, 1300], tsamp_s=0.125)
    return tmp_path / "r.npz"


def agree(first, second, read_all):
    (a, valid), (b, there) = read_all(first), read_all(second)
    (scale, offset), (again, shift) = first.header.kept_scale, second.header.kept_scale
    assert np.array_equal(valid, there)
    assert np.array_equal(a[valid] * scale + offset, b[valid] * again + shift)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("block", [1, 200, 1 << 25])
def test_a_spectral_cube_comes_back(scene, tmp_path, format, block, read_all, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
    first = open_source(scene)
    files = export(scene, tmp_path / NAMES[format])
    again = open_source(files[0])

    agree(first, again, read_all)
    assert again.header.format == {"geotiff": "geotiff"}.get(format, format)
    for name in ("wavelength", "fwhm", "bad_bands", "transform", "units"):
        assert np.array_equal(getattr(again.header, name), getattr(first.header, name)), name
    assert CRS.from_wkt(again.header.crs) == CRS.from_wkt(first.header.crs)
    bad = first.header.bad_bands
    wanted, kept = read_all(first)[0][..., bad], read_all(again)[0][..., bad]
    assert np.array_equal(kept[kept != 0], wanted[kept != 0])
    assert (kept != 0).sum() >= 18
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".part")]


@pytest.mark.parametrize("format", ["netcdf", "fits"])
def test_a_radio_cube_comes_back(radio, tmp_path, format, read_all):
    first = open_source(radio)
    again = open_source(export(radio, tmp_path / NAMES[format])[0])
    agree(first, again, read_all)
    assert again.header.kind == "radio_cube"
    assert np.allclose(again.header.freqs, first.header.freqs, rtol=1e-12)
    assert np.allclose(again.header.time, first.header.time)


def test_netcdf_keeps_the_small_type(radio, tmp_path):
    header = open_source(export(radio, tmp_path / "out.nc")[0]).header
    assert (header.dtype, header.kept_scale) == (np.int16, (0.5, 0.0))


@pytest.mark.parametrize("format", ["envi", "geotiff"])
def test_a_format_that_cannot_hold_it(radio, tmp_path, format):
    with pytest.raises(Unreadable, match="cannot hold a radio_cube; choose one of netcdf, fits"):
        export(radio, tmp_path / NAMES[format])


def test_an_unknown_ending_and_a_name_that_is_taken(scene, tmp_path):
    with pytest.raises(Unreadable, match=r"no format is known for 'out.doc'"):
        export(scene, tmp_path / "out.doc")
    with pytest.raises(Unreadable, match="is there already"):
        export(scene, scene)


def test_a_rotated_map_keeps_its_transform(write_envi, cube, tmp_path):
    path = write_envi(cube, map_info="{UTM, 1, 1, 500000, 4600000, 20, 30, 33, North, WGS-84, rotation=30}")
    wanted = open_source(path).header.transform
    for name in NAMES.values():
        assert np.allclose(open_source(export(path, tmp_path / name)[0]).header.transform, wanted), name
