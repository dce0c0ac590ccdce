"""Embeddings by kind: few numbers per sample that are close for samples which training would not tell apart.

Images are pooled to a coarse grid, freed of their mean and scaled to unit length, so that a radius means the same for
faint and for bright samples. The mean must go: all spectra of one material would be near-duplicates otherwise, and would
chain every scene of a region into one group. What is then left of an even patch is noise, which is like nothing else.
"""

from itertools import pairwise
from typing import Any

from tasks.array.namespace import namespace

GRID = 4
"""Cells along y and x, and along the spectrum, of a patch: 64 numbers."""

IMAGE_GRID = 8
"""Cells along y and x of an image: 64 numbers."""


def pool(values: Any, axis: int, cells: int) -> Any:
    """Means over ``cells`` nearly equal parts of an axis; an axis of fewer samples stays as it is."""
    xp = namespace(values)
    n = values.shape[axis]
    if n <= cells:
        return values
    edges = [round(i * n / cells) for i in range(cells + 1)]
    parts = (slice(a, b) for a, b in pairwise(edges))
    return xp.stack([values[(slice(None),) * axis + (part,)].mean(axis=axis) for part in parts], axis=axis)


def embed_patches(patches: Any) -> Any:
    """Pooled texture of patches (record, y, x, band): deviations from the mean spectrum, as unit vectors (record, 64) float32."""
    pooled = pool(pool(pool(patches, 1, GRID), 2, GRID), 3, GRID)
    return _unit(pooled - pooled.mean(axis=(1, 2), keepdims=True))


def embed_images(images: Any) -> Any:
    """Pooled images of cutouts (record, y, x), as unit vectors (record, feature) float32.

    A cutout's median is the sky's and carries nothing; the square root of the deviation keeps one bright pixel from
    being all there is.
    """
    xp = namespace(images)
    sky = xp.median(images.reshape(len(images), -1), axis=1)[:, None, None]
    pooled = pool(pool(images - sky, 1, IMAGE_GRID), 2, IMAGE_GRID)
    return _unit(xp.sign(pooled) * xp.sqrt(xp.abs(pooled)))


def embed_poses(qpos: Any, *, length: float = 0.1) -> Any:
    """Poses (record, 7 + joint) as position over ``length`` [m], rotation matrix and joint angles [rad], float32.

    A rotation matrix, because a quaternion and its negative are one rotation. Compare grasps on one object only.
    """
    xp = namespace(qpos)
    w, x, y, z = (qpos[:, i] / xp.linalg.norm(qpos[:, 3:7], axis=1) for i in range(3, 7))
    rotation = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    parts = [qpos[:, :3] / length, xp.stack(rotation, axis=1), qpos[:, 7:]]
    return xp.concatenate(parts, axis=1).astype(xp.float32)


def _unit(values: Any) -> Any:
    xp = namespace(values)
    flat = values.reshape(len(values), -1).astype(xp.float32)
    return flat / xp.maximum(xp.linalg.norm(flat, axis=1, keepdims=True), 1e-30)
