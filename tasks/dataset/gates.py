"""Quality gates: what must hold of a dataset before it is published, with the samples that break it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SHOWN = 20
"""Offenders that are kept by name."""


@dataclass(frozen=True)
class Gate:
    """One check: what was found, the limit it was held against, and who broke it."""

    name: str
    passed: bool
    found: float
    limit: float
    offenders: tuple[str, ...] = ()

    def __str__(self) -> str:
        state = "passed" if self.passed else "failed"
        names = f"; first of them: {', '.join(self.offenders[:5])}" if self.offenders else ""
        return f"gate {self.name} {state}: found {self.found:g}, limit {self.limit:g}{names}"


def none_of(name: str, ids: Sequence[str], bad: np.ndarray) -> Gate:
    """No sample may have ``bad`` set."""
    return Gate(name, not bad.any(), int(bad.sum()), 0, _shown(ids, bad))


def at_least(name: str, ids: Sequence[str], values: np.ndarray, limit: float) -> Gate:
    """Every sample's value reaches ``limit``; NaN does not."""
    bad = ~(np.asarray(values) >= limit)
    return Gate(name, not bad.any(), float(np.min(values, initial=np.inf)), limit, _shown(ids, bad))


def at_most(name: str, ids: Sequence[str], values: np.ndarray, limit: float) -> Gate:
    """No sample's value exceeds ``limit``; NaN counts as exceeding."""
    bad = ~(np.asarray(values) <= limit)
    return Gate(name, not bad.any(), float(np.max(values, initial=-np.inf)), limit, _shown(ids, bad))


def not_finite(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether a sample holds NaN or infinity in any of the arrays."""
    masks = [~np.isfinite(a).reshape(len(a), -1).all(axis=1) for a in arrays.values() if a.dtype.kind in "fc"]
    return np.logical_or.reduce(masks) if masks else np.zeros(len(next(iter(arrays.values()))), bool)


def enough_per_class(labels: Sequence[str], minimum: int, wanted: Collection[str] = ()) -> Gate:
    """Every class, those ``wanted`` among them, has at least ``minimum`` samples; the offenders are classes."""
    counts = Counter(labels)
    few = sorted(name for name in {*counts, *wanted} if counts[name] < minimum)
    return Gate(
        "class_minimum", not few, min((counts[n] for n in {*counts, *wanted}), default=0), minimum, tuple(few[:SHOWN])
    )


def unique_ids(ids: Sequence[str]) -> Gate:
    """No id occurs twice."""
    twice = sorted(i for i, n in Counter(ids).items() if n > 1)
    return Gate("duplicate_ids", not twice, len(twice), 0, tuple(twice[:SHOWN]))


def no_leak(ids: Sequence[str], groups: Sequence[str], splits: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Gate:
    """No group, and no pair of near-duplicates, has samples in two splits."""
    split_of, home = dict(zip(ids, splits, strict=True)), {}
    leaked = {g for g, s in zip(groups, splits, strict=True) if home.setdefault(g, s) != s}
    leaked |= {a for a, b in pairs if a in split_of and b in split_of and split_of[a] != split_of[b]}
    return Gate("split_leakage", not leaked, len(leaked), 0, tuple(sorted(leaked)[:SHOWN]))


def _shown(ids: Sequence[str], bad: np.ndarray) -> tuple[str, ...]:
    return tuple([name for name, wrong in zip(ids, bad, strict=True) if wrong][:SHOWN])
