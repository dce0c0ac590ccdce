"""The starlet's smoothing on the GPU, one thread per pixel."""

from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.denoise.starlet import _formulas

BLOCK = (32, 8, 1)
_folded = cuda.jit(device=True)(_formulas.folded)


@cuda.jit
def smooth_columns(images, step, out):
    """Along y."""
    x, y, b = cuda.grid(3)
    n, ny, nx = images.shape
    if x >= nx or y >= ny or b >= n:
        return
    near = images[b, _folded(y - step, ny), x] + images[b, _folded(y + step, ny), x]
    far = images[b, _folded(y - 2 * step, ny), x] + images[b, _folded(y + 2 * step, ny), x]
    out[b, y, x] = np.float32(0.375) * images[b, y, x] + np.float32(0.25) * near + np.float32(0.0625) * far


@cuda.jit
def smooth_rows(images, step, out):
    """Along x."""
    x, y, b = cuda.grid(3)
    n, ny, nx = images.shape
    if x >= nx or y >= ny or b >= n:
        return
    near = images[b, y, _folded(x - step, nx)] + images[b, y, _folded(x + step, nx)]
    far = images[b, y, _folded(x - 2 * step, nx)] + images[b, y, _folded(x + 2 * step, nx)]
    out[b, y, x] = np.float32(0.375) * images[b, y, x] + np.float32(0.25) * near + np.float32(0.0625) * far


def smoothed(images: Any, step: int) -> Any:
    """See `tasks.denoise.starlet.smoothed`."""
    xp = namespace(images)
    n, ny, nx = images.shape
    between, out = xp.empty_like(images), xp.empty_like(images)
    grid = (-(-nx // BLOCK[0]), -(-ny // BLOCK[1]), n)
    stream = 0 if xp is np else cuda.external_stream(xp.cuda.get_current_stream().ptr)
    smooth_columns[grid, BLOCK, stream](images, np.int32(step), between)
    smooth_rows[grid, BLOCK, stream](between, np.int32(step), out)
    return out
