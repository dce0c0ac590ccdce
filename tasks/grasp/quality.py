"""Analytic measures of grasps: how large a wrench they resist, and how much they differ."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.transform import Rotation

EDGES = 8


def smallest_wrench(points: ArrayLike, normals: ArrayLike, *, mu: float, centre: np.ndarray, length: float) -> float:
    """Radius of the largest ball of wrenches that unit contact forces resist in every direction (Q1).

    Parameters
    ----------
    points, normals : (contact, 3) float array
        Contact points [m] and outward normals of the object.
    mu : float
        Friction coefficient; cones become pyramids of eight edges.
    centre : (3,) float array
        Where torques are taken about [m].
    length : float
        Length that makes torques comparable with forces [m].

    Returns
    -------
    float
        0 where the contacts cannot resist every direction.

    References
    ----------
    Ferrari & Canny, *Planning optimal grasps* (ICRA 1992).
    """
    points, normals = np.asarray(points, float), np.asarray(normals, float)
    side = np.cross(normals, np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(normals, side)
    turns = 2 * np.pi * np.arange(EDGES) / EDGES
    edges = -normals[:, None] + mu * (np.cos(turns)[:, None] * side[:, None] + np.sin(turns)[:, None] * other[:, None])
    torques = np.cross((points - centre)[:, None] / length, edges)
    wrenches = np.concatenate([edges, torques], -1).reshape(-1, 6)
    try:
        hull = ConvexHull(np.vstack([wrenches, np.zeros(6)]))
    except QhullError:
        return 0.0
    return float(max(0.0, -hull.equations[:, -1].max()))


def diversity(qpos: ArrayLike) -> float:
    """Share of the variance of grasps that their first principal direction leaves; near 0 where all are alike.

    ``qpos`` (grasp, 7 + dof): positions in units of 10 cm, rotations as rotation vectors, joints in radians.
    """
    qpos = np.asarray(qpos, float)
    if len(qpos) < 2:
        return 0.0
    turned = Rotation.from_quat(qpos[:, 3:7], scalar_first=True).as_rotvec()
    features = np.concatenate([qpos[:, :3] / 0.1, turned, qpos[:, 7:]], axis=1)
    variance = np.linalg.svd(features - features.mean(0), compute_uv=False) ** 2
    return float(1 - variance[0] / variance.sum()) if variance.sum() > 0 else 0.0
