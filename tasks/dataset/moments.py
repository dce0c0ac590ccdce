"""Mean and spread of the training samples, shard by shard, merged as if they had been seen at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations per channel, with the extremes."""

    count: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def std(self) -> np.ndarray:
        """Standard deviation (of the samples at hand, not an estimate for others)."""
        return np.sqrt(self.m2 / np.maximum(self.count, 1))


def moments(values: np.ndarray, valid: np.ndarray | None = None) -> Moments:
    """Moments over all axes but the last, which is the channel.

    Parameters
    ----------
    values : (..., channel) array
        Samples, at least one axis before the channel.
    valid : bool array, optional
        Broadcasts to ``values``; others do not count.
    """
    x = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
    use = np.ones(x.shape, bool) if valid is None else np.broadcast_to(valid, values.shape).reshape(x.shape)
    count = use.sum(axis=0)
    mean = np.where(use, x, 0).sum(axis=0) / np.maximum(count, 1)
    m2 = (np.where(use, x - mean, 0) ** 2).sum(axis=0)
    low, high = (
        np.where(use, x, np.inf).min(axis=0, initial=np.inf),
        np.where(use, x, -np.inf).max(axis=0, initial=-np.inf),
    )
    return Moments(count, mean, m2, low, high)


def merge(parts: Iterable[Moments]) -> Moments:
    """Moments of all parts together; always merge in the same order where bytes must not change.

    References
    ----------
    Chan, Golub & LeVeque, *Updating formulae and a pairwise algorithm for computing sample variances* (1979).
    """
    return reduce(_merge_two, parts)


def _merge_two(a: Moments, b: Moments) -> Moments:
    count = a.count + b.count
    share = b.count / np.maximum(count, 1)
    delta = b.mean - a.mean
    m2 = a.m2 + b.m2 + delta**2 * a.count * share
    return Moments(count, a.mean + delta * share, m2, np.minimum(a.low, b.low), np.maximum(a.high, b.high))
