"""Terms of the upper level: energy, exact gradient and Gauss-Newton curvature of each.

All are half squares of scaled residuals: what the contact forces leave of each target wrench (gradient by the envelope
theorem: the forces are held, only their contacts move), gaps of the fingertips, links inside the object or the table,
links inside each other, coupled joints. Motions are (base shift, base turn about world axes, joints).
"""

import numpy as np

from ._chain import motion_row, push, to_world
from ._field import distance
from ._solids import separation
from ._target import compiled
from ._wrench import TARGETS, leftover

ZERO, ONE, HALF = np.float32(0), np.float32(1), np.float32(0.5)
GRASP, TIP, OBJECT, SELF, GAP, MARGIN, SELF_MARGIN, SMOOTH, MU, FORCE, TORQUE = range(11)
"""Places in a stage's row: weights (1/unit), tip gap, margins and smoothing radius [m], friction, target sizes."""


@compiled
def wrench_term(lane, tips, length, stage, K, arms, G, Z, rest, J, M, g):
    """Add the force term's gradient and curvature with respect to the fingertip centres to ``g`` and ``M``."""
    contacts = tips.shape[0]
    weight = stage[GRASP] * stage[GRASP] / (stage[FORCE] * stage[FORCE] * np.float32(TARGETS))
    energy = ZERO
    for t in range(TARGETS):
        size = leftover(lane, G, Z, stage[FORCE], stage[TORQUE], t, rest)
        energy += HALF * weight * size * size
        for i in range(contacts):
            fx, fy, fz = Z[lane, 3 * i, t], Z[lane, 3 * i + 1, t], Z[lane, 3 * i + 2, t]
            nx, ny, nz = K[lane, i, 4], K[lane, i, 5], K[lane, i, 6]
            rx, ry, rz = arms[lane, i, 0], arms[lane, i, 1], arms[lane, i, 2]
            d = K[lane, i, 3] + tips[i, 3]
            for a in range(3):
                hx, hy, hz = K[lane, i, 7 + a], K[lane, i, 10 + a], K[lane, i, 13 + a]
                wx, wy, wz = ny * hz - nz * hy, nz * hx - nx * hz, nx * hy - ny * hx
                ax, ay, az = wy * fz - wz * fy, wz * fx - wx * fz, wx * fy - wy * fx
                na = nx if a == 0 else (ny if a == 1 else nz)
                px = ((ONE if a == 0 else ZERO) - na * nx - d * hx) / length
                py = ((ONE if a == 1 else ZERO) - na * ny - d * hy) / length
                pz = ((ONE if a == 2 else ZERO) - na * nz - d * hz) / length
                v = 3 * i + a
                J[lane, 0, v], J[lane, 1, v], J[lane, 2, v] = ax, ay, az
                J[lane, 3, v] = ry * az - rz * ay + py * fz - pz * fy
                J[lane, 4, v] = rz * ax - rx * az + pz * fx - px * fz
                J[lane, 5, v] = rx * ay - ry * ax + px * fy - py * fx
        for v in range(3 * contacts):
            j0, j1, j2, j3, j4, j5 = (
                J[lane, 0, v],
                J[lane, 1, v],
                J[lane, 2, v],
                J[lane, 3, v],
                J[lane, 4, v],
                J[lane, 5, v],
            )
            g[lane, v] += weight * (
                j0 * rest[lane, 0]
                + j1 * rest[lane, 1]
                + j2 * rest[lane, 2]
                + j3 * rest[lane, 3]
                + j4 * rest[lane, 4]
                + j5 * rest[lane, 5]
            )
            for w in range(3 * contacts):
                M[lane, v, w] += weight * (
                    j0 * J[lane, 0, w]
                    + j1 * J[lane, 1, w]
                    + j2 * J[lane, 2, w]
                    + j3 * J[lane, 3, w]
                    + j4 * J[lane, 4, w]
                    + j5 * J[lane, 5, w]
                )
    return energy


@compiled
def gap_term(lane, stage, K, M, g):
    """Add the fingertips' distance from their target gap to ``g`` and ``M``."""
    energy = ZERO
    w2 = stage[TIP] * stage[TIP]
    for i in range(K.shape[1]):
        off = K[lane, i, 3] - stage[GAP]
        energy += HALF * w2 * off * off
        for a in range(3):
            g[lane, 3 * i + a] += w2 * off * K[lane, i, 4 + a]
            for b in range(3):
                M[lane, 3 * i + a, 3 * i + b] += w2 * K[lane, i, 4 + a] * K[lane, i, 4 + b]
    return energy


@compiled
def move_tips(lane, links, parents, contact_links, X, K, M, g, W, H, counts, tip_where, tip_rows, where, row):
    """Carry ``g`` and ``M`` from fingertip centres to the links' wrenches and the pose's curvature."""
    contacts = contact_links.shape[0]
    for i in range(contacts):
        link = contact_links[i]
        x, y, z = K[lane, i, 0], K[lane, i, 1], K[lane, i, 2]
        push(lane, W, link, x, y, z, g[lane, 3 * i], g[lane, 3 * i + 1], g[lane, 3 * i + 2])
        for a in range(3):
            n = motion_row(
                lane,
                links,
                parents,
                X,
                link,
                x,
                y,
                z,
                ONE if a == 0 else ZERO,
                ONE if a == 1 else ZERO,
                ONE if a == 2 else ZERO,
                where,
                row,
            )
            counts[lane, i] = n
            for e in range(n):
                tip_where[lane, i, e] = where[lane, e]
                tip_rows[lane, i, a, e] = row[lane, e]
    for i in range(contacts):
        for j in range(contacts):
            for e in range(counts[lane, i]):
                p = tip_where[lane, i, e]
                r0, r1, r2 = tip_rows[lane, i, 0, e], tip_rows[lane, i, 1, e], tip_rows[lane, i, 2, e]
                m0 = r0 * M[lane, 3 * i, 3 * j] + r1 * M[lane, 3 * i + 1, 3 * j] + r2 * M[lane, 3 * i + 2, 3 * j]
                m1 = (
                    r0 * M[lane, 3 * i, 3 * j + 1]
                    + r1 * M[lane, 3 * i + 1, 3 * j + 1]
                    + r2 * M[lane, 3 * i + 2, 3 * j + 1]
                )
                m2 = (
                    r0 * M[lane, 3 * i, 3 * j + 2]
                    + r1 * M[lane, 3 * i + 1, 3 * j + 2]
                    + r2 * M[lane, 3 * i + 2, 3 * j + 2]
                )
                for f in range(counts[lane, j]):
                    q = tip_where[lane, j, f]
                    if q <= p:
                        H[lane, p, q] += (
                            m0 * tip_rows[lane, j, 0, f] + m1 * tip_rows[lane, j, 1, f] + m2 * tip_rows[lane, j, 2, f]
                        )


@compiled
def _curve(lane, H, where, row, start, count, w2):
    """Add w2 row row' to the curvature, for the entries of ``row`` from ``start``."""
    for e in range(start, count):
        p, m = where[lane, e], w2 * row[lane, e]
        for f in range(start, count):
            q = where[lane, f]
            if q <= p:
                H[lane, p, q] += m * row[lane, f]


@compiled
def object_term(
    lane,
    links,
    parents,
    solid_links,
    touching,
    reach,
    spans,
    points,
    grid,
    dims,
    frames,
    scene,
    stage,
    X,
    S,
    W,
    H,
    where,
    row,
):
    """Links too near the object or the table, at sample points of their surfaces; energy and deepest penetration [m]."""
    energy, deepest = ZERO, np.float32(-1)
    w2, table = stage[OBJECT] * stage[OBJECT], frames[scene, 9]
    for s in range(solid_links.shape[0]):
        d, nx, ny, nz = distance(grid, dims, frames, scene, S[lane, s, 0], S[lane, s, 1], S[lane, s, 2])
        d = min(d, S[lane, s, 2] - table)
        margin = min(stage[MARGIN], HALF * stage[GAP]) if touching[s] else stage[MARGIN]
        if d < reach[s] + margin:
            link = solid_links[s]
            for k in range(spans[s], spans[s + 1]):
                x, y, z = to_world(lane, X, link, points[k, 0], points[k, 1], points[k, 2])
                d, nx, ny, nz = distance(grid, dims, frames, scene, x, y, z)
                if z - table < d:
                    d, nx, ny, nz = z - table, ZERO, ZERO, ONE
                d -= points[k, 3]
                deepest = max(deepest, -d)
                if d < margin:
                    lack = margin - d
                    energy += HALF * w2 * lack * lack
                    push(lane, W, link, x, y, z, -w2 * lack * nx, -w2 * lack * ny, -w2 * lack * nz)
                    n = motion_row(lane, links, parents, X, link, x, y, z, nx, ny, nz, where, row)
                    _curve(lane, H, where, row, 0, n, w2)
    return energy, deepest


@compiled
def self_term(lane, links, parents, solid_links, reach, pairs, stage, X, S, W, H, where, row, signed):
    """Links too near each other, by exact box and capsule distances; energy and deepest penetration [m]."""
    energy, deepest = ZERO, np.float32(-1)
    w2, margin = stage[SELF] * stage[SELF], stage[SELF_MARGIN]
    for k in range(pairs.shape[0]):
        a, b = pairs[k, 0], pairs[k, 1]
        dx, dy, dz = S[lane, a, 0] - S[lane, b, 0], S[lane, a, 1] - S[lane, b, 1], S[lane, a, 2] - S[lane, b, 2]
        near = reach[a] + reach[b] + margin
        if dx * dx + dy * dy + dz * dz < near * near:
            gap, nx, ny, nz, x, y, z = separation(lane, S, a, b)
            deepest = max(deepest, -gap)
            if gap < margin:
                lack = margin - gap
                energy += HALF * w2 * lack * lack
                la, lb = solid_links[a], solid_links[b]
                force = w2 * lack
                push(lane, W, la, x, y, z, force * nx, force * ny, force * nz)
                push(lane, W, lb, x, y, z, -force * nx, -force * ny, -force * nz)
                n = motion_row(lane, links, parents, X, la, x, y, z, nx, ny, nz, where, row)
                for e in range(n):
                    signed[lane, where[lane, e]] = row[lane, e]
                n = motion_row(lane, links, parents, X, lb, x, y, z, nx, ny, nz, where, row)
                for e in range(n):
                    signed[lane, where[lane, e]] -= row[lane, e]
                for p in range(6, signed.shape[1]):
                    m = w2 * signed[lane, p]
                    if m != ZERO:
                        for q in range(6, p + 1):
                            H[lane, p, q] += m * signed[lane, q]
                for p in range(signed.shape[1]):
                    signed[lane, p] = ZERO
    return energy, deepest


@compiled
def couple_term(lane, partners, weight, poses, grad, H):
    """Joints on one tendon share its travel evenly: half the squared difference."""
    energy, w2 = ZERO, weight * weight
    for j in range(partners.shape[0]):
        k = partners[j]
        if k >= 0:
            off = poses[lane, 7 + j] - poses[lane, 7 + k]
            energy += HALF * w2 * off * off
            grad[lane, 6 + j] += w2 * off
            grad[lane, 6 + k] -= w2 * off
            H[lane, 6 + j, 6 + j] += w2
            H[lane, 6 + k, 6 + k] += w2
            H[lane, max(6 + j, 6 + k), min(6 + j, 6 + k)] -= w2
    return energy
