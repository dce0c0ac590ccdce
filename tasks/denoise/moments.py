"""Pass 1: the sums over pixels from which noise, rank and subspace follow; those of two tiles add up exactly."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tasks.array.namespace import at_a_time, namespace, to_host

ROWS = 1024
"""Pixels per float64 product: small enough for the cache, large enough for BLAS."""


@dataclass(frozen=True)
class Moments:
    """Sums over the pixels of a region; float64 and integers on the host.

    ``count, total, square`` run over pixels whose usable bands are all valid. ``filled_*`` run over pixels that miss
    some, interpolated along the bands: they are used only where complete pixels are too few.
    """

    count: int
    total: np.ndarray
    square: np.ndarray
    filled_count: int
    filled_total: np.ndarray
    filled_square: np.ndarray
    seen: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    pixels: int
    empty: int


def merge(a: Moments, b: Moments) -> Moments:
    """The moments of both regions together."""
    rules = {"lowest": np.minimum, "highest": np.maximum}
    return Moments(**{f.name: rules.get(f.name, np.add)(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)})


def packed_size(n_band: int) -> int:
    """Length of packed moments."""
    return 4 + 5 * n_band + 2 * n_band**2


def packed(moments: Moments) -> np.ndarray:
    """All numbers of ``moments`` in one float64 vector; counts are exact up to 2**53."""
    return np.concatenate([np.ravel(np.asarray(getattr(moments, f.name), np.float64)) for f in fields(moments)])


def unpacked(vector: np.ndarray, n_band: int) -> Moments:
    """The moments that `packed` made into ``vector``."""
    shapes = {"square": (n_band, n_band), "filled_square": (n_band, n_band)}
    counts = ("count", "filled_count", "pixels", "empty")
    values, start = {}, 0
    for f in fields(Moments):
        shape = () if f.name in counts else shapes.get(f.name, (n_band,))
        stop = start + int(np.prod(shape))
        part = vector[start:stop].reshape(shape)
        values[f.name] = int(part) if f.name in counts else part
        start = stop
    return Moments(**values)


def measure(block: Any, valid: Any, bands: np.ndarray) -> Moments:
    """Sum up one block.

    Parameters
    ----------
    block : (y, x, band) float32 array
        Zero where not valid.
    valid : (y, x, band) bool array or None
        None where every sample is valid.
    bands : (band,) bool array
        The bands that a pixel must have valid to be called complete.
    """
    xp = namespace(block)
    flat = block.reshape(-1, block.shape[-1])
    if valid is None:
        seen, whole, broken, empty = np.full(flat.shape[1], len(flat), np.int64), flat, flat[:0], 0
        low, high = _extremes(xp, flat)
    else:
        marks = valid.reshape(flat.shape)
        seen = to_host(marks.sum(0)).astype(np.int64)
        low, high = xp.where(marks, flat, xp.inf).min(0), xp.where(marks, flat, -xp.inf).max(0)
        whole, broken, empty = _split_pixels(xp, flat, marks, xp.asarray(bands))
    ends = {"lowest": to_host(low).astype(float), "highest": to_host(high).astype(float)}
    return Moments(*_sums(xp, whole), *_sums(xp, broken), seen=seen, **ends, pixels=len(flat), empty=empty)


def _extremes(xp: Any, flat: Any) -> tuple[Any, Any]:
    """The smallest and the largest value of each band, part by part: the second look finds a part in the cache."""
    rows = at_a_time(flat, ROWS)
    parts = [flat[start : start + rows] for start in range(0, len(flat), rows)]
    ends = [(part.min(0), part.max(0)) for part in parts]
    return xp.stack([low for low, _ in ends]).min(0), xp.stack([high for _, high in ends]).max(0)


def _split_pixels(xp: Any, flat: Any, marks: Any, bands: Any) -> tuple[Any, Any, int]:
    n_seen = (marks & bands).sum(1)
    n_band = int(bands.sum())
    whole = n_seen == n_band
    broken = ~whole & (2 * n_seen >= n_band)
    return flat[whole], interpolated(flat[broken], marks[broken]), int((n_seen == 0).sum())


def interpolated(spectra: Any, marks: Any) -> Any:
    """``spectra`` (pixel, band) with samples whose mark is False drawn linearly between their valid neighbours."""
    xp = namespace(spectra)
    if not len(spectra):
        return spectra
    n_band = spectra.shape[1]
    index = xp.arange(n_band)
    left = xp.maximum.accumulate(xp.where(marks, index, -1), axis=1)
    mirrored = xp.maximum.accumulate(xp.where(marks, n_band - 1 - index, -1)[:, ::-1], axis=1)
    right = n_band - 1 - mirrored[:, ::-1]
    has_left, has_right = left >= 0, right < n_band
    left, right = xp.where(has_left, left, right), xp.where(has_right, right, left)
    left, right = xp.clip(left, 0, n_band - 1), xp.clip(right, 0, n_band - 1)
    low, high = xp.take_along_axis(spectra, left, 1), xp.take_along_axis(spectra, right, 1)
    share = (index - left) / xp.maximum(right - left, 1)
    return (low + (high - low) * share).astype(spectra.dtype)


def _sums(xp: Any, spectra: Any) -> tuple[int, np.ndarray, np.ndarray]:
    """Count, sum and sum of outer products; float64, because the noise is what remains of nearly equal numbers."""
    n_band = spectra.shape[1]
    total, square = xp.zeros(n_band), xp.zeros((n_band, n_band))
    rows = at_a_time(spectra, ROWS)
    for start in range(0, len(spectra), rows):
        part = spectra[start : start + rows].astype(xp.float64)
        total += part.sum(0)
        square += part.T @ part
    return len(spectra), to_host(total), to_host(square)
