"""What the values of a cube look like, from the small records its tiles leave: share of valid values, range per band."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Survey:
    """Range and number of valid values along the spectral axis, over a whole cube."""

    n_values: int
    n_valid: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def valid_fraction(self) -> float:
        return float(self.n_valid.sum() / self.n_values)

    @property
    def constant(self) -> np.ndarray:
        """Bands whose valid values are all equal."""
        return np.flatnonzero((self.n_valid > 0) & (self.low == self.high))

    @property
    def empty(self) -> np.ndarray:
        """Bands without one valid value."""
        return np.flatnonzero(self.n_valid == 0)

    def notes(self) -> tuple[str, ...]:
        """What a person should know, one sentence each."""
        found = (("constant", self.constant), ("without any valid value", self.empty))
        return tuple(f"{len(b)} bands are {what}: {_listed(b)}" for what, b in found if len(b))


def tile_record(values: np.ndarray, valid: np.ndarray, spectral: int) -> dict[str, Any]:
    """The record of one tile; ``spectral`` is the axis of bands or channels. Plain numbers, for the ledger."""
    others = tuple(i for i in range(values.ndim) if i != spectral)
    ends = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
    chosen: dict[str, Any] = {} if valid.all() else {"where": valid}  # a mask makes the search five times slower
    low = np.min(values, axis=others, initial=ends.max, **chosen)
    high = np.max(values, axis=others, initial=ends.min, **chosen)
    count = np.count_nonzero(valid, axis=others)
    return {
        "size": int(values.size),
        "n": count.tolist(),
        "low": low.astype(np.float64).tolist(),
        "high": high.astype(np.float64).tolist(),
    }


def surveyed(records: Iterable[dict[str, Any]]) -> Survey:
    """The whole cube's survey from the records of all its tiles."""
    kept = list(records)
    return Survey(
        sum(r["size"] for r in kept),
        np.sum([r["n"] for r in kept], axis=0),
        np.min([r["low"] for r in kept], axis=0),
        np.max([r["high"] for r in kept], axis=0),
    )


def _listed(bands: np.ndarray) -> str:
    return ", ".join(map(str, bands[:10])) + (", ..." if len(bands) > 10 else "")
