"""The starlet on the CPU, row by row: along both axes of the images a row is one run through memory."""

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
    ny, nx, n = images.shape
    rows = images.reshape(ny, nx * n)
    out = np.empty_like(rows)
    near, far, size = step * n, 2 * step * n, nx * n
    row = np.empty(size + 2 * far, np.float32)
    for y in range(ny):
        up, down = rows[_folded(y - step, ny)], rows[_folded(y + step, ny)]
        over, under = rows[_folded(y - 2 * step, ny)], rows[_folded(y + 2 * step, ny)]
        _blend(row[far : far + size], rows[y], up, down, over, under)
        for i in range(far):
            row[i] = row[far + _folded(i - far, size)]
            row[far + size + i] = row[far + _folded(i, size)]
        left, right = row[near : near + size], row[far + near : far + near + size]
        _blend(out[y], row[far : far + size], left, right, row[:size], row[2 * far :])
    return out.reshape(ny, nx, n)


@jit
def products(image, fine, middle, coarse, valid, halo):
    """See `tasks.denoise.starlet.products`: float32 along a row, float64 over the rows."""
    ny, nx, n = image.shape
    total = np.zeros((n, 4, 4))
    row = np.empty((10, n), np.float32)
    for y in range(halo, ny - halo):
        row[:] = 0
        for x in range(halo, nx - halo):
            if not valid[y, x]:
                continue
            for k in range(n):
                a = image[y, x, k] - fine[y, x, k]
                b = fine[y, x, k] - middle[y, x, k]
                c = middle[y, x, k] - coarse[y, x, k]
                d = coarse[y, x, k]
                row[0, k] += a * a
                row[1, k] += a * b
                row[2, k] += a * c
                row[3, k] += a * d
                row[4, k] += b * b
                row[5, k] += b * c
                row[6, k] += b * d
                row[7, k] += c * c
                row[8, k] += c * d
                row[9, k] += d * d
        pair = 0
        for s in range(4):
            for t in range(s, 4):
                for k in range(n):
                    total[k, s, t] += row[pair, k]
                pair += 1
    for s in range(4):
        for t in range(s):
            total[:, s, t] = total[:, t, s]
    return total


@jit
def add_up(image, fine, middle, coarse, steps, halo, out):
    """See `tasks.denoise.starlet.add_up`; ``steps`` (level, n) by which the gain grows from scale to scale."""
    ny, nx, n = out.shape
    for y in range(ny):
        for x in range(nx):
            for k in range(n):
                out[y, x, k] = (
                    steps[0, k] * image[y + halo, x + halo, k]
                    + steps[1, k] * fine[y + halo, x + halo, k]
                    + steps[2, k] * middle[y + halo, x + halo, k]
                    + steps[3, k] * coarse[y + halo, x + halo, k]
                )
