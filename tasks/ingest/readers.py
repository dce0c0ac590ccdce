"""The formats that can be read, how a file finds its reader, and what can be said about it without ingesting it."""

import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tasks.ingest import envi, filterbank, fits, fits_series, geotiff, hdf5, matlab, npy, zarr_store
from tasks.ingest.header import Header, Unreadable
from tasks.ingest.source import Source

READERS: dict[str, ModuleType] = {
    "zarr": zarr_store,
    "numpy": npy,
    "matlab": matlab,
    "hdf5": hdf5,
    "geotiff": geotiff,
    "fits": fits,
    "fits-series": fits_series,
    "filterbank": filterbank,
    "envi": envi,
}
"""By content, in this order: a format whose mark could be taken for another's comes later."""


def reader_for(path: Path | str) -> str:
    """Name of the reader that accepts ``path``.

    Raises
    ------
    Unreadable
        If there is nothing to read, or no reader knows it.
    """
    address = address_of(path)
    if isinstance(address, str):
        if zarr_store.accepts(address):
            return "zarr"
        raise Unreadable(
            f"{_name(path)} is not local, expected a Zarr store whose name ends in .zarr; copy it here first"
        )
    name = _accepting(address)
    if name is None:
        raise Unreadable(f"{_name(path)} {_why_not(address)}")
    return name


def is_known(path: Path) -> bool:
    """Whether some reader accepts ``path``."""
    return _accepting(path) is not None


def _accepting(path: Path) -> str | None:
    if not (path.is_dir() or path.is_file()):  # opening a pipe would wait for ever
        return None
    return next((name for name, reader in READERS.items() if reader.accepts(path)), None)


def address_of(path: Path | str) -> Path | str:
    """``path`` as a Path, or unchanged where it is an address such as s3://bucket/cube.zarr."""
    return path if isinstance(path, str) and "://" in path else Path(path)


def open_source(path: Path | str, variable: str | None = None) -> Source:
    """The cube at ``path``, ready to be read by region.

    Whatever a format's library raises on a damaged file leaves here as one sentence.
    """
    reader = reader_for(path)
    try:
        return READERS[reader].open(address_of(path), variable)
    except Unreadable as error:
        raise Unreadable(f"{_name(path)}: {error}") from error
    except Exception as error:
        raise Unreadable(f"{_name(path)} looks like {reader} but cannot be read: {_sentence(error)}") from error


def files_of(path: Path | str) -> list[Path]:
    """All files that belong to ``path`` (an ENVI image and its header), the one to name it by first."""
    reader = reader_for(path)
    try:
        return READERS[reader].files(address_of(path))
    except Unreadable as error:
        raise Unreadable(f"{_name(path)}: {error}") from error


def describe(path: Path | str, variable: str | None = None) -> dict[str, Any]:
    """What ``path`` is, how it would be read, and what is wrong with it; never raises on a bad file."""
    try:
        source = open_source(path, variable)
        looked = _look(source)
        files = [str(p) for p in files_of(path)[:20]]
    except Unreadable as error:
        return {"path": str(path), "ok": False, "problem": str(error)}
    except Exception as error:  # noqa: BLE001  libraries raise what they like on damaged files
        return {
            "path": str(path),
            "ok": False,
            "problem": f"{_name(path)} breaks off while it is read: {_sentence(error)}",
        }
    return {"path": str(path), "ok": True, "files": files, **summary(source.header), **looked}


def summary(header: Header) -> dict[str, Any]:
    """A header as a few plain words and numbers."""
    ends = {
        name: [round(float(v[0]), 6), round(float(v[-1]), 6)]
        for name, v in (("wavelength_nm", header.wavelength), ("freqs_mhz", header.freqs), ("time_s", header.time))
        if v is not None
    }
    return {
        "format": header.format,
        "kind": header.kind,
        "axes": dict(zip(header.dims, header.shape, strict=True)),
        "stored_as": str(header.source_dtype),
        "product_dtype": str(header.dtype),
        "units": header.units,
        "scale": header.scale,
        "offset": header.offset,
        "nodata": header.nodata,
        **ends,
        "bad_bands": 0 if header.bad_bands is None else int(header.bad_bands.sum()),
        "georeferenced": header.crs is not None and header.transform is not None,
        "notes": list(header.notes),
    }


def _look(source: Source) -> dict[str, Any]:
    """Range and share of valid values in three small blocks: corner, middle, far corner."""
    shape = source.header.shape
    caps = (32, 32, 512) if source.header.kind == "raw_cube" else (64, 64, 16, 16)
    blocks = []
    for place in (0.0, 0.5, 1.0):
        starts = [int(place * (n - min(n, c))) for n, c in zip(shape, caps, strict=True)]
        blocks.append(source.read(tuple(slice(s, s + min(n, c)) for s, n, c in zip(starts, shape, caps, strict=True))))
    valid = np.concatenate([v.ravel() for _, v in blocks])
    values = np.concatenate([b.ravel() for b, _ in blocks])[valid]
    looked: dict[str, Any] = {"looked_at": int(valid.size), "valid_fraction": round(float(valid.mean()), 4)}
    if not values.size:
        return {**looked, "warning": "none of the values looked at is valid (NaN, nodata or masked)"}
    scale, offset = source.header.kept_scale
    ends = sorted(float(v) * scale + offset for v in (values.min(), values.max()))
    return {**looked, "min": ends[0], "max": ends[1]}


def _name(path: Path | str) -> str:
    return repr(path if isinstance(path, str) and "://" in path else Path(path).name)


def _sentence(error: Exception) -> str:
    first = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
    return f"{type(error).__name__}{': ' + first if first else ''}; copy the file again or save it anew"


def _why_not(path: Path) -> str:
    """Why no reader takes ``path``: the plain reasons first."""
    try:
        status = path.stat()
    except OSError as error:
        loop = isinstance(error, OSError) and error.errno == 40
        return "is a link that leads back to itself" if loop else f"cannot be opened: {error.strerror}"
    if stat.S_ISDIR(status.st_mode):
        return "is a folder without Zarr metadata; name a file or a Zarr store"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_size == 0:
        return "is empty (0 bytes); copy it again"
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    return f"begins with {start!r}, which no reader knows; formats: {', '.join(READERS)}"
