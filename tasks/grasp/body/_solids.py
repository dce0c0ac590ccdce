"""Signed distance between two links of the hand: boxes and capsules, each a core box with a radius around it.

A solid is a row of 16 numbers: centre (3), rotation (9, row major), half extents (3), radius. Each function returns
the signed distance, the direction from the first solid to the second, and the point where they are nearest.
"""

import math

import numpy as np

from ._target import compiled

ZERO, ONE, HALF, TINY = np.float32(0), np.float32(1), np.float32(0.5), np.float32(1e-9)


@compiled
def _clip(x, low, high):
    return min(max(x, low), high)


@compiled
def box_distance(x, y, z, hx, hy, hz):
    """Signed distance and outward normal of an axis-aligned box at a point of its own frame."""
    qx, qy, qz = abs(x) - hx, abs(y) - hy, abs(z) - hz
    sx, sy, sz = math.copysign(ONE, x), math.copysign(ONE, y), math.copysign(ONE, z)
    ox, oy, oz = max(qx, ZERO), max(qy, ZERO), max(qz, ZERO)
    outside = math.sqrt(ox * ox + oy * oy + oz * oz)
    if outside > np.float32(1e-7):
        return outside, sx * ox / outside, sy * oy / outside, sz * oz / outside
    if qx >= qy and qx >= qz:
        return qx, sx, ZERO, ZERO
    if qy >= qz:
        return qy, ZERO, sy, ZERO
    return qz, ZERO, ZERO, sz


@compiled
def capsules(lane, S, a, b):
    """Two capsules: the nearest points of their segments, then the radii."""
    ux, uy, uz = S[lane, a, 5], S[lane, a, 8], S[lane, a, 11]
    vx, vy, vz = S[lane, b, 5], S[lane, b, 8], S[lane, b, 11]
    wx, wy, wz = S[lane, b, 0] - S[lane, a, 0], S[lane, b, 1] - S[lane, a, 1], S[lane, b, 2] - S[lane, a, 2]
    ha, hb = S[lane, a, 14], S[lane, b, 14]
    c = ux * vx + uy * vy + uz * vz
    p, q = wx * ux + wy * uy + wz * uz, wx * vx + wy * vy + wz * vz
    s = _clip((p - c * q) / max(ONE - c * c, np.float32(1e-4)), -ha, ha)
    t = _clip(c * s - q, -hb, hb)
    s = _clip(c * t + p, -ha, ha)
    dx, dy, dz = wx + t * vx - s * ux, wy + t * vy - s * uy, wz + t * vz - s * uz
    gap = math.sqrt(dx * dx + dy * dy + dz * dz) + TINY
    nx, ny, nz = dx / gap, dy / gap, dz / gap
    ra = S[lane, a, 15]
    return (
        gap - ra - S[lane, b, 15],
        nx,
        ny,
        nz,
        S[lane, a, 0] + s * ux + ra * nx,
        S[lane, a, 1] + s * uy + ra * ny,
        S[lane, a, 2] + s * uz + ra * nz,
    )


@compiled
def box_capsule(lane, S, a, b):
    """A box and a capsule: the capsule's segment point nearest the box by bisection of a convex function's slope."""
    wx, wy, wz = S[lane, b, 0] - S[lane, a, 0], S[lane, b, 1] - S[lane, a, 1], S[lane, b, 2] - S[lane, a, 2]
    vx, vy, vz = S[lane, b, 5], S[lane, b, 8], S[lane, b, 11]
    px = S[lane, a, 3] * wx + S[lane, a, 6] * wy + S[lane, a, 9] * wz
    py = S[lane, a, 4] * wx + S[lane, a, 7] * wy + S[lane, a, 10] * wz
    pz = S[lane, a, 5] * wx + S[lane, a, 8] * wy + S[lane, a, 11] * wz
    dx = S[lane, a, 3] * vx + S[lane, a, 6] * vy + S[lane, a, 9] * vz
    dy = S[lane, a, 4] * vx + S[lane, a, 7] * vy + S[lane, a, 10] * vz
    dz = S[lane, a, 5] * vx + S[lane, a, 8] * vy + S[lane, a, 11] * vz
    hx, hy, hz = S[lane, a, 12], S[lane, a, 13], S[lane, a, 14]
    low, high = -S[lane, b, 14], S[lane, b, 14]
    for _ in range(10):
        t = HALF * (low + high)
        x, y, z = px + t * dx, py + t * dy, pz + t * dz
        d, nx, ny, nz = box_distance(x, y, z, hx, hy, hz)
        if nx * dx + ny * dy + nz * dz > ZERO:
            high = t
        else:
            low = t
    t = HALF * (low + high)
    x, y, z = px + t * dx, py + t * dy, pz + t * dz
    d, nx, ny, nz = box_distance(x, y, z, hx, hy, hz)
    gx = S[lane, a, 3] * nx + S[lane, a, 4] * ny + S[lane, a, 5] * nz
    gy = S[lane, a, 6] * nx + S[lane, a, 7] * ny + S[lane, a, 8] * nz
    gz = S[lane, a, 9] * nx + S[lane, a, 10] * ny + S[lane, a, 11] * nz
    r = S[lane, b, 15]
    return (
        d - r,
        gx,
        gy,
        gz,
        S[lane, b, 0] + t * vx - r * gx,
        S[lane, b, 1] + t * vy - r * gy,
        S[lane, b, 2] + t * vz - r * gz,
    )


@compiled
def boxes(lane, S, a, b):
    """Two boxes by separating axes: exact when they overlap, a lower bound of the distance when they do not.

    The witness point makes the gradient exact: a corner of the box whose face does not separate, or the nearest
    points of two edges (Gottschalk, Lin & Manocha 1996, OBBTree).
    """
    wx, wy, wz = S[lane, b, 0] - S[lane, a, 0], S[lane, b, 1] - S[lane, a, 1], S[lane, b, 2] - S[lane, a, 2]
    best, axis, nx, ny, nz = np.float32(-1e9), -1, ZERO, ZERO, ZERO
    for k in range(6):
        own, c = (a, k) if k < 3 else (b, k - 3)
        ux, uy, uz = S[lane, own, 3 + c], S[lane, own, 6 + c], S[lane, own, 9 + c]
        t = wx * ux + wy * uy + wz * uz
        gap = abs(t) - _reach(lane, S, a, ux, uy, uz) - _reach(lane, S, b, ux, uy, uz)
        if gap > best:
            sign = math.copysign(ONE, t)
            best, axis, nx, ny, nz = gap, k, sign * ux, sign * uy, sign * uz
    for k in range(9):
        i, j = k // 3, k % 3
        ax, ay, az = S[lane, a, 3 + i], S[lane, a, 6 + i], S[lane, a, 9 + i]
        bx, by, bz = S[lane, b, 3 + j], S[lane, b, 6 + j], S[lane, b, 9 + j]
        ux, uy, uz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        size = ux * ux + uy * uy + uz * uz
        if size > np.float32(1e-3):
            size = ONE / math.sqrt(size)
            ux, uy, uz = ux * size, uy * size, uz * size
            t = wx * ux + wy * uy + wz * uz
            gap = abs(t) - _reach(lane, S, a, ux, uy, uz) - _reach(lane, S, b, ux, uy, uz)
            if gap > best + np.float32(1e-5):
                sign = math.copysign(ONE, t)
                best, axis, nx, ny, nz = gap, 6 + k, sign * ux, sign * uy, sign * uz
    px, py, pz = _corner(lane, S, a, nx, ny, nz, (axis - 6) // 3 if axis >= 6 else -1)
    qx, qy, qz = _corner(lane, S, b, -nx, -ny, -nz, (axis - 6) % 3 if axis >= 6 else -1)
    if axis < 3:
        px, py, pz = qx, qy, qz
    elif axis >= 6:
        i, j = (axis - 6) // 3, (axis - 6) % 3
        ax, ay, az = S[lane, a, 3 + i], S[lane, a, 6 + i], S[lane, a, 9 + i]
        bx, by, bz = S[lane, b, 3 + j], S[lane, b, 6 + j], S[lane, b, 9 + j]
        c = ax * bx + ay * by + az * bz
        rx, ry, rz = qx - px, qy - py, qz - pz
        ra, rb = rx * ax + ry * ay + rz * az, rx * bx + ry * by + rz * bz
        s = (ra - c * rb) / max(ONE - c * c, np.float32(1e-4))
        px, py, pz = px + s * ax, py + s * ay, pz + s * az
    return best, nx, ny, nz, px, py, pz


@compiled
def _reach(lane, S, a, ux, uy, uz):
    """Half the extent of box ``a`` along a direction."""
    return (
        S[lane, a, 12] * abs(S[lane, a, 3] * ux + S[lane, a, 6] * uy + S[lane, a, 9] * uz)
        + S[lane, a, 13] * abs(S[lane, a, 4] * ux + S[lane, a, 7] * uy + S[lane, a, 10] * uz)
        + S[lane, a, 14] * abs(S[lane, a, 5] * ux + S[lane, a, 8] * uy + S[lane, a, 11] * uz)
    )


@compiled
def _corner(lane, S, a, ux, uy, uz, skip):
    """The corner of box ``a`` farthest along a direction; axis ``skip`` stays at the middle of its edge."""
    x, y, z = S[lane, a, 0], S[lane, a, 1], S[lane, a, 2]
    for c in range(3):
        vx, vy, vz = S[lane, a, 3 + c], S[lane, a, 6 + c], S[lane, a, 9 + c]
        h = math.copysign(S[lane, a, 12 + c], vx * ux + vy * uy + vz * uz)
        if c == skip:
            h = ZERO
        x, y, z = x + h * vx, y + h * vy, z + h * vz
    return x, y, z


@compiled
def separation(lane, S, a, b):
    """Signed distance [m] of solids ``a`` and ``b``, direction a to b, and witness point."""
    if S[lane, a, 15] == ZERO:
        if S[lane, b, 15] == ZERO:
            return boxes(lane, S, a, b)
        return box_capsule(lane, S, a, b)
    if S[lane, b, 15] == ZERO:
        d, nx, ny, nz, px, py, pz = box_capsule(lane, S, b, a)
        return d, -nx, -ny, -nz, px, py, pz
    return capsules(lane, S, a, b)
