"""Sums that do not depend on who computed what when, and estimates of location and spread that outliers cannot move."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tasks.array.namespace import namespace

T = TypeVar("T")

MAD_TO_SIGMA = 1.482602218505602
"""Standard deviation of a Gaussian over its median absolute deviation: 1 / Phi^-1(3/4)."""


def tree_reduce(parts: Sequence[T], merge: Callable[[T, T], T]) -> T:
    """Merge ``parts`` pairwise along a fixed binary tree, in the order given.

    The shape of the tree depends on the number of parts only, so floating-point sums come out with the same bits
    for any number of workers, whatever order their tiles finished in.

    Raises
    ------
    ValueError
        If there is nothing to merge.
    """
    level = list(parts)
    if not level:
        raise ValueError("there are no parts to merge, expected at least one; pass the result of at least one tile")
    while len(level) > 1:
        pairs = [merge(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[2 * len(pairs) :]
    return level[0]


def mad_sigma(values: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """Standard deviation of the Gaussian core of ``values`` along ``axis``, blind to NaN.

    1.4826 times the median absolute deviation from the median: half of the values may be outliers.
    """
    xp = namespace(values)
    centre = xp.nanmedian(values, axis=axis, keepdims=True)
    return MAD_TO_SIGMA * xp.nanmedian(xp.abs(values - centre), axis=axis)


def weighted_mean(values: Any, weights: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """Mean of ``values`` with ``weights`` along ``axis``; NaN where the weights sum to zero."""
    xp = namespace(values, weights)
    total = xp.sum(weights, axis=axis)
    summed = xp.sum(xp.where(weights > 0, values, 0) * weights, axis=axis)
    return xp.where(total > 0, summed / xp.where(total > 0, total, 1), xp.nan)
