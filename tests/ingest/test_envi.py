"""ENVI images in every interleave, byte order and spelling of the header."""

import numpy as np
import pytest
import spectral.io.envi

from tasks.ingest import Unreadable, files_of, open_source


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_every_layout_reads_the_same(write_envi, cube, interleave, order, dtype):
    source = open_source(write_envi(cube.astype(dtype), interleave=interleave, order=order, pad=7))
    values, valid = source.read((slice(1, 4), slice(1, 2), slice(0, 3)))
    assert np.array_equal(values, cube[1:4, 1:2])
    assert valid.all()


def test_a_file_by_another_writer(tmp_path, cube, read_all):
    metadata = {"wavelength": ["0.4", "0.5", "0.6"], "wavelength units": "Micrometers", "bbl": [1, 0, 1]}
    spectral.io.envi.save_image(str(tmp_path / "s.hdr"), cube, metadata=metadata, dtype=np.float32, interleave="bil")
    source = open_source(tmp_path / "s.hdr")
    values, valid = read_all(source)
    assert np.array_equal(values, cube)
    assert np.allclose(source.header.wavelength, [400, 500, 600])
    assert np.array_equal(source.header.bad_bands, [False, True, False])
    assert np.array_equal(valid, np.broadcast_to([True, False, True], cube.shape))


@pytest.mark.parametrize(
    ("ending", "header"),
    [(".img", "scene.hdr"), (".img", "scene.img.hdr"), ("", "scene.hdr"), (".dat", "scene.HDR"), (".BSQ", "scene.hdr")],
)
def test_the_header_is_found_beside_or_in_place_of_the_ending(write_envi, tmp_path, cube, ending, header, read_all):
    data = write_envi(cube, ending=ending, header=header)
    assert files_of(data) == files_of(tmp_path / header) == [data, tmp_path / header]
    assert np.array_equal(read_all(open_source(tmp_path / header))[0], cube)


def test_wavelengths_scale_nodata_and_place_are_kept(write_envi, cube, read_all):
    wavelength = "{\n 0.70 , 0.60,\n 0.50}"
    source = open_source(
        write_envi(
            cube.astype("i2"),
            wavelength=wavelength,
            wavelength_units="µm",
            fwhm="{0.01, 0.01, 0.02}",
            data_ignore_value=5,
            reflectance_scale_factor=10000,
            map_info="{UTM, 1, 1, 500000, 4600000, 30, 30, 16, North, WGS-84, units=Meters}",
            description="{two\n lines}",
        )
    )
    header, (values, valid) = source.header, read_all(source)
    assert np.allclose(header.wavelength, [700, 600, 500])
    assert np.allclose(header.fwhm, [10, 10, 20])
    assert any("descend" in n for n in header.notes)
    assert header.transform == (30, 0, 500000, 0, -30, 4600000)
    assert "UTM zone 16N" in header.crs
    assert np.array_equal(valid, cube != 5)
    assert np.allclose(values[valid], cube[valid] / 10000)
    assert header.attrs["description"] == "two\n lines"


@pytest.mark.parametrize(("turn", "at"), [(0, "2.5, 3"), (30, "1, 1")])
def test_the_place_is_where_gdal_sees_it(write_envi, cube, turn, at):
    import rasterio

    path = write_envi(cube, map_info=f"{{UTM, {at}, 500000, 4600000, 20, 30, 33, South, WGS-84, rotation={turn}}}")
    header = open_source(path).header
    with rasterio.open(path) as image:
        assert np.allclose(header.transform, image.transform[:6])
        assert rasterio.crs.CRS.from_wkt(header.crs).to_epsg() == image.crs.to_epsg() == 32733


def test_a_projection_given_as_wkt_keeps_its_commas(write_envi, cube):
    from rasterio.crs import CRS

    text = CRS.from_epsg(3035).to_wkt(version="WKT1_ESRI")
    path = write_envi(cube, map_info="{x, 1, 1, 0, 0, 1, 1}", coordinate_system_string=f"{{{text}}}")
    assert "LAEA" in open_source(path).header.crs


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"interleave": "bqs"}, "interleave is 'bqs', expected bsq, bil or bip"),
        ({"interleave": None}, "interleave is 'missing'"),
        ({"bands": 0}, "bands is 0"),
        ({"bands": None}, "bands is 'missing'"),
        ({"bands": "three"}, "expected a whole number"),
        ({"lines": 6}, "truncated"),
        ({"lines": 4}, "correct the size"),
        ({"lines": 10**17}, "truncated"),
        ({"data_type": 7}, "data type is 7"),
        ({"wavelength": "{1,2}"}, "lists 2 numbers, expected one for each of the 3 bands"),
        ({"wavelength": "{1,2,x}"}, "not a number"),
        ({"wavelength": "{1,2,3.5}", "wavelength_units": "parsec"}, "wavelength unit 'parsec'"),
        ({"bbl": "{1}"}, "bbl lists 1"),
        ({"file_type": "ENVI Spectral Library"}, "a spectral library"),
        ({"file_compression": 1}, "compressed"),
    ],
)
def test_a_wrong_header_gets_one_sentence(write_envi, cube, fields, says):
    path = write_envi(cube, **fields)
    with pytest.raises(Unreadable, match=says) as error:
        open_source(path)
    assert "'scene.img'" in str(error.value)
    assert "\n" not in str(error.value)


def test_complex_values_are_refused(write_envi, cube):
    with pytest.raises(Unreadable, match="complex64"):
        open_source(write_envi(cube.astype("c8")))


def test_a_truncated_binary_is_refused(write_envi, cube):
    path = write_envi(cube)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Unreadable, match="the file holds only 239 bytes; it is truncated"):
        open_source(path)


def test_a_header_alone_says_what_it_misses(write_envi, cube):
    path = write_envi(cube)
    path.unlink()
    with pytest.raises(Unreadable, match="no binary file lies beside"):
        open_source(path.with_suffix(".hdr"))


def test_gains_and_offsets_of_each_band_are_applied(write_envi, cube):
    path = write_envi(cube.astype("i2"), data_gain_values="{0.5, 2, 1}", data_offset_values="{0, -1, 10}")
    values, _ = open_source(path).slim().read((slice(1, 3), slice(0, 4), slice(1, 3)))
    assert np.array_equal(values, cube[1:3, :, 1:3] * [2, 1] + [-1, 10])
    by_hand, _ = open_source(path).corrected(scale=3).read((slice(1, 3), slice(0, 4), slice(1, 3)))
    assert np.array_equal(by_hand, cube[1:3, :, 1:3] * 3 + [-1, 10])
