"""FITS cubes on the sky: axes by CTYPE, frequencies in either direction, Stokes dropped."""

import numpy as np
import pytest
from astropy.io import fits

from tasks.ingest import Unreadable, open_source

SKY = {
    "CTYPE1": "RA---SIN", "CRVAL1": 180.0, "CDELT1": -0.001, "CRPIX1": 2, "CUNIT1": "deg",
    "CTYPE2": "DEC--SIN", "CRVAL2": 45.0, "CDELT2": 0.001, "CRPIX2": 3, "CUNIT2": "deg",
}  # fmt: skip


def axis(number, kind, start, step, unit):
    return {
        f"CTYPE{number}": kind,
        f"CRVAL{number}": start,
        f"CDELT{number}": step,
        f"CRPIX{number}": 1,
        f"CUNIT{number}": unit,
    }


@pytest.fixture
def write_fits(tmp_path):
    def write(values, cards, hdu=fits.PrimaryHDU):
        made = hdu(values)
        made.header.update(cards)
        files = [made] if hdu is fits.PrimaryHDU else [fits.PrimaryHDU(), made]
        fits.HDUList(files).writeto(tmp_path / "s.fits")
        return tmp_path / "s.fits"

    return write


@pytest.mark.parametrize("step", [1e6, -1e6])
def test_a_cube_of_frequencies_in_either_direction(write_fits, step, read_all):
    values = np.arange(3 * 1 * 5 * 4, dtype=">f4").reshape(3, 1, 5, 4)
    cards = SKY | axis(3, "STOKES", 1, 1, "") | axis(4, "FREQ", 1.4e9, step, "Hz") | {"BUNIT": "Jy/beam", "BMAJ": 0.01}
    source = open_source(write_fits(values, cards))
    assert source.header.kind == "radio_cube"
    assert source.header.shape == (1, 3, 5, 4)
    assert np.allclose(source.header.freqs, 1400 + np.arange(3) * step / 1e6)
    assert source.header.units == "Jy/beam"
    assert "RA---SIN" in source.header.wcs
    assert source.header.attrs["bmaj"] == 0.01
    assert np.array_equal(read_all(source)[0], values.transpose(1, 0, 2, 3))
    assert any("Stokes axis is dropped" in n for n in source.header.notes)


def test_a_series_of_images_with_frequencies(write_fits, read_all):
    values = np.arange(2 * 3 * 5 * 4, dtype="i2").reshape(2, 3, 5, 4)
    path = write_fits(values, SKY | axis(3, "FREQ", 1.4, 0.1, "GHz") | axis(4, "TIME", 7, 0.5, "s"))
    source = open_source(path)
    stored, valid = read_all(source)
    assert stored.dtype == np.int16
    assert np.array_equal(stored, values)
    assert np.allclose(source.header.time, [0, 0.5])
    assert np.allclose(source.header.freqs, [1400, 1500, 1600])
    assert valid.all()


def test_a_series_of_images_at_one_frequency(write_fits):
    values = np.zeros((6, 5, 4), "f4")
    cards = SKY | axis(3, "TIME", 0, 10, "s")
    with pytest.raises(Unreadable, match="add RESTFRQ"):
        open_source(write_fits(values, cards))


def test_one_channel_is_at_the_rest_frequency(write_fits):
    cards = SKY | axis(3, "TIME", 0, 10, "s") | {"RESTFRQ": 1.42e9}
    header = open_source(write_fits(np.zeros((6, 5, 4), "f4"), cards)).header
    assert (header.shape, list(header.freqs)) == ((6, 1, 5, 4), [1420])


def test_a_spectral_cube_in_metres(write_fits, cube, read_all):
    source = open_source(write_fits(cube.transpose(2, 0, 1), SKY | axis(3, "WAVE", 5e-7, 1e-8, "m")))
    assert np.allclose(source.header.wavelength, [500, 510, 520])
    assert np.array_equal(read_all(source)[0], cube)


def test_a_bare_cube(write_fits, cube, read_all):
    source = open_source(write_fits(cube.transpose(2, 0, 1), {}))
    assert np.array_equal(read_all(source)[0], cube)
    assert any("no CTYPE that is known and is taken as band" in n for n in source.header.notes)


def test_unsigned_integers_and_blanks(write_fits, cube, read_all):
    values = cube.transpose(2, 0, 1).astype("u2") + 40000
    source = open_source(write_fits(values, {}))
    assert np.array_equal(read_all(source)[0], cube + 40000)


def test_blank_values_are_masked(write_fits, cube, read_all):
    source = open_source(write_fits(cube.transpose(2, 0, 1).astype("i2"), {"BLANK": 5}))
    assert np.array_equal(read_all(source)[1], cube != 5)


def test_a_compressed_image(write_fits, cube, read_all):
    source = open_source(write_fits(cube.transpose(2, 0, 1).astype("i4"), {}, fits.CompImageHDU))
    assert np.array_equal(read_all(source)[0], cube)


@pytest.mark.parametrize("shape", [(5, 4), (5,), (2, 3, 4, 5, 6)])
def test_no_cube(write_fits, shape):
    with pytest.raises(Unreadable, match="expected"):
        open_source(write_fits(np.zeros(shape, "f4"), {}))


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_a_truncated_file(write_fits, cube):
    path = write_fits(np.zeros((30, 30, 30), "f4"), {})
    path.write_bytes(path.read_bytes()[:10000])
    with pytest.raises(Unreadable, match="truncated"):
        open_source(path)


@pytest.fixture
def write_series(tmp_path):
    def write(n=4, name="night", **changes):
        (tmp_path / name).mkdir()
        for i in reversed(range(n)):
            hdu = fits.PrimaryHDU(np.full((5, 4), 10 * i, "f4"))
            hdu.header.update(SKY | {"RESTFRQ": 1.42e9, "DATE-OBS": f"2020-01-01T00:00:{i * 10:02d}"} | changes)
            hdu.writeto(tmp_path / name / f"image {9 - i}.fits")
        return tmp_path / name

    return write


def test_a_folder_of_dated_images_is_one_cube(write_series, read_all):
    source = open_source(write_series())
    assert (source.header.kind, source.header.shape) == ("radio_cube", (4, 1, 5, 4))
    assert np.allclose(source.header.time, [0, 10, 20, 30], atol=1e-4)
    assert np.array_equal(read_all(source)[0][:, 0, 0, 0], [0, 10, 20, 30])
    values, _ = source.read((slice(1, 3), slice(0, 1), slice(2, 4), slice(0, 2)))
    assert values.shape == (2, 1, 2, 2)


def test_images_of_one_date_are_no_series(write_series):
    with pytest.raises(Unreadable, match="same DATE-OBS"):
        open_source(write_series(**{"DATE-OBS": "2020-01-01"}))


def test_an_image_that_differs_is_named(write_series):
    folder = write_series()
    made = fits.PrimaryHDU(np.zeros((5, 9), "f4"))
    made.header.update(SKY | {"RESTFRQ": 1.42e9, "DATE-OBS": "2021-01-01"})
    made.writeto(folder / "other.fits")
    with pytest.raises(Unreadable, match=r"'other.fits' differs from the first"):
        open_source(folder)


def test_a_folder_with_anything_else_is_no_series(write_series):
    folder = write_series()
    (folder / "notes.txt").write_text("cloudy")
    with pytest.raises(Unreadable, match="is a folder"):
        open_source(folder)
