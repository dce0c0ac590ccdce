"""Overlapping windows whose weights sum to one: for operators that look further than anyone can wait for."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from tasks.array.namespace import namespace


def window_starts(size: int, window: int, overlap: int) -> list[int]:
    """Where windows of ``window`` samples begin on an axis: ``overlap`` apart at least, the last one at the end."""
    if window >= size:
        return [0]
    step = window - overlap
    starts = list(range(0, size - window, step))
    return [*starts, size - window]


def window_weights(size: int, window: int, overlap: int, reach: int = 0) -> tuple[list[int], np.ndarray]:
    """Starts of the windows on an axis and the weight of each of their samples.

    Parameters
    ----------
    size, window, overlap : int
        Samples of the axis, of a window, and shared by neighbours at least.
    reach : int
        Samples next to an inner edge that are not to be trusted, because the operator misses its context there: they
        get no weight.

    Returns
    -------
    starts : list of int
    weights : (window number, window) float64 array
        Raised cosines; over the windows that cover a sample they sum to one.

    Raises
    ------
    ValueError
        If the windows cannot cover the axis with samples to be trusted.
    """
    if not 2 * reach < overlap + 1 <= window and window < size:
        raise ValueError(
            f"windows of {window} samples overlap by {overlap}, expected more than twice the reach of {reach} "
            "and less than the window; choose larger windows"
        )
    window = min(window, size)
    starts = window_starts(size, window, overlap)
    ramp = max(overlap - 2 * reach, 1)
    rise = np.sin(0.5 * np.pi * (np.arange(1, ramp + 1) / (ramp + 1))) ** 2
    weights = np.ones((len(starts), window))
    for k, start in enumerate(starts):
        if start > 0:
            weights[k, :reach] = 0
            weights[k, reach : reach + ramp] = rise
        if start + window < size:
            weights[k, window - reach :] = 0
            weights[k, window - reach - ramp : window - reach] *= rise[::-1]
    total = np.zeros(size)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + window] += weight
    return starts, np.stack([w / total[s : s + window] for s, w in zip(starts, weights, strict=True)])


def blended(
    apply: Callable[[Any], Any], array: Any, window: Sequence[int], overlap: Sequence[int], reach: Sequence[int]
) -> Any:
    """``apply`` run on overlapping windows of ``array`` and blended; equal to ``apply(array)`` where its reach is kept.

    Parameters
    ----------
    apply : function
        From a window to an array of the same shape.
    array : array
    window, overlap, reach : sequence of int
        One per axis, see `window_weights`.
    """
    xp = namespace(array)
    axes = [window_weights(n, w, o, r) for n, w, o, r in zip(array.shape, window, overlap, reach, strict=True)]
    out = xp.zeros(array.shape, xp.float32)
    for index in product(*(range(len(starts)) for starts, _ in axes)):
        part = tuple(
            slice(starts[i], starts[i] + weights.shape[1]) for i, (starts, weights) in zip(index, axes, strict=True)
        )
        value = apply(array[part])
        for axis, (i, (_, weights)) in enumerate(zip(index, axes, strict=True)):
            shape = [1] * array.ndim
            shape[axis] = -1
            value = value * xp.asarray(weights[i], xp.float32).reshape(shape)
        out[part] += value
    return out
