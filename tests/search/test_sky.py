"""Positions on the sky, and the known sources near them."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS

from tasks.search.sky import celestial, cross_match, pixel_area, radec, read_catalogue

KNOWN = {"name": ["Crab", "far"], "ra": [83.63, 90.0], "dec": [22.01, -40.0]}


def header(**changes):
    """Cards of an image whose pixel (y 10, x 20) lies at the first known source."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt = ["RA---SIN", "DEC--SIN"], [83.63, 22.01], [-0.01, 0.01]
    wcs.wcs.crpix, wcs.wcs.cunit = [21, 11], ["deg", "deg"]
    for name, value in changes.items():
        setattr(wcs.wcs, name, value)
    return wcs.to_header_string()


def test_a_pixel_has_its_place_on_the_sky():
    wcs = celestial(header())
    ra, dec = radec(wcs, np.array([10.0, 60.0]), np.array([20.0, 20.0]))
    np.testing.assert_allclose([ra[0], dec[0]], [83.63, 22.01], atol=1e-9)
    assert dec[1] == pytest.approx(22.51, abs=1e-4)  # 50 pixels north
    assert pixel_area(wcs) == pytest.approx(1e-4)


def test_other_celestial_frames_come_out_in_icrs():
    place = SkyCoord(83.63 * units.deg, 22.01 * units.deg).galactic
    galactic = header(ctype=["GLON-SIN", "GLAT-SIN"], crval=[place.l.deg, place.b.deg])
    ra, dec = radec(celestial(galactic), np.array([10.0]), np.array([20.0]))
    np.testing.assert_allclose([ra[0], dec[0]], [83.63, 22.01], atol=1e-8)


@pytest.mark.parametrize("cards", [None, "", "SIMPLE  =                    T"])
def test_without_a_wcs_there_is_no_place(cards):
    wcs = celestial(cards)
    assert wcs is None
    assert np.isnan(radec(wcs, np.arange(3.0), np.arange(3.0))).all()
    assert pixel_area(wcs) is None
    catalogue = ["Crab"], np.array([83.63]), np.array([22.01])
    assert cross_match(np.full(2, np.nan), np.full(2, np.nan), catalogue, 60.0) == [(None, None)] * 2


@pytest.mark.parametrize(
    ("suffix", "kind", "names"),
    [
        ("csv", "ascii.csv", ("name", "ra", "dec")),
        ("xml", "votable", ("name", "ra", "dec")),
        ("vot", "votable", ("PSRJ", "RAJ2000", "DEJ2000")),
    ],
)
def test_a_catalogue_is_read_from_csv_and_votable_alike(tmp_path, suffix, kind, names):
    path = tmp_path / f"known.{suffix}"
    table = Table(KNOWN)
    table.rename_columns(["name", "ra", "dec"], names)
    table.write(path, format=kind)
    labels, ra, dec = read_catalogue(str(path))
    assert labels == KNOWN["name"]
    np.testing.assert_array_equal([ra, dec], [KNOWN["ra"], KNOWN["dec"]])


def test_a_catalogue_without_positions_gets_a_sentence(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("name,flux\nCrab,1\n")
    with pytest.raises(ValueError, match="columns name, flux, expected ra and dec"):
        read_catalogue(str(path))


def test_the_nearest_source_within_the_radius_is_named_also_across_the_meridian():
    catalogue = ["east", "west"], np.array([0.001, 359.998]), np.array([10.0, 10.0])
    (name, distance), other = cross_match(np.array([359.9995, 5.0]), np.array([10.0, 10.0]), catalogue, 30.0)
    assert name == "east"
    assert distance == pytest.approx(0.0015 * 3600 * np.cos(np.radians(10.0)), rel=1e-6)
    assert other == (None, None)
