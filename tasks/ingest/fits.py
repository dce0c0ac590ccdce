"""FITS image cubes: axes by their CTYPE, world coordinates kept, one file or a header per extension."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.ingest.header import DIMS, Header, Kind, Unreadable
from tasks.ingest.raw import RawArray, check_size
from tasks.ingest.source import Sliceable, Source, Stored
from tasks.ingest.spectral_axis import frequency_mhz, wavelength_nm

_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_CTYPES = (
    (r"(RA|GLON|ELON|SLON|.LON|X)\b.*", "x"),
    (r"(DEC|GLAT|ELAT|SLAT|.LAT|Y)\b.*", "y"),
    (r"FREQ.*", "channel"),
    (r"(WAVE|AWAV|WAVN|VELO|VOPT|VRAD|FELO|ZOPT|BETA|LAMBDA|BAND).*", "band"),
    (r"(TIME|UTC|MJD|TAI).*", "time"),
    (r"STOKES.*", "stokes"),
)
_KEPT = (
    "OBJECT",
    "TELESCOP",
    "INSTRUME",
    "OBSERVER",
    "DATE-OBS",
    "MJD-OBS",
    "BMAJ",
    "BMIN",
    "BPA",
    "RESTFRQ",
    "SPECSYS",
    "RADESYS",
    "EQUINOX",
    "ORIGIN",
)


@dataclass(frozen=True)
class CompressedImage:
    """A tile-compressed image, unpacked where it is read."""

    path: str
    index: int
    dtype: np.dtype
    shape: tuple[int, ...]

    def __getitem__(self, region: Any) -> np.ndarray:
        from astropy.io import fits

        with fits.open(self.path) as file:
            return np.asarray(file[self.index].section[region])


def accepts(path: Path) -> bool:
    """Whether ``path`` begins as FITS does."""
    try:
        with path.open("rb") as file:
            return file.read(9) == b"SIMPLE  ="
    except OSError:
        return False


def files(path: Path) -> list[Path]:
    """The file itself."""
    return [path]


def open(path: Path, variable: str | None = None) -> Source:
    """The first image with three axes, or the extension called ``variable``."""
    return _open(path, variable, 3)


def open_snapshot(path: Path, variable: str | None = None) -> Source:
    """The first image of ``path``, also a flat one, as a radio cube of one time."""
    return _open(path, variable, 2)


def _open(path: Path, variable: str | None, least_axes: int) -> Source:
    from astropy.io import fits

    with fits.open(path, memmap=True) as file:
        index = _choose(file, variable, least_axes)
        hdu = file[index]
        card = hdu.header
        array = _array(path, hdu, index)
        axes = [_axis(card, array.ndim - i, array.shape[i]) for i in range(len(array.shape))]
        source = _assembled(array, axes, card, radio=least_axes == 2)
        return replace(source, header=_with_table(source.header, file, card))


@dataclass(frozen=True)
class _Image:
    """Values as they lie in the file, and what they mean."""

    array: Sliceable
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)


@dataclass(frozen=True)
class _Axis:
    """One axis: what runs along it, and its world coordinates if it is linear."""

    kind: str | None
    values: np.ndarray
    unit: str


def _choose(file: Any, variable: str | None, least_axes: int) -> int:
    images = [i for i, hdu in enumerate(file) if hdu.is_image and len(hdu.shape) >= 2]
    if variable is not None:
        wanted = [i for i in images if file[i].name == variable.upper() or str(i) == variable]
        if not wanted:
            names = ", ".join(f"{i} {file[i].name!r}" for i in images) or "none"
            raise Unreadable(f"there is no image extension {variable!r}; found {names}; name one of these")
        return wanted[0]
    cubes = [i for i in images if len(file[i].shape) >= least_axes]
    if not cubes:
        shapes = ", ".join(str(file[i].shape) for i in images) or "no image at all"
        raise Unreadable(f"found {shapes}, expected an image with three or four axes; name a file that holds a cube")
    return cubes[0]


def _array(path: Path, hdu: Any, index: int) -> _Image:
    """Plain images are read as stored, so that integers stay small; compressed ones through the library."""
    from astropy.io.fits import CompImageHDU

    if isinstance(hdu, CompImageHDU):
        sample = hdu.section[(slice(0, 1),) * len(hdu.shape)]
        return _Image(CompressedImage(str(path), index, sample.dtype, tuple(hdu.shape)))
    header, bits = hdu.header, int(hdu.header["BITPIX"])
    if bits not in _DTYPES:
        raise Unreadable(f"BITPIX is {bits}, expected one of {', '.join(map(str, _DTYPES))}")
    raw = RawArray(str(path), np.dtype(_DTYPES[bits]), tuple(hdu.shape), int(hdu.fileinfo()["datLoc"]))
    check_size(raw, "the FITS header")
    # These cards are still there because the values were not touched: astropy removes them once it has applied them.
    scale, offset = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))
    blank = header.get("BLANK")
    return _Image(raw, scale, offset, float(blank) if blank is not None and bits > 0 else None)


def _axis(card: Any, number: int, size: int) -> _Axis:
    ctype = str(card.get(f"CTYPE{number}", "")).strip().upper()
    kind = next((k for pattern, k in _CTYPES if re.fullmatch(pattern, ctype)), None)
    step = card.get(f"CDELT{number}", 1.0) * card.get(f"PC{number}_{number}", 1.0)
    step = card.get(f"CD{number}_{number}", step)
    values = card.get(f"CRVAL{number}", 0.0) + (np.arange(size) + 1 - card.get(f"CRPIX{number}", 1.0)) * step
    return _Axis(kind, values, str(card.get(f"CUNIT{number}", "")).strip())


def _assembled(image: _Image, axes: list[_Axis], card: Any, *, radio: bool) -> Source:
    order, kind, notes = _order([a.kind for a in axes], image.shape, radio)
    stored = Stored(image.array, order)
    header = Header(
        "fits",
        kind,
        stored.shape(DIMS[kind]),
        np.dtype(image.array.dtype),
        units=str(card.get("BUNIT", "")).strip(),
        scale=image.scale,
        offset=image.offset,
        nodata=image.nodata,
        wcs=_celestial(card),
        attrs={k.lower().replace("-", "_"): card[k] for k in _KEPT if k in card and card[k] not in (None, "")},
        notes=notes,
    )
    along = {o: a for o, a in zip(order, axes, strict=True) if isinstance(o, str)}
    if kind == "raw_cube":
        return Source(_spectral(header, along["band"]), stored)
    return Source(_times(_frequencies(header, along.get("channel"), card), along.get("time")), stored)


def _order(
    kinds: list[str | None], shape: tuple[int, ...], radio: bool
) -> tuple[tuple[str | int, ...], Kind, tuple[str, ...]]:
    """What each axis of the array is; polarisation and spare axes of length 1 are dropped."""
    notes: list[str] = []
    order: list[str | int | None] = list(kinds)
    for i, name in enumerate(kinds):
        if name == "stokes":
            order[i] = 0
            notes.append("the Stokes axis is dropped" + (f"; the first of {shape[i]} is read" if shape[i] > 1 else ""))
    radio = radio or "channel" in order or "time" in order
    known = DIMS["radio_cube" if radio else "raw_cube"]
    for i in range(len(order)):  # spare axes in front, until as many are left as the product has
        if order[i] is None and shape[i] == 1 and sum(not isinstance(o, int) for o in order) > len(known) - radio:
            order[i] = 0
            notes.append(f"axis {len(order) - i} of length 1 is dropped")
    missing = [d for d in (("y", "x") if radio else ("band", "y", "x")) if d not in order]  # in the order FITS stores
    for i in range(len(order)):
        if order[i] is None and missing:
            order[i] = missing.pop(0)
            notes.append(f"axis {len(order) - i} has no CTYPE that is known and is taken as {order[i]}")
    names = [o for o in order if isinstance(o, str)]
    if missing or len(set(names)) != len(names) or not set(names) <= set(known) or None in order:
        found = ", ".join(k or "?" for k in reversed(kinds))
        raise Unreadable(
            f"the axes of the image are ({found}), of lengths {shape[::-1]}; expected two on the sky and a spectral one, "
            "or also time; correct CTYPE1 ... CTYPEn"
        )
    return tuple(o for o in order if o is not None), "radio_cube" if radio else "raw_cube", tuple(notes)


def _celestial(card: Any) -> str | None:
    """The cards that place the image on the sky, one per line."""
    import warnings

    from astropy.wcs import WCS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sky = WCS(card).celestial
            return sky.to_header().tostring(sep="\n").strip() if sky.naxis == 2 else None
    except Exception:  # noqa: BLE001  a damaged world coordinate system does not spoil the values
        return None


def _spectral(header: Header, axis: _Axis) -> Header:
    if axis.kind != "band":
        return header.noted("no wavelengths were found; bands are numbered")
    try:
        wavelength, notes = wavelength_nm(axis.values, axis.unit or "m")
    except Unreadable:
        return header.noted(f"the spectral axis is in {axis.unit or 'no unit'}, not a wavelength; bands are numbered")
    return header.noted(*notes, wavelength=wavelength)


def _frequencies(header: Header, axis: _Axis | None, card: Any) -> Header:
    if axis is not None:
        freqs, notes = frequency_mhz(axis.values, axis.unit or "Hz")
        return header.noted(*notes, freqs=freqs)
    rest = card.get("RESTFRQ", card.get("RESTFREQ"))
    if not rest:
        raise Unreadable("the image series has no frequency axis and no RESTFRQ; add RESTFRQ [Hz] to the header")
    return header.noted("there is one channel, at RESTFRQ", freqs=np.array([float(rest) / 1e6]))


def _times(header: Header, axis: _Axis | None) -> Header:
    if axis is None:
        return header.noted("there is one time sample", time=np.zeros(1))
    unit = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0, "d": 86400.0}.get(axis.unit.lower())
    if unit is None:
        raise Unreadable(f"the time axis is in {axis.unit!r}, expected s, ms, us, min, h or d; correct CUNIT")
    return header.noted(time=(axis.values - axis.values[0]) * unit)


def _with_table(header: Header, file: Any, card: Any) -> Header:
    """What an export of ours keeps beside the image: each band's own wavelength, width and state; the map's place."""
    if "GEOTRANS" in card and header.kind == "raw_cube":
        a, b, c, d, e, f = (float(v) for v in str(card["GEOTRANS"]).split())
        header = header.noted(transform=(a, b, c, d, e, f), crs=card.get("CRSWKT"))
    if "SPECTRAL" not in file:
        return header
    table = file["SPECTRAL"].data
    columns = {"WAVELENGTH": "wavelength", "FWHM": "fwhm", "BAD": "bad_bands", "FREQ": "freqs"}
    found = {
        columns[n]: np.array(table[n]).astype(table[n].dtype.newbyteorder("=")) for n in table.names if n in columns
    }
    return header.noted(**found)
