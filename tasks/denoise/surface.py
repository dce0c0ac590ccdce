"""A tile of score images made ready for a spatial filter: mirrored at the scene's border, its holes filled."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace, scipy_for
from tasks.array.tiling import Tile

FILL_RADII = (1, 2, 4, 8, 16)
"""Half-widths of the boxes that fill holes, tried in turn [pixels]."""


def fill_reach(gaps: bool) -> int:
    """Pixels around a hole that its filling may look at."""
    return FILL_RADII[-1] if gaps else 0


def extended(scores: Any, tile: Tile, halo: int) -> tuple[Any, Any]:
    """The core of ``tile`` and ``halo`` pixels all around it, whatever the scene's size.

    Beyond the border the scene is mirrored (half-sample symmetric, as often as needed), which is a rule about the
    scene and not about the tile: every tile sees the same extended scene.

    Parameters
    ----------
    scores : (y, x, component) float32 array
        The tile's ``read`` block; NaN where a pixel has no valid band.
    tile : Tile
        Read with at least ``halo``.
    halo : int
        Pixels on each side.

    Returns
    -------
    images : (y, x, component) float32 array
        Holes filled with the mean of what lies near.
    valid : (y, x) bool array
        False in the holes.
    """
    xp = namespace(scores)
    rows = _mirrored(tile, 0, halo)
    columns = _mirrored(tile, 1, halo)
    images = scores[xp.asarray(rows)[:, None], xp.asarray(columns)[None]]
    valid = xp.isfinite(images[..., 0])
    if not bool(valid.all()):
        images = filled(images, valid)
    return images, valid


def surface(scores: Any, tile: Tile, halo: int) -> tuple[Any, Any]:
    """`extended`, image by image: (component, y, x)."""
    images, valid = extended(scores, tile, halo)
    return namespace(images).ascontiguousarray(images.transpose(2, 0, 1)), valid


def _mirrored(tile: Tile, axis: int, halo: int) -> np.ndarray:
    """Where in the read block the samples core - halo .. core + halo lie, folded at the scene's border."""
    size, core, read = tile.shape[axis], tile.core[axis], tile.read[axis]
    index = np.arange(core.start - halo, core.stop + halo) % (2 * size)
    folded = np.where(index < size, index, 2 * size - 1 - index)
    return folded - read.start


def filled(images: Any, valid: Any) -> Any:
    """Images (y, x, n) whose holes hold the mean of the pixels with ``valid`` (y, x) in the smallest box that has any, or 0."""
    xp = namespace(images)
    box = scipy_for(images, "ndimage").uniform_filter
    known = xp.where(valid[..., None], images, xp.float32(0))
    out, left = known.copy(), ~valid
    for radius in FILL_RADII:
        if not bool(left.any()):
            break
        size = 2 * radius + 1
        share = box(valid.astype(xp.float64), size, mode="nearest")
        here = left & (share > 0.5 / size**2)
        for component in range(out.shape[-1]):
            mean = box(known[..., component].astype(xp.float64), size, mode="nearest") / xp.where(here, share, 1)
            out[here, component] = mean[here]
        left &= ~here
    return out
