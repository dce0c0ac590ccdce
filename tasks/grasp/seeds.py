"""Seed poses: a scrambled Sobol sequence over the object's hull, so that more grasps extend the set."""

import warnings

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation
from scipy.stats import qmc

from .hand import Hand
from .object import Object

STEEPEST = -0.1
"""Faces whose outward normal points down by more than this are out of reach on a table."""


def seed_poses(
    hand: Hand, thing: Object, n: int, *, attempts: int, seed: int, start: int = 0, table: bool = False
) -> np.ndarray:
    """Seeds (lane, attempt, 7 + dof) float32 of the lanes from ``start`` to ``n``; each is the same whatever these are."""
    corners, normals, areas = _hull(thing)
    if table:
        areas = np.where(normals[:, 2] < STEEPEST, 0, areas)
    out = np.empty((n - start, attempts, 7 + hand.dof), np.float32)
    for a in range(attempts):
        u = _sobol(start, n, 10 + hand.dof, seed, a)
        face = np.minimum(np.searchsorted(np.cumsum(areas) / areas.sum(), u[:, 0]), len(areas) - 1)
        r, s = np.sqrt(u[:, 1:2]), u[:, 2:3]
        tri = corners[face]
        point = tri[:, 0] * (1 - r) + tri[:, 1] * (r * (1 - s)) + tri[:, 2] * (r * s)
        out[:, a] = _around(hand, thing, point, normals[face], u[:, 3:])
    return out


def _sobol(start: int, stop: int, dims: int, seed: int, attempt: int) -> np.ndarray:
    engine = qmc.Sobol(dims, scramble=True, rng=np.random.default_rng([seed, attempt]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if start:
            engine.fast_forward(start)
        return engine.random(stop - start)


def _hull(thing: Object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points = np.concatenate([v for v, _ in thing.pieces])
    hull = ConvexHull(points)
    corners = points[hull.simplices]
    normals = hull.equations[:, :3]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return corners, normals, areas


def _around(hand: Hand, thing: Object, point: np.ndarray, normal: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Put the palm over surface points, facing in, rolled and tilted at random."""
    side = np.cross(normal, np.where(np.abs(normal[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    world = np.stack([-normal, side, np.cross(-normal, side)], 2)
    facing, fingers = hand.palm[0], hand.palm[1]
    local = np.stack([facing, fingers, np.cross(facing, fingers)], 1)
    angles = np.column_stack([2 * np.pi * u[:, 0], 0.5 * (u[:, 1] - 0.5), 0.5 * (u[:, 2] - 0.5)])
    roll = Rotation.from_euler("xyz", angles).as_matrix()
    rotation = world @ roll @ local.T
    depth = ((point - thing.centre) * normal).sum(1, keepdims=True)
    inner = point - normal * np.clip(depth, 0.0, 0.03)
    inner += 0.35 * (thing.centre - inner) * u[:, 3:4]
    target = inner + (u[:, 4:7] - 0.5) * 0.02
    base = target - rotation @ hand.palm[2]
    limits = hand.tables.joints.limits
    joints = np.clip(hand.rest + 0.3 * (u[:, 7:] - 0.5), limits[:, 0], limits[:, 1])
    quat = Rotation.from_matrix(rotation).as_quat(scalar_first=True)
    return np.column_stack([base, quat, joints])
