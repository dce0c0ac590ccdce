"""What is in a cube besides scene and Gaussian noise: stripes, dead lines and impulses, found against an estimate."""

from typing import Any, NamedTuple

import numpy as np

from tasks.array.namespace import namespace

MAD = 1.4826
"""Standard deviation of Gaussian noise over its median absolute deviation."""

IMPULSE = 4.5
"""A sample this far from the estimate is an impulse [sigma]."""

STRIPE = 4.5
"""A column's median this far from zero is a stripe [standard deviations of such a median]."""

RESTLESS = 2.5
"""A column whose residual spreads this much more than its band's does not show the scene."""

STILL = 0.3
"""A column whose samples differ this much less from the next than noise would make them is dead."""

RARE = 0.25
"""A pixel with outliers in more than this fraction of its bands is rare, not damaged, and stays."""

STRIP = 1 << 18
"""Samples looked at together; bounds the memory."""


class Repaired(NamedTuple):
    """A cube without its outliers: ``cube`` with impulses and dead columns replaced by the estimate and ``offsets``
    (x, band) of stripes taken away; ``outlier`` (y, x, band) bool says which samples were replaced."""

    cube: Any
    offsets: Any
    outlier: Any


def repair(cube: Any, estimate: Any, valid: Any, sigma: Any) -> Repaired:
    """Take stripes, dead columns and impulses out of whole columns of a cube.

    Parameters
    ----------
    cube, estimate : (y, x, band) float32 arrays
        What was measured, and a denoised version of it that need not be good yet.
    valid : (y, x, band) bool array or None
    sigma : (band,) array
        Standard deviation of the noise.

    Notes
    -----
    The column offset of least absolute residual is its median. Both it and an impulse are taken whole once they are
    significant: soft thresholds, as the l1 norm alone would have it, would leave a part of each behind. An estimate
    made from striped data keeps part of each stripe as a ridge, which is added to the offset.
    """
    xp = namespace(cube)
    n_y, n_x, n_band = cube.shape
    sigma = xp.asarray(sigma, xp.float32)
    width = max(1, STRIP // (n_y * n_band))
    out = Repaired(xp.empty_like(cube), xp.empty((n_x, n_band), xp.float32), xp.empty(cube.shape, bool))
    for start in range(0, n_x, width):
        s = slice(start, min(start + width, n_x))
        marks = None if valid is None else valid[:, s]
        out.cube[:, s], out.offsets[s], out.outlier[:, s] = _strip(xp, cube, estimate, marks, sigma, s)
    return out


def _strip(xp: Any, cube: Any, estimate: Any, valid: Any, sigma: Any, columns: slice) -> tuple[Any, Any, Any]:
    n_y = len(cube)
    measured, expected = cube[:, columns], estimate[:, columns]
    residual = measured - expected
    if valid is not None:
        residual = xp.where(valid, residual, xp.float32(0))
    offset = xp.median(residual, axis=0).astype(xp.float32)
    dead = MAD * xp.median(xp.abs(residual - offset), axis=0) > RESTLESS * sigma
    if n_y > 1:
        dead |= xp.median(xp.abs(xp.diff(measured, axis=0)), axis=0) < STILL * sigma
    # the median of n Gaussian samples scatters by 1.25 sigma / sqrt(n)
    striped = xp.abs(offset) > STRIPE * 1.25 * sigma / np.float32(n_y**0.5)
    offset = xp.where(striped & ~dead, offset + _ridge(xp, estimate, columns), xp.float32(0))
    residual -= offset
    outlier = xp.abs(residual) > IMPULSE * sigma
    outlier &= (outlier & ~dead).mean(2, keepdims=True) <= RARE
    outlier |= dead
    return expected + xp.where(outlier, xp.float32(0), residual), offset, outlier


def _ridge(xp: Any, estimate: Any, columns: slice) -> Any:
    """How far each column of the estimate lies above its two neighbours, typically: the stripe that is left in it."""
    last = estimate.shape[1] - 1
    index = xp.arange(columns.start, columns.stop)
    left, right = xp.maximum(index - 1, 0), xp.minimum(index + 1, last)
    either = (estimate[:, left] + estimate[:, right]) * xp.float32(0.5)
    return xp.median(estimate[:, columns] - either, axis=0).astype(xp.float32)
