"""Where a pixel is on the sky, how much sky an image covers, and which known source lies near."""

from pathlib import Path
from typing import Any

import numpy as np


def celestial(header: str | None) -> Any:
    """The celestial part of a FITS header kept as text, as an astropy WCS; None where there is none."""
    if not header:
        return None
    import warnings

    from astropy.io import fits
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        cards = fits.Header.fromstring(header, sep="\n" if "\n" in header else "")
        wcs = WCS(cards).celestial
    return wcs if wcs.has_celestial else None


def radec(wcs: Any, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ICRS right ascension and declination of pixels [deg]; NaN without a WCS."""
    if wcs is None or not len(y):
        return np.full(len(y), np.nan), np.full(len(y), np.nan)
    place = wcs.pixel_to_world(x, y).icrs
    return np.asarray(place.ra.deg), np.asarray(place.dec.deg)


def pixel_area(wcs: Any) -> float | None:
    """Sky area of the pixel at the projection's centre [deg^2]; None without a WCS."""
    if wcs is None:
        return None
    from astropy.wcs.utils import proj_plane_pixel_area

    return float(proj_plane_pixel_area(wcs))


def read_catalogue(path: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, right ascensions and declinations [deg] from a CSV file or a VOTable.

    Raises
    ------
    ValueError
        If there are no columns for the position.
    """
    from astropy.table import Table

    kind = "votable" if Path(path).suffix.lower() in (".xml", ".vot", ".votable") else "ascii.csv"
    table = Table.read(path, format=kind)
    ra = _column(table, ("ra", "raj2000", "ra_deg", "_ra", "ra_icrs"))
    dec = _column(table, ("dec", "dej2000", "decj2000", "dec_deg", "de", "_de", "de_icrs"))
    if ra is None or dec is None:
        raise ValueError(f"{path} has columns {', '.join(table.colnames)}, expected ra and dec in degrees; rename them")
    names = _column(table, ("name", "id", "source", "psrj", "main_id", "designation"))
    labels = [str(n) for n in table[names]] if names else [f"row {i}" for i in range(len(table))]
    return labels, np.asarray(table[ra], np.float64), np.asarray(table[dec], np.float64)


def cross_match(
    ra: np.ndarray, dec: np.ndarray, catalogue: tuple[list[str], np.ndarray, np.ndarray], radius_arcsec: float
) -> list[tuple[str | None, float | None]]:
    """Name and distance [arcsec] of the nearest catalogued source within ``radius_arcsec`` of each position."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    names, known_ra, known_dec = catalogue
    if not len(names) or not np.isfinite(ra).any():
        return [(None, None)] * len(ra)
    known = SkyCoord(known_ra * units.deg, known_dec * units.deg)
    found: list[tuple[str | None, float | None]] = []
    for a, d in zip(ra, dec, strict=True):
        distance = np.asarray(SkyCoord(a * units.deg, d * units.deg).separation(known).to_value(units.arcsec))
        nearest = int(np.argmin(distance))
        near = distance[nearest] <= radius_arcsec
        found.append((names[nearest], float(distance[nearest])) if near else (None, None))
    return found


def _column(table: Any, names: tuple[str, ...]) -> str | None:
    return next((c for c in table.colnames if c.lower() in names), None)
