"""The hand as a tree: forward kinematics, and gradients by one backward sweep.

A pose is (x, y, z, qw, qx, qy, qz, joints...); a link's row of ``X`` is its rotation (9, row major) and origin (3).
"""

import math

import numpy as np

from ._target import compiled

ZERO, ONE, TWO, HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)


@compiled
def place_links(lane, links, parents, poses, X):
    """Forward kinematics: each link turns about its own axis by the joint before it; link 0 is the base."""
    w, x, y, z = poses[lane, 3], poses[lane, 4], poses[lane, 5], poses[lane, 6]
    X[lane, 0, 0], X[lane, 0, 1], X[lane, 0, 2] = (
        ONE - TWO * (y * y + z * z),
        TWO * (x * y - w * z),
        TWO * (x * z + w * y),
    )
    X[lane, 0, 3], X[lane, 0, 4], X[lane, 0, 5] = (
        TWO * (x * y + w * z),
        ONE - TWO * (x * x + z * z),
        TWO * (y * z - w * x),
    )
    X[lane, 0, 6], X[lane, 0, 7], X[lane, 0, 8] = (
        TWO * (x * z - w * y),
        TWO * (y * z + w * x),
        ONE - TWO * (x * x + y * y),
    )
    X[lane, 0, 9], X[lane, 0, 10], X[lane, 0, 11] = poses[lane, 0], poses[lane, 1], poses[lane, 2]
    for link in range(1, links.shape[0]):
        p = parents[link]
        ax, ay, az = links[link, 12], links[link, 13], links[link, 14]
        s, c = math.sin(poses[lane, 6 + link]), math.cos(poses[lane, 6 + link])
        t = ONE - c
        r00, r01, r02 = t * ax * ax + c, t * ax * ay - s * az, t * ax * az + s * ay
        r10, r11, r12 = t * ax * ay + s * az, t * ay * ay + c, t * ay * az - s * ax
        r20, r21, r22 = t * ax * az - s * ay, t * ay * az + s * ax, t * az * az + c
        for i in range(3):
            a, b, d = X[lane, p, 3 * i], X[lane, p, 3 * i + 1], X[lane, p, 3 * i + 2]
            m0 = a * links[link, 3] + b * links[link, 6] + d * links[link, 9]
            m1 = a * links[link, 4] + b * links[link, 7] + d * links[link, 10]
            m2 = a * links[link, 5] + b * links[link, 8] + d * links[link, 11]
            X[lane, link, 3 * i] = m0 * r00 + m1 * r10 + m2 * r20
            X[lane, link, 3 * i + 1] = m0 * r01 + m1 * r11 + m2 * r21
            X[lane, link, 3 * i + 2] = m0 * r02 + m1 * r12 + m2 * r22
            X[lane, link, 9 + i] = a * links[link, 0] + b * links[link, 1] + d * links[link, 2] + X[lane, p, 9 + i]


@compiled
def place_solids(lane, solids, solid_links, X, S):
    """World rows (centre, rotation, half extents, radius) of every solid of the hand."""
    for g in range(solids.shape[0]):
        link = solid_links[g]
        for i in range(3):
            a, b, c = X[lane, link, 3 * i], X[lane, link, 3 * i + 1], X[lane, link, 3 * i + 2]
            S[lane, g, i] = a * solids[g, 0] + b * solids[g, 1] + c * solids[g, 2] + X[lane, link, 9 + i]
            for j in range(3):
                S[lane, g, 3 + 3 * i + j] = a * solids[g, 3 + j] + b * solids[g, 6 + j] + c * solids[g, 9 + j]
            S[lane, g, 12 + i] = solids[g, 12 + i]
        S[lane, g, 15] = solids[g, 15]


@compiled
def to_world(lane, X, link, x, y, z):
    """A point of link ``link`` in the object frame."""
    return (
        X[lane, link, 0] * x + X[lane, link, 1] * y + X[lane, link, 2] * z + X[lane, link, 9],
        X[lane, link, 3] * x + X[lane, link, 4] * y + X[lane, link, 5] * z + X[lane, link, 10],
        X[lane, link, 6] * x + X[lane, link, 7] * y + X[lane, link, 8] * z + X[lane, link, 11],
    )


@compiled
def push(lane, W, link, px, py, pz, fx, fy, fz):
    """Add a gradient (fx, fy, fz) at a point of link ``link`` to the link's wrench about the world origin."""
    W[lane, link, 0] += fx
    W[lane, link, 1] += fy
    W[lane, link, 2] += fz
    W[lane, link, 3] += py * fz - pz * fy
    W[lane, link, 4] += pz * fx - px * fz
    W[lane, link, 5] += px * fy - py * fx


@compiled
def sweep(lane, links, parents, X, W, grad):
    """One backward sweep: link wrenches to the gradient by (base shift, base turn about world axes, joints).

    dE/dq = axis . (torque - origin x force), each link's wrench handed on to its parent (Featherstone 2008, ch. 5).
    """
    for link in range(links.shape[0] - 1, 0, -1):
        ax, ay, az = links[link, 12], links[link, 13], links[link, 14]
        ux = X[lane, link, 0] * ax + X[lane, link, 1] * ay + X[lane, link, 2] * az
        uy = X[lane, link, 3] * ax + X[lane, link, 4] * ay + X[lane, link, 5] * az
        uz = X[lane, link, 6] * ax + X[lane, link, 7] * ay + X[lane, link, 8] * az
        ox, oy, oz = X[lane, link, 9], X[lane, link, 10], X[lane, link, 11]
        fx, fy, fz = W[lane, link, 0], W[lane, link, 1], W[lane, link, 2]
        grad[lane, 5 + link] += (
            ux * (W[lane, link, 3] - oy * fz + oz * fy)
            + uy * (W[lane, link, 4] - oz * fx + ox * fz)
            + uz * (W[lane, link, 5] - ox * fy + oy * fx)
        )
        for i in range(6):
            W[lane, parents[link], i] += W[lane, link, i]
    ox, oy, oz = X[lane, 0, 9], X[lane, 0, 10], X[lane, 0, 11]
    fx, fy, fz = W[lane, 0, 0], W[lane, 0, 1], W[lane, 0, 2]
    grad[lane, 0] += fx
    grad[lane, 1] += fy
    grad[lane, 2] += fz
    grad[lane, 3] += W[lane, 0, 3] - oy * fz + oz * fy
    grad[lane, 4] += W[lane, 0, 4] - oz * fx + ox * fz
    grad[lane, 5] += W[lane, 0, 5] - ox * fy + oy * fx


@compiled
def motion_row(lane, links, parents, X, link, px, py, pz, nx, ny, nz, where, row):
    """How a point of link ``link`` moves along a direction: the non-zero entries, their places, and their number."""
    rx, ry, rz = px - X[lane, 0, 9], py - X[lane, 0, 10], pz - X[lane, 0, 11]
    row[lane, 0], row[lane, 1], row[lane, 2] = nx, ny, nz
    row[lane, 3], row[lane, 4], row[lane, 5] = ry * nz - rz * ny, rz * nx - rx * nz, rx * ny - ry * nx
    for i in range(6):
        where[lane, i] = i
    count = 6
    while link > 0:
        ax, ay, az = links[link, 12], links[link, 13], links[link, 14]
        ux = X[lane, link, 0] * ax + X[lane, link, 1] * ay + X[lane, link, 2] * az
        uy = X[lane, link, 3] * ax + X[lane, link, 4] * ay + X[lane, link, 5] * az
        uz = X[lane, link, 6] * ax + X[lane, link, 7] * ay + X[lane, link, 8] * az
        rx, ry, rz = px - X[lane, link, 9], py - X[lane, link, 10], pz - X[lane, link, 11]
        row[lane, count] = ux * (ry * nz - rz * ny) + uy * (rz * nx - rx * nz) + uz * (rx * ny - ry * nx)
        where[lane, count] = 5 + link
        count += 1
        link = parents[link]
    return count


@compiled
def turn(lane, poses, wx, wy, wz):
    """Turn the base by a rotation vector about world axes, and renormalise its quaternion."""
    angle = math.sqrt(wx * wx + wy * wy + wz * wz)
    s = HALF if angle < np.float32(1e-6) else math.sin(HALF * angle) / angle
    w, x, y, z = math.cos(HALF * angle), s * wx, s * wy, s * wz
    a, b, c, d = poses[lane, 3], poses[lane, 4], poses[lane, 5], poses[lane, 6]
    qw, qx = w * a - x * b - y * c - z * d, w * b + x * a + y * d - z * c
    qy, qz = w * c - x * d + y * a + z * b, w * d + x * c - y * b + z * a
    size = ONE / math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    poses[lane, 3], poses[lane, 4], poses[lane, 5], poses[lane, 6] = qw * size, qx * size, qy * size, qz * size
