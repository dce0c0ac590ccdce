"""ENVI images: a text header beside a plain binary file, in any interleave and byte order.

The header is parsed here, in one regular expression: the parser of the `spectral` package reads in the locale's
encoding (a "µm" in Latin-1 stops it), splits a projection's WKT at its commas and hides every cause of failure.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from tasks.ingest.georeference import wkt
from tasks.ingest.header import DIMS, Header, Unreadable
from tasks.ingest.raw import RawArray, check_size
from tasks.ingest.source import Source, Stored
from tasks.ingest.spectral_axis import wavelength_nm

INTERLEAVES = {"bsq": ("band", "y", "x"), "bil": ("y", "band", "x"), "bip": ("y", "x", "band")}
DTYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_ENDINGS = ("", ".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip", ".hyspex", ".cube", ".envi")
_LONGEST_HEADER = 32 << 20
_FIELD = re.compile(r"^[ \t]*([^=;{}\n]+?)[ \t]*=[ \t]*(?:\{([^}]*)\}|([^\n]*))", re.M)


def accepts(path: Path) -> bool:
    """Whether ``path`` is an ENVI header, or a file with one beside it."""
    return _is_header(path) or (path.is_file() and header_beside(path) is not None)


def files(path: Path) -> list[Path]:
    """The binary file and its header, whichever of the two ``path`` is."""
    header = path if _is_header(path) else header_beside(path)
    if header is None:
        raise Unreadable("no ENVI header lies beside it; add NAME.hdr")
    data = _data_beside(header, parse(header)) if header == path else path
    return [data, header]


def open(path: Path, variable: str | None = None) -> Source:
    """The image at ``path``; ``variable`` means nothing to this format."""
    data, header = files(path)
    fields = parse(header)
    array = _array(data, fields)
    check_size(array, f"the header {header.name!r}", exact=True)
    interleave = fields["interleave"].lower()
    stored = Stored(array, INTERLEAVES[interleave])
    described = Header(
        "envi",
        "raw_cube",
        stored.shape(DIMS["raw_cube"]),
        array.dtype,
        units=fields.get("data units", ""),
        nodata=_number(fields, "data ignore value"),
        attrs={"interleave": interleave, **_description(fields)},
    )
    return Source(_georeferenced(_scaled(_spectral(described, fields), fields), fields), stored)


def parse(header: Path) -> dict[str, str]:
    """Fields of an ENVI header, names in lower case; lists are left as their text."""
    size = header.stat().st_size
    if size > _LONGEST_HEADER:
        raise Unreadable(f"the header {header.name!r} has {size} bytes, expected a short text")
    raw = header.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return {m[1].strip().lower(): (m[2] if m[2] is not None else m[3]).strip() for m in _FIELD.finditer(text)}


def header_beside(path: Path) -> Path | None:
    """The header of the binary file ``path``: name.img.hdr or name.hdr, in either case."""
    for name in (path.name, path.stem):
        for ending in (".hdr", ".HDR"):
            candidate = path.with_name(name + ending)
            if candidate != path and _is_header(candidate):
                return candidate
    return None


def _is_header(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8).removeprefix(b"\xef\xbb\xbf").lstrip()[:4] == b"ENVI"
    except OSError:
        return False


def _data_beside(header: Path, fields: dict[str, str]) -> Path:
    """The binary file of ``header``; of several, the one whose size fits."""
    stem = header.name[: -len(".hdr")] if header.name.lower().endswith(".hdr") else header.name
    names = {stem + e for ending in _ENDINGS for e in (ending, ending.upper())}
    found = sorted(p for p in (header.with_name(n) for n in names if n) if p.is_file() and p != header)
    if not found:
        raise Unreadable(f"no binary file lies beside this header; expected {stem!r} or {stem + '.img'!r}")
    fitting = [p for p in found if p.stat().st_size == _array(p, fields).end]
    return (fitting or found)[0]


def _array(data: Path, fields: dict[str, str]) -> RawArray:
    if "spectral library" in fields.get("file type", "").lower():
        raise Unreadable("the header describes a spectral library, expected an image; give an image")
    if fields.get("file compression", "0") not in ("", "0"):
        raise Unreadable("the image is compressed, which is not read; save it without compression")
    interleave = fields.get("interleave", "").lower()
    if interleave not in INTERLEAVES:
        raise Unreadable(f"interleave is {interleave or 'missing'!r}, expected bsq, bil or bip; correct the header")
    code = _integer(fields, "data type")
    if code not in DTYPES:
        raise Unreadable(f"data type is {code}, expected one of {', '.join(map(str, DTYPES))}; correct the header")
    sizes = {"y": _integer(fields, "lines"), "x": _integer(fields, "samples"), "band": _integer(fields, "bands")}
    for name, n in sizes.items():
        if n < 1:
            word = {"y": "lines", "x": "samples", "band": "bands"}[name]
            raise Unreadable(f"{word} is {n}, expected at least 1; correct the header")
    for name in ("major frame offsets", "minor frame offsets"):
        if re.search("[1-9]", fields.get(name, "")):
            raise Unreadable(f"the header has {name}, which are not read; save the image without them")
    dtype = np.dtype(DTYPES[code]).newbyteorder(">" if _integer(fields, "byte order", 0) == 1 else "<")
    shape = tuple(sizes[d] for d in INTERLEAVES[interleave])
    return RawArray(str(data), dtype, shape, max(_integer(fields, "header offset", 0), 0))


def _integer(fields: dict[str, str], name: str, default: int | None = None) -> int:
    text = fields.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"[+-]?\d{1,18}", text):
        raise Unreadable(f"{name} is {text if text else 'missing'!r}, expected a whole number; correct the header")
    return int(text)


def _number(fields: dict[str, str], name: str) -> float | None:
    try:
        return float(fields[name]) if name in fields else None
    except ValueError:
        raise Unreadable(f"{name} is {fields[name]!r}, expected a number; correct the header") from None


def _numbers(fields: dict[str, str], name: str, n: int) -> np.ndarray | None:
    """The list ``name`` with one number for each of the ``n`` bands, or None where the header has none."""
    parts = [p for p in re.split(r"[,\s]+", fields.get(name, "")) if p]
    if not parts:
        return None
    try:
        values = np.array([float(p) for p in parts])
    except ValueError:
        raise Unreadable(f"{name} holds something that is not a number; correct the header") from None
    if len(values) != n:
        raise Unreadable(
            f"{name} lists {len(values)} numbers, expected one for each of the {n} bands; correct the header"
        )
    return values


def _description(fields: dict[str, str]) -> dict[str, Any]:
    kept = ("description", "sensor type", "acquisition time", "band names")
    return {k.replace(" ", "_"): fields[k] for k in kept if fields.get(k)}


def _spectral(header: Header, fields: dict[str, str]) -> Header:
    n = header.shape[2]
    values = _numbers(fields, "wavelength", n)
    if values is None:
        header = header.noted("the header lists no wavelengths; bands are numbered")
    else:
        wavelength, notes = wavelength_nm(values, fields.get("wavelength units"))
        header = header.noted(*notes, wavelength=wavelength)
        if (widths := _numbers(fields, "fwhm", n)) is not None and wavelength is not None and (values > 0).all():
            header = header.noted(fwhm=widths * (wavelength / values))
    good = _numbers(fields, "bbl", n)
    return header if good is None else header.noted(bad_bands=good == 0)


def _scaled(header: Header, fields: dict[str, str]) -> Header:
    """Gains and offsets, or the reflectance factor (values are reflectance times this number)."""
    factor = _number(fields, "reflectance scale factor")
    if factor:
        return header.noted(f"values are divided by the reflectance scale factor {factor:g}", scale=1.0 / factor)
    gains = _numbers(fields, "data gain values", header.shape[2])
    offsets = _numbers(fields, "data offset values", header.shape[2])
    return header.noted(gains=gains, offsets=offsets)


def _georeferenced(header: Header, fields: dict[str, str]) -> Header:
    parts = [p.strip() for p in fields.get("map info", "").split(",")]
    if len(parts) < 7:
        return header
    try:
        column, row, east, north, dx, dy = (float(p) for p in parts[1:7])
        turn = next((float(p.split("=")[1]) for p in parts if p.lower().startswith("rotation")), 0.0)
    except ValueError:
        return header.noted("map info is not understood and is left out")
    cos, sin = float(np.cos(np.deg2rad(turn))), float(np.sin(np.deg2rad(turn)))
    a, b, d, e = dx * cos, dx * sin, dy * sin, -dy * cos
    corner = (east - a * (column - 1) - b * (row - 1), north - d * (column - 1) - e * (row - 1))
    crs = _projection(parts, fields)
    notes = () if crs else (f"the projection {parts[0]!r} is not understood; coordinates are kept without it",)
    return header.noted(*notes, crs=crs, transform=(a, b, corner[0], d, e, corner[1]))


def _projection(parts: list[str], fields: dict[str, str]) -> str | None:
    if text := fields.get("coordinate system string"):
        return wkt(text)
    wgs84 = any(p.replace(" ", "").replace("-", "").lower() == "wgs84" for p in parts)
    if parts[0].lower() == "utm" and wgs84 and len(parts) >= 9 and parts[7].isdigit():
        return wkt(f"EPSG:{(32700 if parts[8].lower().startswith('s') else 32600) + int(parts[7])}")
    return wkt("EPSG:4326") if parts[0].lower().startswith("geographic") and wgs84 else None
