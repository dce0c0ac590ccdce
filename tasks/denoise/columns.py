"""Noise of every detector column: a pushbroom sensor has one element per column and band, and they are not alike."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace
from tasks.denoise.outliers import MAD, STILL


def column_sigma(cube: Any, clean: Any, valid: Any, sigma: Any, sigma_after: Any) -> Any:
    """Standard deviation of the noise of each column and band, from what denoising removed.

    Parameters
    ----------
    cube, clean : (y, x, band) float32 arrays
        Whole columns of the scene, before and after.
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
    removed lacks the noise that stays, whose variance is ``sigma_after`` squared where the filter projects.
    """
    xp = namespace(cube)
    sigma, after = (xp.asarray(v, xp.float32) for v in (sigma, sigma_after))
    residual = cube - clean
    if valid is not None:
        residual = xp.where(valid, residual, xp.float32(np.nan))
    middle = xp.median if valid is None else xp.nanmedian
    seen = xp.isfinite(residual).any(0)
    residual = xp.where(seen, residual, xp.float32(0))
    spread = MAD * middle(xp.abs(residual - middle(residual, axis=0)), axis=0)
    found = xp.sqrt(spread**2 + xp.minimum(after, sigma) ** 2)
    if len(cube) > 1:
        steps = xp.abs(xp.diff(cube, axis=0))
        if valid is not None:
            steps = xp.where(valid[1:] & valid[:-1], steps, xp.float32(np.inf))  # a gap says nothing of stillness
        seen &= (xp.median(steps, axis=0) >= STILL * sigma) | (sigma == 0)
    return xp.where(seen, xp.where(sigma > 0, found, xp.float32(0)), xp.float32(np.nan)).astype(xp.float32)
