"""Noise of every detector column: a pushbroom sensor has one element per column and band, and they are not alike."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace, native

ROWS = 1024
"""Rows that are looked at: they tell a column's noise to 4 %."""
BLOCK = 64
"""Rows that lie together, because a chunk holds them."""


def sample_rows(n_y: int) -> list[slice]:
    """The rows of a scene from which the noise of its columns is told: all, or `ROWS` in blocks spread evenly."""
    if n_y <= ROWS:
        return [slice(0, n_y)]
    starts = np.linspace(0, n_y // BLOCK - 1, ROWS // BLOCK).astype(int) * BLOCK
    return [slice(int(start), int(start) + BLOCK) for start in starts]


def column_sigma(cube: Any, clean: Any, valid: Any, sigma: Any, sigma_after: Any) -> Any:
    """Standard deviation of the noise of each column and band, from what denoising removed.

    Parameters
    ----------
    cube, clean : (y, x, band) float32 arrays
        Columns of the scene, or many of their rows, before and after.
    valid : (y, x, band) bool array or None
    sigma, sigma_after : (band,) arrays
        Noise of each band, and the expected error of the result.

    Returns
    -------
    (x, band) float32 array
        In the unit of the cube; zero in bands that pass through unchanged, NaN where a column is dead or never valid.

    Notes
    -----
    The median absolute deviation along the column, so that neither impulses nor the column's offset count. What is
    removed lacks the noise that stays, whose variance is ``sigma_after`` squared where the filter projects. A column in
    which most neighbours differ by less than `STILL` times the noise is dead.
    """
    xp = namespace(cube)
    sigma, after = (xp.asarray(v, xp.float32) for v in (sigma, sigma_after))
    marks = xp.ones(cube.shape, bool) if valid is None else valid
    spread, still = native(cube, __package__).spread(cube, clean, marks, sigma)
    found = xp.where(sigma > 0, xp.sqrt(spread**2 + xp.minimum(after, sigma) ** 2), xp.float32(0))
    return xp.where(still & (sigma > 0), xp.float32(np.nan), xp.where(xp.isnan(spread), spread, found)).astype(
        xp.float32
    )
