"""Exact distances of a block of grid nodes to convex pieces, far faces ruled out block by block."""

import math

import numpy as np

from ._target import compiled

ZERO, ONE, HALF = np.float32(0), np.float32(1), np.float32(0.5)


@compiled
def triangle_distance2(T, k, x, y, z):
    """Squared distance of a point to triangle ``T[k]`` (Ericson 2005, ch. 5)."""
    ax, ay, az = T[k, 0], T[k, 1], T[k, 2]
    ux, uy, uz = T[k, 3] - ax, T[k, 4] - ay, T[k, 5] - az
    vx, vy, vz = T[k, 6] - ax, T[k, 7] - ay, T[k, 8] - az
    px, py, pz = x - ax, y - ay, z - az
    d1, d2 = ux * px + uy * py + uz * pz, vx * px + vy * py + vz * pz
    uu, uv, vv = ux * ux + uy * uy + uz * uz, ux * vx + uy * vy + uz * vz, vx * vx + vy * vy + vz * vz
    s, t = ZERO, ZERO
    d3, d4 = d1 - uu, d2 - uv
    d5, d6 = d1 - uv, d2 - vv
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= ZERO and d2 <= ZERO:
        s, t = ZERO, ZERO
    elif d3 >= ZERO and d4 <= d3:
        s, t = ONE, ZERO
    elif d6 >= ZERO and d5 <= d6:
        s, t = ZERO, ONE
    elif vc <= ZERO and d1 >= ZERO and d3 <= ZERO:
        s, t = d1 / (d1 - d3), ZERO
    elif vb <= ZERO and d2 >= ZERO and d6 <= ZERO:
        s, t = ZERO, d2 / (d2 - d6)
    elif va <= ZERO and d4 - d3 >= ZERO and d5 - d6 >= ZERO:
        t = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        s = ONE - t
    else:
        total = ONE / (va + vb + vc)
        s, t = vb * total, vc * total
    rx, ry, rz = px - s * ux - t * vx, py - s * uy - t * vy, pz - s * uz - t * vz
    return rx * rx + ry * ry + rz * rz


@compiled
def signed_distance(T, planes, faces, first, last, x, y, z):
    """Signed distance of a point to a convex piece, over the faces listed in ``faces[first:last]``."""
    inside, best = np.float32(-1e30), np.float32(1e30)
    for c in range(first, last):
        f = faces[c]
        inside = max(inside, planes[f, 0] * x + planes[f, 1] * y + planes[f, 2] * z - planes[f, 3])
        best = min(best, triangle_distance2(T, f, x, y, z))
    return -math.sqrt(best) if inside < ZERO else math.sqrt(best)


@compiled
def fill_block(triangles, planes, starts, origin, spacing, values, block, i0, j0, k0, near, faces, least):
    """Fill one cube of ``block`` nodes a side; ``near`` and ``faces`` (face) and ``least`` (piece) are scratch.

    Only faces that can be nearest to some node of the cube are asked, and only pieces that can be nearest or deepest.
    """
    nx, ny, nz = values.shape
    half = HALF * spacing * np.float32(block - 1)
    cx, cy = origin[0] + spacing * np.float32(i0) + half, origin[1] + spacing * np.float32(j0) + half
    cz = origin[2] + spacing * np.float32(k0) + half
    reach = half * np.float32(1.7320509)
    lowest = np.float32(1e30)
    for piece in range(starts.shape[0] - 1):
        inside, best = np.float32(-1e30), np.float32(1e30)
        for f in range(starts[piece], starts[piece + 1]):
            near[f] = triangle_distance2(triangles, f, cx, cy, cz)
            inside = max(inside, planes[f, 0] * cx + planes[f, 1] * cy + planes[f, 2] * cz - planes[f, 3])
            best = min(best, near[f])
        least[piece] = -math.sqrt(best) if inside < ZERO else math.sqrt(best)
        lowest = min(lowest, least[piece])
    fresh = True
    for piece in range(starts.shape[0] - 1):
        if least[piece] - reach > lowest + reach:
            continue
        cut = abs(least[piece]) + reach + reach
        first = int(starts[piece])
        count = first
        for f in range(starts[piece], starts[piece + 1]):
            if near[f] <= cut * cut:
                faces[count] = f
                count += 1
        for i in range(i0, min(i0 + block, nx)):
            for j in range(j0, min(j0 + block, ny)):
                for k in range(k0, min(k0 + block, nz)):
                    x, y = origin[0] + spacing * np.float32(i), origin[1] + spacing * np.float32(j)
                    d = signed_distance(
                        triangles, planes, faces, first, count, x, y, origin[2] + spacing * np.float32(k)
                    )
                    if fresh or d < values[i, j, k]:
                        values[i, j, k] = d
        fresh = False


@compiled
def node_distance(T, planes, starts, x, y, z):
    """Signed distance of a point to a union of convex pieces, every face asked."""
    lowest = np.float32(1e30)
    for piece in range(starts.shape[0] - 1):
        inside, best = np.float32(-1e30), np.float32(1e30)
        for f in range(starts[piece], starts[piece + 1]):
            inside = max(inside, planes[f, 0] * x + planes[f, 1] * y + planes[f, 2] * z - planes[f, 3])
            best = min(best, triangle_distance2(T, f, x, y, z))
        d = math.sqrt(best)
        lowest = min(lowest, -d if inside < ZERO else d)
    return lowest
