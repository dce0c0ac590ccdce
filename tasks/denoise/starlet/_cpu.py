"""The starlet's smoothing on the CPU, row by row."""

import numpy as np

from tasks.array.compiled import jit
from tasks.denoise.starlet import _formulas

_folded = jit(_formulas.folded)


@jit
def _blend(out, centre, near_a, near_b, far_a, far_b):
    six, four, one = np.float32(0.375), np.float32(0.25), np.float32(0.0625)
    for i in range(out.size):
        out[i] = six * centre[i] + four * (near_a[i] + near_b[i]) + one * (far_a[i] + far_b[i])


@jit
def smoothed(images, step):
    """See `tasks.denoise.starlet.smoothed`."""
    n, ny, nx = images.shape
    row = np.empty(nx + 4 * step, np.float32)
    between = np.empty((ny, nx), np.float32)
    out = np.empty_like(images)
    for b in range(n):
        image = images[b]
        for y in range(ny):
            up, down = image[_folded(y - step, ny)], image[_folded(y + step, ny)]
            _blend(between[y], image[y], up, down, image[_folded(y - 2 * step, ny)], image[_folded(y + 2 * step, ny)])
        for y in range(ny):
            for i in range(2 * step):
                row[i] = between[y, _folded(i - 2 * step, nx)]
                row[nx + 2 * step + i] = between[y, _folded(i, nx)]
            for i in range(nx):
                row[2 * step + i] = between[y, i]
            near_a, near_b = row[step : step + nx], row[3 * step : 3 * step + nx]
            _blend(out[b, y], row[2 * step : 2 * step + nx], near_a, near_b, row[:nx], row[4 * step :])
    return out
