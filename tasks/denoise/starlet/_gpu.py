"""The starlet on the GPU, one thread per pixel and image."""

from itertools import pairwise
from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.denoise.starlet import _formulas

BLOCK = (256, 1)
_folded = cuda.jit(device=True)(_formulas.folded)


@cuda.jit
def smooth_columns(rows, step, out):
    """Along y; ``rows`` (y, x times image)."""
    i, y = cuda.grid(2)
    ny, size = rows.shape
    if i >= size or y >= ny:
        return
    near = rows[_folded(y - step, ny), i] + rows[_folded(y + step, ny), i]
    far = rows[_folded(y - 2 * step, ny), i] + rows[_folded(y + 2 * step, ny), i]
    out[y, i] = np.float32(0.375) * rows[y, i] + np.float32(0.25) * near + np.float32(0.0625) * far


@cuda.jit
def smooth_rows(rows, step, out):
    """Along x; ``step`` in elements of a row."""
    i, y = cuda.grid(2)
    ny, size = rows.shape
    if i >= size or y >= ny:
        return
    near = rows[y, _folded(i - step, size)] + rows[y, _folded(i + step, size)]
    far = rows[y, _folded(i - 2 * step, size)] + rows[y, _folded(i + 2 * step, size)]
    out[y, i] = np.float32(0.375) * rows[y, i] + np.float32(0.25) * near + np.float32(0.0625) * far


def smoothed(images: Any, step: int) -> Any:
    """See `tasks.denoise.starlet.smoothed`."""
    xp = namespace(images)
    ny, nx, n = images.shape
    rows = images.reshape(ny, nx * n)
    between, out = xp.empty_like(rows), xp.empty_like(rows)
    grid = (-(-nx * n // BLOCK[0]), ny)
    stream = 0 if xp is np else cuda.external_stream(xp.cuda.get_current_stream().ptr)
    smooth_columns[grid, BLOCK, stream](rows, np.int32(step), between)
    smooth_rows[grid, BLOCK, stream](between, np.int32(step * n), out)
    return out.reshape(images.shape)


def products(image: Any, fine: Any, middle: Any, coarse: Any, valid: Any, halo: int) -> Any:
    """See `tasks.denoise.starlet.products`: float32 along a row, float64 over the rows."""
    xp = namespace(image)
    core = tuple(slice(halo, n - halo) for n in valid.shape)
    levels = [level[core] for level in (image, fine, middle, coarse)]
    scales = [a - b for a, b in pairwise(levels)] + levels[-1:]
    scales = [xp.where(valid[core][..., None], scale, xp.float32(0)) for scale in scales]
    total = xp.empty((image.shape[2], len(scales), len(scales)))
    for s, first in enumerate(scales):
        for t, second in enumerate(scales):
            total[:, s, t] = (first * second).sum(1).sum(0, dtype=xp.float64)
    return total


def add_up(image: Any, fine: Any, middle: Any, coarse: Any, steps: Any, halo: int, out: Any) -> None:
    """See `tasks.denoise.starlet.add_up`."""
    core = tuple(slice(halo, n - halo) for n in image.shape[:2])
    a, b, c, d = (level[core] * step for level, step in zip((image, fine, middle, coarse), steps, strict=True))
    out[...] = a + b + c + d
