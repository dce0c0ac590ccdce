"""GeoTIFF with and without a place on Earth."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from tasks.ingest import Unreadable, open_source

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rasterio's own use of affine


@pytest.fixture
def write_tiff(tmp_path):
    def write(cube, tags=None, name="s.tif", **profile):
        y, x, band = cube.shape
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", height=y, width=x, count=band, dtype=cube.dtype, **profile
        ) as image:
            image.write(cube.transpose(2, 0, 1))
            for i, tag in enumerate(tags or [], 1):
                image.update_tags(i, **tag)
        return tmp_path / name

    return write


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("interleave", ["band", "pixel"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
def test_any_region(write_tiff, cube, interleave, dtype):
    source = open_source(write_tiff(cube.astype(dtype), interleave=interleave))
    values, valid = source.read((slice(1, 5), slice(2, 3), slice(1, 3)))
    assert np.array_equal(values, cube[1:5, 2:3, 1:3])
    assert valid.all()


def test_place_nodata_and_wavelengths(write_tiff, cube, read_all):
    tags = [{"wavelength": w, "wavelength_units": "Micrometers", "fwhm": 0.01} for w in (0.5, 0.6, 0.7)]
    place = from_origin(500000, 4600000, 30, 20)
    source = open_source(write_tiff(cube.astype("i2"), tags, crs="EPSG:32616", transform=place, nodata=5))
    header, (_, valid) = source.header, read_all(source)
    assert header.transform == (30, 0, 500000, 0, -20, 4600000)
    assert "UTM zone 16N" in header.crs
    assert np.allclose(header.wavelength, [500, 600, 700])
    assert np.allclose(header.fwhm, 10)
    assert np.array_equal(valid, cube != 5)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_a_place(write_tiff, cube):
    header = open_source(write_tiff(cube)).header
    assert header.crs is header.transform is None
    assert any("no place on Earth" in n for n in header.notes)


def test_with_a_transform_but_no_crs(write_tiff, cube):
    header = open_source(write_tiff(cube, transform=from_origin(0, 10, 1, 1))).header
    assert header.crs is None
    assert header.transform == (1, 0, 0, 0, -1, 10)
    assert any("no projection" in n for n in header.notes)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_mask_inside_the_file(write_tiff, cube, read_all, tmp_path):
    path = write_tiff(cube)
    there = np.arange(20).reshape(5, 4) % 3 > 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as image:
        image.write_mask(there)
    values, valid = read_all(open_source(path))
    assert np.array_equal(valid, np.broadcast_to(there[..., None], cube.shape))
    assert np.array_equal(values, cube)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", ["two words.tif", "new\nline.tif", "Größe λ 波.tif", "a!b.tif", "zip:x.tif"])
def test_any_name_will_do(write_tiff, cube, name, read_all, tmp_path):
    (tmp_path / name).write_bytes(write_tiff(cube).read_bytes())
    assert np.array_equal(read_all(open_source(tmp_path / name))[0], cube)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_complex_values(write_tiff, cube):
    with pytest.raises(Unreadable, match="complex64"):
        open_source(write_tiff(cube.astype("c8")))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_scales_of_each_band_are_applied(write_tiff, cube, read_all):
    path = write_tiff(cube.astype("u2"))
    with rasterio.open(path, "r+") as image:
        image.scales, image.offsets = (0.5, 2, 1), (0, 3, 0)
    assert np.array_equal(read_all(open_source(path))[0], cube * [0.5, 2, 1] + [0, 3, 0])
