"""The upper level of one pose: contacts of the fingertips, their forces, and all terms of the energy together."""

import math

import numpy as np

from ._chain import place_solids, to_world
from ._field import distance
from ._target import compiled, inlined
from ._terms import FORCE, GRASP, MU, TORQUE, ZERO, gap_term, move_tips, object_term, self_term, wrench_term
from ._wrench import TARGETS, factor, leftover, settle


@compiled
def touch(lane, tips, contact_links, grid, dims, frames, scene, smooth, X, K, arms):
    """Contacts of every fingertip: centre, gap, outward normal smoothed over ``smooth``, and the normal's slope."""
    for i in range(contact_links.shape[0]):
        x, y, z = to_world(lane, X, contact_links[i], tips[i, 0], tips[i, 1], tips[i, 2])
        d, nx, ny, nz = distance(grid, dims, frames, scene, x, y, z)
        sx, sy, sz = ZERO, ZERO, ZERO
        for a in range(3):
            ex, ey, ez = smooth if a == 0 else ZERO, smooth if a == 1 else ZERO, smooth if a == 2 else ZERO
            _, ax, ay, az = distance(grid, dims, frames, scene, x + ex, y + ey, z + ez)
            _, bx, by, bz = distance(grid, dims, frames, scene, x - ex, y - ey, z - ez)
            K[lane, i, 7 + a], K[lane, i, 10 + a], K[lane, i, 13 + a] = (
                (ax - bx) / (smooth + smooth),
                (ay - by) / (smooth + smooth),
                (az - bz) / (smooth + smooth),
            )
            sx, sy, sz = sx + ax + bx, sy + ay + by, sz + az + bz
        size = math.sqrt(sx * sx + sy * sy + sz * sz)
        if size > np.float32(0.5):
            nx, ny, nz = sx / size, sy / size, sz / size
        K[lane, i, 0], K[lane, i, 1], K[lane, i, 2], K[lane, i, 3] = x, y, z, d - tips[i, 3]
        K[lane, i, 4], K[lane, i, 5], K[lane, i, 6] = nx, ny, nz
        length = frames[scene, 8]
        arms[lane, i, 0] = (x - d * nx - frames[scene, 5]) / length
        arms[lane, i, 1] = (y - d * ny - frames[scene, 6]) / length
        arms[lane, i, 2] = (z - d * nz - frames[scene, 7]) / length


@inlined
def balance(lane, groups, least, stage, rounds, K, arms, inverse, G, Z, U, B, floors, rest):
    """Solve the lower level for the contacts of `touch`; mean length of what it leaves, relative to the targets."""
    factor(lane, K, arms, groups, inverse, G)
    settle(lane, K, groups, least, inverse, G, stage[MU], stage[FORCE], stage[TORQUE], rounds, Z, U, B, floors)
    total = ZERO
    for t in range(TARGETS):
        total += leftover(lane, G, Z, stage[FORCE], stage[TORQUE], t, rest)
    return total / (stage[FORCE] * np.float32(TARGETS))


@inlined
def press(
    lane, groups, least, tips, length, stage, rounds, K, arms, inverse, G, Z, U, B, floors, rest, J, g, M, report
):
    """Contact forces of one lane, and the fingertips' share of energy, gradient and curvature.

    Fills ``report`` with the energy so far, what the forces leave of the targets, and the worst gap [m].
    """
    for v in range(g.shape[1]):
        g[lane, v] = ZERO
        for w in range(g.shape[1]):
            M[lane, v, w] = ZERO
    energy, left = ZERO, ZERO
    if stage[GRASP] > ZERO:
        left = balance(lane, groups, least, stage, rounds, K, arms, inverse, G, Z, U, B, floors, rest)
        energy += wrench_term(lane, tips, length, stage, K, arms, G, Z, rest, J, M, g)
    energy += gap_term(lane, stage, K, M, g)
    worst = ZERO
    for i in range(K.shape[1]):
        worst = max(worst, abs(K[lane, i, 3]))
    report[lane, 0] = energy
    report[lane, 1] = left
    report[lane, 2] = worst


@inlined
def collide(
    lane,
    links,
    parents,
    contact_links,
    solids,
    solid_links,
    touching,
    reach,
    spans,
    points,
    pairs,
    grid,
    dims,
    frames,
    scene,
    stage,
    X,
    K,
    g,
    M,
    S,
    counts,
    tip_where,
    tip_rows,
    where,
    row,
    signed,
    W,
    H,
    report,
):
    """Wrenches and curvature of one lane's links: fingertips, object, the hand itself.

    Adds to the energy in ``report`` and fills the deepest penetration of the object and of the hand itself [m].
    """
    for p in range(H.shape[1]):
        for q in range(p + 1):
            H[lane, p, q] = ZERO
    for link in range(W.shape[1]):
        for a in range(6):
            W[lane, link, a] = ZERO
    place_solids(lane, solids, solid_links, X, S)
    move_tips(lane, links, parents, contact_links, X, K, M, g, W, H, counts, tip_where, tip_rows, where, row)
    energy, deep = object_term(
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
    )
    more, own = self_term(lane, links, parents, solid_links, reach, pairs, stage, X, S, W, H, where, row, signed)
    report[lane, 0] += energy + more
    report[lane, 3] = deep
    report[lane, 4] = own
