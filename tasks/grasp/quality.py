"""Analytic measures of grasps: how large a wrench they resist, and how much they differ."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.transform import Rotation

EDGES = 8
HALF_FRICTION = (0.3, 0.01)
"""Half the friction of the simulation, sliding and turning: what a grasp should do with room to spare."""
SMALL = 0.1
HELD = 1e3
NO_CONTACT = 2.0


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
    edges = _pyramid(normals, mu, EDGES)
    torques = np.cross((points - centre)[:, None] / length, edges)
    wrenches = np.concatenate([edges, torques], -1).reshape(-1, 6)
    try:
        hull = ConvexHull(np.vstack([wrenches, np.zeros(6)]))
    except QhullError:
        return 0.0
    return float(max(0.0, -hull.equations[:, -1].max()))


def unanswered_wrench(points: ArrayLike, normals: ArrayLike, *, centre: np.ndarray) -> float:
    """What bounded contact forces leave of a small wrench, in the mean over its six directions (the QP metric).

    Each contact pushes along four edges of its friction pyramid, and straight while it turns either way about its normal,
    all by amounts that are not negative; those of a contact sum to at most 1, those of all contacts to at least 1.
    Torques are about ``centre`` with arms in metres. Smaller is better.

    Parameters
    ----------
    points, normals : (contact, 3) float array
        Contact points [m] and outward normals of the object.
    centre : (3,) float array
        Where torques are taken about [m].

    Returns
    -------
    float
        0 for contacts that answer every wrench of 0.1; about 1 for those that push one way only, since they must push; 2
        without a contact.

    References
    ----------
    After the measure of DexGraspBench (Chen et al. 2025, arXiv:2412.16490, BODex), which leaves out contacts 5 mm off the
    surface and averages those of a link; here every contact that is given counts.
    """
    points, normals = np.asarray(points, float), np.asarray(normals, float)
    if not len(points):
        return NO_CONTACT
    pushes = _pyramid(normals, HALF_FRICTION[0], 4)
    twists = HALF_FRICTION[1] * normals[:, None] * np.array([[[1.0], [-1.0]]])
    forces = np.concatenate([pushes, -normals[:, None].repeat(2, 1)], axis=1)
    torques = np.cross((points - centre)[:, None], forces)
    torques[:, 4:] += twists
    wrenches = np.concatenate([forces, torques], axis=-1).reshape(-1, 6).T
    sums = np.kron(np.eye(len(points)), np.ones(6))
    # Both kinds of sums are equations with slacks, which weigh enough to hold to six digits.
    limits = np.block([[sums, np.eye(len(points)), np.zeros((len(points), 1))],
                       [np.ones((1, wrenches.shape[1])), np.zeros((1, len(points))), -np.ones((1, 1))]])  # fmt: skip
    system = np.vstack([np.pad(wrenches, ((0, 0), (0, len(points) + 1))), HELD * limits])
    least = [
        nnls(system, np.concatenate([-SMALL * e, np.full(len(points) + 1, HELD)]))[0][: wrenches.shape[1]]
        for e in np.eye(6)
    ]
    return float(np.mean([np.linalg.norm(wrenches @ x + SMALL * e) for x, e in zip(least, np.eye(6), strict=True)]))


def _pyramid(normals: np.ndarray, mu: float, edges: int) -> np.ndarray:
    """Edges (contact, edge, 3) of the friction pyramids about the inward normals."""
    side = np.cross(normals, np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(normals, side)
    turns = 2 * np.pi * np.arange(edges) / edges
    around = np.cos(turns)[:, None] * side[:, None] + np.sin(turns)[:, None] * other[:, None]
    return -normals[:, None] + mu * around


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
