"""Numba entry points of the grasp kernels on the CPU: loops over lanes and blocks around the shared bodies."""

import numpy as np

from tasks.array.compiled import jit

from .body._chain import place_links
from .body._descent import move, squeeze
from .body._energy import collide, press, touch
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
        press(
            lane,
            tips.groups,
            tips.least,
            tips.sites,
            field.frames[scenes[lane], 8],
            stage,
            rounds,
            K,
            arms,
            force.inverse,
            force.G,
            force.Z,
            force.U,
            force.B,
            force.floors,
            force.rest,
            force.J,
            g,
            M,
            report,
        )


@jit
def collide_lanes(active, chain, tips, skin, field, scenes, stage, X, K, g, M, body, W, H, report):
    """Gradient and curvature of every active lane with respect to its links: fingertips, object, the hand itself."""
    for lane in active:
        collide(
            lane,
            chain.links,
            chain.parents,
            tips.links,
            skin.solids,
            skin.solid_links,
            skin.touching,
            skin.reach,
            skin.spans,
            skin.points,
            skin.pairs,
            field.grid,
            field.dims,
            field.frames,
            scenes[lane],
            stage,
            X,
            K,
            g,
            M,
            body.S,
            body.counts,
            body.tip_where,
            body.tip_rows,
            body.where,
            body.row,
            body.signed,
            W,
            H,
            report,
        )


@jit
def move_lanes(active, chain, joints, damping, longest, base_free, X, W, H, grad, steps, poses):
    """One damped step of every active lane."""
    for lane in active:
        move(
            lane,
            chain.links,
            chain.parents,
            joints.limits,
            joints.partners,
            damping,
            longest,
            base_free,
            X,
            W,
            H,
            grad,
            steps,
            poses,
        )


@jit
def squeeze_lanes(active, chain, joints, tips, strength, X, K, Z, steps, body, out):
    """Squeeze targets of every active lane; ``out`` holds the grasps and is changed to the squeezes."""
    for lane in active:
        squeeze(
            lane,
            chain.links,
            chain.parents,
            tips.links,
            tips.sites,
            joints.stops,
            joints.torque,
            strength,
            X,
            K,
            Z,
            steps,
            body.where,
            body.row,
            out,
        )
