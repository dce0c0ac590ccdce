"""Distance to the object: value and gradient of a signed-distance grid, interpolated between its eight neighbours."""

import math

import numpy as np

from ._target import compiled

ZERO, ONE, TINY = np.float32(0), np.float32(1), np.float32(1e-12)


@compiled
def distance(grid, dims, frames, scene, x, y, z):
    """Signed distance [m] and its unit gradient at one point of the object frame.

    ``grid`` holds all objects' values end to end; ``dims[scene]`` is (nx, ny, nz, first value) and
    ``frames[scene]`` (origin x, y, z, 1/spacing, spacing, centre x, y, z, length, height of the table). Outside the grid the nearest object point is
    carried on from the grid's face, so that far hands still know where to go.
    """
    nx, ny, nz, first = dims[scene, 0], dims[scene, 1], dims[scene, 2], dims[scene, 3]
    inv = frames[scene, 3]
    u, v, w = (x - frames[scene, 0]) * inv, (y - frames[scene, 1]) * inv, (z - frames[scene, 2]) * inv
    cu = min(max(u, ZERO), np.float32(nx - 1) - np.float32(1e-3))
    cv = min(max(v, ZERO), np.float32(ny - 1) - np.float32(1e-3))
    cw = min(max(w, ZERO), np.float32(nz - 1) - np.float32(1e-3))
    i, j, k = int(cu), int(cv), int(cw)
    fu, fv, fw = cu - np.float32(i), cv - np.float32(j), cw - np.float32(k)
    at = first + (i * ny + j) * nz + k
    a000, a001 = grid[at], grid[at + 1]
    a010, a011 = grid[at + nz], grid[at + nz + 1]
    at += ny * nz
    a100, a101 = grid[at], grid[at + 1]
    a110, a111 = grid[at + nz], grid[at + nz + 1]
    b00, b01 = a000 + (a100 - a000) * fu, a001 + (a101 - a001) * fu
    b10, b11 = a010 + (a110 - a010) * fu, a011 + (a111 - a011) * fu
    c0, c1 = b00 + (b10 - b00) * fv, b01 + (b11 - b01) * fv
    d = c0 + (c1 - c0) * fw
    gz = c1 - c0
    gy = (b10 - b00) + ((b11 - b01) - (b10 - b00)) * fw
    e0, e1 = (a100 - a000), (a110 - a010)
    e2, e3 = (a101 - a001), (a111 - a011)
    g0, g1 = e0 + (e1 - e0) * fv, e2 + (e3 - e2) * fv
    gx = g0 + (g1 - g0) * fw
    norm = ONE / math.sqrt(gx * gx + gy * gy + gz * gz + TINY)
    gx, gy, gz = gx * norm, gy * norm, gz * norm
    h = frames[scene, 4]
    ox, oy, oz = (u - cu) * h, (v - cv) * h, (w - cw) * h
    if ox * ox + oy * oy + oz * oz > np.float32(1e-10):
        ox, oy, oz = ox + d * gx, oy + d * gy, oz + d * gz
        d = math.sqrt(ox * ox + oy * oy + oz * oz + TINY)
        gx, gy, gz = ox / d, oy / d, oz / d
    return d, gx, gy, gz
