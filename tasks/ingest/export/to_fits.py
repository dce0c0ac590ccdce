"""Write a cube as FITS: float32 with NaN for no data, axes on the sky first; what FITS has no card for goes into a table."""

from pathlib import Path
from typing import Any

import numpy as np

from tasks.ingest.export.blocks import blanked
from tasks.ingest.header import Header
from tasks.ingest.source import Source

KINDS = ("raw_cube", "radio_cube")
_BLOCK = 2880


def names(target: Path) -> list[Path]:
    """The one file."""
    return [target]


def write(source: Source, files: list[Path]) -> None:
    """Lay the file out at its full length, then fill it block by block; the table follows."""
    from astropy.io import fits

    header = source.header
    radio = header.kind == "radio_cube"
    shape = header.shape if radio else (header.shape[2], *header.shape[:2])
    cards = _cards(header, shape)
    text = cards.tostring().encode("ascii")
    length = 4 * int(np.prod(shape, dtype=object))
    with files[0].open("wb") as out:
        out.write(text)
        out.truncate(len(text) + -(-length // _BLOCK) * _BLOCK)
    for region, values in blanked(source):
        place = region if radio else (region[2], *region[:2])
        image = np.memmap(files[0], ">f4", "r+", len(text), shape)
        image[place] = values if radio else values.transpose(2, 0, 1)
        image.flush()
    table = _table(header)
    if table is not None:
        fits.append(files[0], table.data, table.header)


def _cards(header: Header, shape: tuple[int, ...]) -> Any:
    from astropy.io import fits

    cards = fits.Header()
    cards["SIMPLE"], cards["BITPIX"], cards["NAXIS"] = True, -32, len(shape)
    for i, n in enumerate(reversed(shape), 1):
        cards[f"NAXIS{i}"] = n
    cards["EXTEND"] = True
    if header.wcs:
        cards.update(fits.Header.fromstring(header.wcs, sep="\n"))
    if "WCSAXES" in cards:
        cards["WCSAXES"] = len(shape)
    if header.units:
        cards["BUNIT"] = header.units
    if header.kind == "raw_cube":
        _linear(cards, 3, "WAVE", header.wavelength, "nm")
    else:
        _linear(cards, 3, "FREQ", None if header.freqs is None else header.freqs * 1e6, "Hz")
        _linear(cards, 4, "TIME", header.time, "s")
    if header.transform is not None:  # no FITS standard for maps of the Earth: kept in words of our own
        cards["GEOTRANS"] = " ".join(repr(v) for v in header.transform)
    if header.crs:
        cards["CRSWKT"] = " ".join(header.crs.split())
    return cards


def _linear(cards: Any, number: int, kind: str, values: np.ndarray | None, unit: str) -> None:
    """Coordinates of an axis; where they are not evenly spaced the mean step stands here and the table has each."""
    if values is None:
        return
    step = (values[-1] - values[0]) / (len(values) - 1) if len(values) > 1 else 1.0
    cards[f"CTYPE{number}"], cards[f"CUNIT{number}"] = kind, unit
    cards[f"CRPIX{number}"], cards[f"CRVAL{number}"], cards[f"CDELT{number}"] = 1.0, float(values[0]), float(step)


def _table(header: Header) -> Any:
    from astropy.io import fits

    columns = {
        "WAVELENGTH": (header.wavelength, "D", "nm"),
        "FWHM": (header.fwhm, "D", "nm"),
        "BAD": (header.bad_bands, "L", None),
        "FREQ": (header.freqs, "D", "MHz"),
    }
    kept = [fits.Column(n, kind, unit, array=v) for n, (v, kind, unit) in columns.items() if v is not None]
    return fits.BinTableHDU.from_columns(kept, name="SPECTRAL") if kept else None
