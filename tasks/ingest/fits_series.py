"""A folder of FITS images, one per time: a survey's snapshots read as one radio cube, in the order of their dates."""

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tasks.ingest import fits
from tasks.ingest.header import Unreadable
from tasks.ingest.source import Source, Stored

_MOST_FILES = 100_000
_DAY = 86400.0


@dataclass(frozen=True)
class Series:
    """Images of equal shape, stacked along a first axis of time."""

    images: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.images), *self.images[0].shape)

    @property
    def dtype(self) -> np.dtype:
        return self.images[0].dtype

    def __getitem__(self, region: Any) -> np.ndarray:
        return np.stack([image[region[1:]] for image in self.images[region[0]]])


def accepts(path: Path) -> bool:
    """Whether ``path`` is a folder of nothing but dated FITS files, at least two."""
    if not path.is_dir():
        return False
    try:
        members = list(islice((p for p in path.iterdir() if not p.name.startswith(".")), _MOST_FILES))
        if len(members) < 2 or not all(p.is_file() and fits.accepts(p) for p in members):
            return False
        return all(_date(p) is not None for p in members[:2])
    except OSError:
        return False


def files(path: Path) -> list[Path]:
    """The folder, which counts as one."""
    return [path]


def open(path: Path, variable: str | None = None) -> Source:
    """All images of the folder as one cube."""
    members = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    dated = sorted((_required_date(p), p) for p in members)
    dates = np.array([d for d, _ in dated])
    if len(set(dates)) < len(dates):
        raise Unreadable("two images have the same DATE-OBS; a series needs one image per time")
    sources = [fits.open_snapshot(p, variable) for _, p in dated]
    first = sources[0]
    for (_, member), source in zip(dated, sources, strict=True):
        _refuse_unlike(first, source, member)
    header = first.header
    inner = (0 if o == "time" else o for o in first.values.order)  # a time axis of length 1 inside each image
    stored = Stored(Series(tuple(s.values.array for s in sources)), ("time", *inner))
    shape = (len(sources), *header.shape[1:])
    return Source(replace(header, shape=shape, time=(dates - dates[0]) * _DAY), stored)


def _refuse_unlike(first: Source, source: Source, member: Path) -> None:
    one, other = first.header, source.header
    if other.kind != "radio_cube" or other.shape[0] != 1:
        raise Unreadable(f"{member.name!r} is no single image with a frequency; a series needs one image per file")
    same = one.shape == other.shape and one.source_dtype == other.source_dtype
    meaning = (one.scale, one.offset, one.nodata) == (other.scale, other.offset, other.nodata)
    if not (same and meaning and np.allclose(one.freqs, other.freqs)):  # type: ignore[arg-type]
        raise Unreadable(
            f"{member.name!r} differs from the first image in shape, type, scale or frequencies; sort it out"
        )


def _date(path: Path) -> float | None:
    """Days since some beginning, from MJD-OBS or DATE-OBS."""
    from astropy.io import fits as library
    from astropy.time import Time

    try:
        with library.open(path) as file:
            card = file[0].header
            if "MJD-OBS" in card:
                return float(card["MJD-OBS"])
            date: Any = Time(card["DATE-OBS"], scale="utc") if "DATE-OBS" in card else None
            return None if date is None else float(date.mjd)
    except Exception:  # noqa: BLE001  a damaged header has no date
        return None


def _required_date(path: Path) -> float:
    date = _date(path)
    if date is None:
        raise Unreadable(f"{path.name!r} has neither MJD-OBS nor DATE-OBS; a series needs the time of each image")
    return date
