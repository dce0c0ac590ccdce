"""The object's signed-distance grid, exact at its nodes: per convex piece outside, deepest face inside."""

import numpy as np

from tasks.array.namespace import native

REACH = 0.035
"""How far the grid reaches beyond the object [m]: a fingertip's radius and the widest gap, with room."""

MOST_CELLS = 160_000


def distance_grid(pieces: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, float]:
    """Signed distance to a union of convex pieces on a regular grid.

    Parameters
    ----------
    pieces : list of ((vertex, 3) float, (face, 3) int)
        Convex polyhedra [m], faces counter-clockwise seen from outside.

    Returns
    -------
    values (nx, ny, nz) float32 [m], origin (3,) [m], spacing [m]
    """
    points = np.concatenate([v for v, _ in pieces])
    low, high = points.min(0) - REACH, points.max(0) + REACH
    spacing = max(0.002, (np.prod(high - low) / MOST_CELLS) ** (1 / 3))
    shape = np.ceil((high - low) / spacing).astype(int) + 1
    triangles, planes, starts = _faces(pieces)
    values = np.empty(shape, np.float32)
    native(values, __package__).fill_distances(
        triangles, planes, starts, low.astype(np.float32), np.float32(spacing), values
    )
    return values, low, float(spacing)


def _faces(pieces: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles (n, 9), their outward planes (n, 4), and where each piece starts."""
    triangles, planes, starts = [], [], [0]
    for v, f in pieces:
        t = np.asarray(v, float)[np.asarray(f)]
        normal = np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])
        size = np.linalg.norm(normal, axis=1)
        t, normal = t[size > 1e-14], (normal / np.maximum(size, 1e-30)[:, None])[size > 1e-14]
        inward = ((t.mean(1) - v.mean(0)) * normal).sum(1) < 0
        normal[inward] *= -1
        triangles.append(t.reshape(-1, 9))
        planes.append(np.column_stack([normal, (normal * t[:, 0]).sum(1)]))
        starts.append(starts[-1] + len(t))
    return (
        np.concatenate(triangles).astype(np.float32),
        np.concatenate(planes).astype(np.float32),
        np.array(starts, np.int32),
    )
