"""Numba entry points of the grasp kernels on the CPU: loops over lanes and blocks around the shared bodies."""

import numpy as np

from tasks.array.compiled import jit

from .body._chain import place_links, place_solids, sweep
from .body._descent import solve_step, squeeze, walk
from .body._energy import balance, couple_term, gap_term, move_tips, object_term, self_term, touch, wrench_term
from .body._voxels import fill_block

BLOCK = 4


@jit
def fill_distances(triangles, planes, starts, origin, spacing, values):
    """Fill a distance grid, cube by cube."""
    near, faces = np.empty(triangles.shape[0], np.float32), np.empty(triangles.shape[0], np.int32)
    least = np.empty(starts.shape[0], np.float32)
    for i in range(0, values.shape[0], BLOCK):
        for j in range(0, values.shape[1], BLOCK):
            for k in range(0, values.shape[2], BLOCK):
                fill_block(triangles, planes, starts, origin, spacing, values, BLOCK, i, j, k, near, faces, least)


@jit
def touch_lanes(active, chain, tips, field, scenes, stage, poses, X, K, arms):
    """Forward kinematics and fingertip contacts of every active lane."""
    for lane in active:
        place_links(lane, chain.links, chain.parents, poses, X)
        touch(lane, tips.sites, tips.links, field.grid, field.dims, field.frames, scenes[lane], stage[7], X, K, arms)


@jit
def force_lanes(active, tips, field, scenes, stage, rounds, K, arms, force, g, M, report):
    """Contact forces of every active lane, and the fingertips' share of energy, gradient and curvature."""
    for lane in active:
        for v in range(g.shape[1]):
            g[lane, v] = 0
            for w in range(g.shape[1]):
                M[lane, v, w] = 0
        energy, rest = np.float32(0), np.float32(0)
        if stage[0] > 0:
            rest = balance(lane, tips.groups, stage, rounds, K, arms, force.inverse, force.G, force.Z, force.U, force.B,
                           force.floors, force.rest)
            energy += wrench_term(lane, tips.sites, field.frames[scenes[lane], 8], stage, K, arms, force.G, force.Z,
                                  force.rest, force.J, M, g)
        energy += gap_term(lane, stage, K, M, g)
        worst = np.float32(0)
        for i in range(K.shape[1]):
            worst = max(worst, abs(K[lane, i, 3]))
        report[lane, 0], report[lane, 1], report[lane, 2] = energy, rest, worst


@jit
def collide_lanes(active, chain, tips, skin, field, scenes, stage, X, K, g, M, body, W, H, report):
    """Gradient and curvature of every active lane with respect to its links: fingertips, object, the hand itself."""
    for lane in active:
        for p in range(H.shape[1]):
            for q in range(p + 1):
                H[lane, p, q] = 0
        for l in range(W.shape[1]):
            for a in range(6):
                W[lane, l, a] = 0
        place_solids(lane, skin.solids, skin.solid_links, X, body.S)
        move_tips(lane, chain.links, chain.parents, tips.links, X, K, M, g, W, H, body.counts, body.tip_where, body.tip_rows,
                  body.where, body.row)
        energy, deep = object_term(lane, chain.links, chain.parents, skin, field.grid, field.dims, field.frames, scenes[lane], stage,
                                   X, body.S, W, H, body.where, body.row)
        more, own = self_term(lane, chain.links, chain.parents, skin, stage, X, body.S, W, H, body.where, body.row, body.signed)
        report[lane, 0] += energy + more
        report[lane, 3], report[lane, 4] = deep, own


@jit
def move_lanes(active, chain, joints, damping, longest, base_free, X, W, H, grad, steps, poses):
    """One damped step of every active lane."""
    for lane in active:
        for p in range(grad.shape[1]):
            grad[lane, p] = 0
        couple_term(lane, joints.partners, np.float32(20), poses, grad, H)
        sweep(lane, chain.links, chain.parents, X, W, grad)
        solve_step(lane, joints.limits, damping, base_free, poses, grad, H, steps)
        walk(lane, joints.limits, longest, poses, steps)


@jit
def squeeze_lanes(active, chain, joints, tips, strength, X, K, Z, steps, body, out):
    """Squeeze targets of every active lane; ``out`` holds the grasps and is changed to the squeezes."""
    for lane in active:
        squeeze(lane, chain.links, chain.parents, tips.links, joints, tips.sites, strength, X, K, Z, steps, body.where, body.row, out)
