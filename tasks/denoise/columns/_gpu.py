"""The spread along columns on the GPU, all columns at once."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace
from tasks.denoise.outliers import MAD, STILL


def spread(cube: Any, clean: Any, valid: Any, sigma: Any) -> tuple[Any, Any]:
    """See `tasks.denoise.columns._cpu.spread`."""
    xp = namespace(cube)
    residual = xp.where(valid, cube - clean, xp.float32(np.nan))
    seen = valid.any(0)
    residual = xp.where(seen, residual, xp.float32(0))
    found = MAD * xp.nanmedian(xp.abs(residual - xp.nanmedian(residual, axis=0)), axis=0)
    pairs = valid[1:] & valid[:-1]
    alike = (xp.abs(xp.diff(cube, axis=0)) < STILL * sigma) & pairs
    return xp.where(seen, found, xp.float32(np.nan)), 2 * alike.sum(0) > pairs.sum(0)
