"""From a file to a product that xarray opens with units, coordinates and mask."""

import numpy as np
import pytest
import xarray as xr

from storage import ingest as layouts
from storage.product import create
from tasks.array.tiling import tiles
from tasks.ingest import open_source
from tasks.ingest.header import Header
from tasks.ingest.steps import copy_cube, copy_tile


@pytest.fixture
def ingested(tmp_path):
    """Copy a source into a bare product, in this process; return the product and its survey."""

    def copy(path, tile=256):
        source = open_source(path)
        product = create(str(tmp_path / "out.zarr"), getattr(layouts, source.header.kind)(source.header, tile))
        return product, copy_cube.fn(source, product)

    return copy


@pytest.mark.parametrize("tile", [1, 2, 3, 256])
def test_the_product_does_not_depend_on_the_tile(write_envi, cube, ingested, tile):
    path = write_envi(cube.astype("i2"), interleave="bil", data_ignore_value=5, bbl="{1, 0, 1}")
    product, survey = ingested(path, tile)
    valid = (cube != 5) & np.array([True, False, True])
    assert np.array_equal(product.read(), np.where(cube != 5, cube, 0))
    assert np.array_equal(product["valid"].read(), valid)
    assert survey.valid_fraction == valid.mean()
    assert product.grid == product["valid"].grid


def test_xarray_sees_units_wavelengths_and_place(write_envi, cube, ingested):
    path = write_envi(
        cube,
        wavelength="{0.5, 0.6, 0.7}",
        wavelength_units="Micrometers",
        data_units="reflectance",
        map_info="{UTM, 1, 1, 500000, 4600000, 30, 30, 16, North, WGS-84}",
    )
    product, _ = ingested(path)
    scene = xr.open_zarr(product.uri, consolidated=False)
    assert scene.cube.attrs["units"] == "reflectance"
    assert scene.band.attrs["units"] == "nm"
    assert np.allclose(scene.band, [500, 600, 700])
    assert np.allclose(scene.x, 500015 + 30 * np.arange(4))
    assert np.allclose(scene.y, 4599985 - 30 * np.arange(5))
    assert "UTM zone 16N" in scene.spatial_ref.attrs["crs_wkt"]
    assert scene.cube.attrs["grid_mapping"] == "spatial_ref"
    assert np.array_equal(scene.cube.sel(band=650, method="nearest").values.shape, (5, 4))


def test_an_ingested_product_ingests_to_itself(write_envi, cube, ingested):
    place = "{UTM, 1, 1, 500000, 4600000, 30, 30, 16, North, WGS-84}"
    path = write_envi(cube, wavelength="{500, 600, 700}", fwhm="{9, 9, 9}", bbl="{1, 0, 1}", map_info=place)
    first = open_source(path)
    product, _ = ingested(path)
    again = open_source(product.uri)
    for name in ("wavelength", "fwhm", "bad_bands", "transform"):
        assert np.array_equal(getattr(again.header, name), getattr(first.header, name)), name
    everything = tuple(slice(0, n) for n in cube.shape)
    for one, other in zip(first.read(everything), again.read(everything), strict=True):
        assert np.array_equal(one, other)


def test_a_radio_product_keeps_bytes_small_and_xarray_decodes_them(tmp_path, ingested):
    q = np.arange(6 * 3 * 4 * 5, dtype=np.int16).reshape(6, 3, 4, 5)
    np.savez(tmp_path / "r.npz", q=q, scale=0.5, mask=np.ones((6, 3), bool), freq_mhz=[1500.0, 1400, 1300], tsamp_s=0.1)
    product, _ = ingested(tmp_path / "r.npz", 3)
    scene = xr.open_zarr(product.uri, consolidated=False)
    assert product.dtype == np.int16
    assert np.array_equal(product.read(), q)
    assert np.allclose(scene.cube, q * 0.5)
    assert np.allclose(scene.channel, [1500, 1400, 1300])
    assert np.allclose(scene.time, 0.1 * np.arange(6))
    assert scene.valid.all()
    again = open_source(product.uri)
    assert (again.header.kind, again.header.kept_scale, again.header.dtype) == ("radio_cube", (0.5, 0.0), np.int16)


def test_a_repeated_tile_writes_the_same_bytes(tmp_path, cube, ingested):
    np.save(tmp_path / "a.npy", cube)
    product, _ = ingested(tmp_path / "a.npy", 2)
    before = {p: p.read_bytes() for p in (tmp_path / "out.zarr").rglob("*") if p.is_file()}
    for tile in tiles(product.shape, product.grid):
        copy_tile(tile, open_source(tmp_path / "a.npy"), product)
    assert before == {p: p.read_bytes() for p in before}


def test_a_tile_stays_small_whatever_is_asked(tmp_path):
    np.savez(tmp_path / "r.npz", q=np.zeros((4, 2, 2, 2), "i1"), freq_mhz=[1.0, 2.0], tsamp_s=1.0)
    header = open_source(tmp_path / "r.npz").header.noted(shape=(100_000, 2, 400, 400))
    cell = layouts.radio_cube(header, 8192).variables["cube"].cell
    assert np.prod(cell) <= 1.2 * layouts.SHARD_BYTES


@pytest.mark.parametrize(("shape", "kind"), [((9000, 16, 175, 175), np.int8), ((300, 64, 40, 7), np.float32)])
def test_a_radio_cube_is_chunked_in_squares_of_a_search_tile(shape, kind):
    """Else each tile would decode whole rows of the image to use a part of them."""
    header = Header("npy", "radio_cube", shape, np.dtype(kind), freqs=np.arange(1.0, 1.0 + shape[1]))
    cube = layouts.radio_cube(header, 256).variables["cube"]
    assert cube.chunks[1:] == (shape[1], min(32, shape[2]), min(32, shape[3]))
    assert 2**19 <= np.prod(cube.chunks) * np.dtype(kind).itemsize <= 2**22
    assert all(c % k == 0 for c, k in zip(cube.cell, cube.chunks, strict=True))
    assert cube.cell[2] >= min(256, shape[2])
