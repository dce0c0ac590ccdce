"""Bands as a person writes them: numbers and ranges, counted from 0, or wavelengths in nm."""

import re

import numpy as np

PIECE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*(?:-\s*(\d+(?:\.\d*)?)\s*)?(nm)?\s*")
EXAMPLE = '"0-99, 120" (numbers from 0) or "450-900 nm" (wavelengths)'


def pieces(text: str) -> list[tuple[float, float, bool]]:
    """(first, last, whether in nm) of every piece of a list of bands, both ends included.

    Raises
    ------
    ValueError
        For anything but numbers and ranges.
    """
    found = []
    for part in text.split(","):
        match = PIECE.fullmatch(part)
        if match is None:
            raise ValueError(f'"{part.strip()}" names no band, expected a list like {EXAMPLE}; correct it')
        first, last = float(match[1]), float(match[2] or match[1])
        if not match[3] and not (first.is_integer() and last.is_integer()):
            raise ValueError(f'"{part.strip()}" is no number of a band, expected whole numbers; add nm for wavelengths')
        if last < first:
            raise ValueError(f'"{part.strip()}" runs backwards, expected the smaller end first; turn it round')
        found.append((first, last, match[3] is not None))
    return found


def named_bands(text: str, n_band: int, nm: np.ndarray | None) -> np.ndarray:
    """Which bands a list means.

    Parameters
    ----------
    text : str
        Pieces separated by commas, such as ``0-99, 120`` or ``450-900 nm``. A single wavelength is the nearest band.
    n_band : int
        Number of bands of the cube.
    nm : (band,) float array or None
        Wavelengths [nm], where the cube has them.

    Returns
    -------
    (band,) bool array

    Raises
    ------
    ValueError
        For a list that cannot be read, a band the cube does not have, or wavelengths where it has none.
    """
    chosen = np.zeros(n_band, bool)
    for first, last, in_nm in pieces(text):
        if in_nm and nm is None:
            raise ValueError("the cube has no wavelengths in nm, expected numbers of bands; count them from 0")
        if not in_nm and last >= n_band:
            raise ValueError(f"band {last:.0f} was named, expected 0 to {n_band - 1}; the first band is number 0")
        axis = np.asarray(nm if in_nm else np.arange(n_band), float)
        part = (axis >= first) & (axis <= last)
        if first == last and axis.min() <= first <= axis.max():
            part[np.abs(axis - first).argmin()] = True
        if not part.any():
            raise ValueError(
                f"no band lies in {first:g}-{last:g} nm, expected some of {axis.min():g}-{axis.max():g} nm; widen it"
            )
        chosen |= part
    return chosen
