"""Collaborative filtering of similar patches, for images that share one scene and differ in what they show of it.

Each group of similar 8 x 8 patches is a small tensor (patch, pixel, component). Three orthonormal transforms make its
signal sparse: a cosine transform over pixels, Haar wavelets over patches, and over components the group's own
principal axes, because a neighbourhood mixes fewer substances than the scene holds. Coefficients are thresholded,
and in a second round weighted by a Wiener filter that the first round's answer tunes. `_cpu` (Numba) and `_gpu`
(CUDA) are compiled twins.

A pixel of the answer depends only on pixels within `HALO`; reference patches lie on a lattice that belongs to the
scene. Hence a tile read with that halo gets the same answer as the whole scene.

References
----------
Dabov, Foi, Katkovnik & Egiazarian, IEEE TIP 16(8), 2007 (BM3D); Dabov et al., SPARS 2009 (principal axes of a group);
Danielyan, Vehviläinen, Foi, Katkovnik & Egiazarian, LNLA 2009 (joint grouping over channels).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from tasks.array.namespace import namespace, native
from tasks.array.tiling import Tile, tiles
from tasks.denoise.patches._formulas import EDGE
from tasks.denoise.surface import FILL_RADII, surface

STEP = 3
"""Distance between reference patches [pixels]; 2 gains 0.02 dB at twice the cost, 4 loses 0.1 dB."""

RADIUS = 10
"""How far similar patches may lie [pixels]; 24 gains 0.05 dB at five times the cost of the search."""

N_SIMILAR = 32
"""Patches in a group; 16 lose 0.1 to 0.2 dB, 64 lose 0.1 dB."""

LEVEL = 3.0
"""Coefficients below are noise [sigma]."""

INFLATION = 1.3
"""Noise variance that the Wiener filter assumes: the pilot holds some of the noise as if it were signal."""

BLOCK = (48, 96)
"""Reference positions handled together (y, x); a multiple of `STEP`. It bounds the memory."""

N_GUIDE = 8
"""Components that decide which patches are similar; those that follow hold little but noise."""

N_MIXED = 12
"""Components rotated together; more come in batches of so many."""

HALO = 4 * (RADIUS + EDGE - 1)
"""Pixels around a core that `denoise_images` may look at, without holes."""


def halo_for(gaps: bool) -> int:
    """Pixels that a tile must read around its core; more if holes have to be filled."""
    return HALO + (FILL_RADII[-1] if gaps else 0)


def denoise_images(images: Any, sigma: Any, mask: Any = None, tile: Tile | None = None) -> Any:
    """Remove white noise from images of one scene.

    Parameters
    ----------
    images : (k, y, x) float32 array
        Most informative first; noise independent between them.
    sigma : (k,) array
        Standard deviation of the noise of each, in its unit; positive.
    mask : (y, x) bool array, optional
        True = valid. Other pixels are estimated from what surrounds them.
    tile : Tile, optional
        Two axes; where ``images`` is only that tile's ``read`` block. The answer is then final inside ``trim``.

    Returns
    -------
    (k, y, x) float32 array

    Raises
    ------
    ValueError
        If shapes do not fit, a sigma is not positive, no pixel is valid, or a valid one is not finite.
    """
    xp = namespace(images)
    images, sigma = xp.asarray(images, xp.float32), xp.asarray(sigma, xp.float32)
    _check(images, sigma, mask)
    if tile is None:
        (tile,) = tiles(images.shape[1:], images.shape[1:])
    scaled = images / sigma[:, None, None]
    if mask is not None:
        scaled = _without_holes(scaled, mask, tile)
    clean = _two_rounds(*_at_least_a_patch(xp, scaled, mask, tile))
    return clean[:, : images.shape[1], : images.shape[2]] * sigma[:, None, None]


def _two_rounds(images: Any, holes: Any, lattice: tuple, n_similar: int) -> Any:
    """Threshold, then Wiener; holes take the pilot's values in between."""
    pilot = _round(images, images, lattice, n_similar, np.float32(LEVEL), False)
    if holes is not None:
        xp = namespace(images)
        images = xp.where(holes, pilot, images)
        pilot = _round(images, images, lattice, n_similar, np.float32(LEVEL), False)
        images = xp.where(holes, pilot, images)
    return _round(images, pilot, lattice, n_similar, np.float32(INFLATION), True)


def _round(images: Any, pilot: Any, lattice: tuple, n_similar: int, level: np.float32, wiener: bool) -> Any:
    xp = namespace(images)
    kernels = native(images, __package__)
    rows, cols, *_, radius = lattice
    similar = kernels.find_similar(xp.ascontiguousarray(pilot[:N_GUIDE]), rows, cols, radius, n_similar)
    out = xp.empty_like(images)
    for start in range(0, len(images), N_MIXED):
        some = slice(start, start + N_MIXED)
        noisy, guide = xp.ascontiguousarray(images[some]), xp.ascontiguousarray(pilot[some])
        out[some] = kernels.collaborate(noisy, guide, similar, lattice, level, wiener)
    return out


def _at_least_a_patch(xp: Any, images: Any, mask: Any, tile: Tile) -> tuple[Any, Any, tuple, int]:
    """Images mirrored up to one patch where the scene is narrower, its holes, its lattice, and the size of groups."""
    shape = [max(n, EDGE) for n in tile.shape]
    padding = [(0, wanted - n) if n < EDGE else (0, 0) for wanted, n in zip(shape, tile.shape, strict=True)]
    images = xp.ascontiguousarray(xp.pad(images, [(0, 0), *padding], mode="symmetric"))
    holes = None if mask is None else xp.pad(~xp.asarray(mask), padding, mode="symmetric")
    axes = [_lattice(n, read.start, size) for n, read, size in zip(shape, tile.read, images.shape[1:], strict=True)]
    cuts = [_cuts(at + read.start, edge) for at, read, edge in zip(axes, tile.read, BLOCK, strict=True)]
    candidates = np.prod([min(n - EDGE, RADIUS) + 1 for n in shape])
    n_similar = min(N_SIMILAR, 1 << (int(candidates).bit_length() - 1))
    return images, holes, (*axes, *cuts, RADIUS), n_similar


def _lattice(n_scene: int, start: int, size: int) -> np.ndarray:
    """Reference positions of one axis inside a block: multiples of the step in the scene, and the scene's last."""
    last = n_scene - EDGE
    scene = np.append(np.arange(0, last, STEP), last)
    return scene[(scene >= start) & (scene <= start + size - EDGE)] - start


def _cuts(positions: np.ndarray, edge: int) -> np.ndarray:
    """Where blocks of the scene begin among the reference ``positions`` (of the scene), and where the last one ends."""
    return np.concatenate([[0], np.flatnonzero(np.diff(positions // edge)) + 1, [positions.size]])


def _without_holes(images: Any, mask: Any, tile: Tile) -> Any:
    """Pixels that are not valid take the mean of what lies near."""
    xp = namespace(images)
    scores = xp.where(xp.asarray(mask), images, xp.float32(xp.nan)).transpose(1, 2, 0)
    return surface(scores, replace(tile, core=tile.read, halo=((0, 0), (0, 0))), 0)[0]


def _check(images: Any, sigma: Any, mask: Any) -> None:
    xp = namespace(images)
    if images.ndim != 3 or 0 in images.shape:
        raise ValueError(
            f"the images have shape {images.shape}, expected three non-empty axes (k, y, x); add the missing"
        )
    if sigma.shape != images.shape[:1] or not bool((sigma > 0).all()):
        raise ValueError(
            f"sigma has shape {sigma.shape} and a minimum of {sigma.min() if sigma.size else None}, "
            f"expected one positive number for each of the {len(images)} images"
        )
    if mask is not None and (mask.shape != images.shape[1:] or mask.dtype != bool or not bool(mask.any())):
        raise ValueError(
            f"the mask is {mask.dtype} of shape {mask.shape} with {int(mask.sum())} True, expected booleans of shape "
            f"{images.shape[1:]}, True where a pixel is valid"
        )
    if not bool(xp.isfinite(images if mask is None else images[:, xp.asarray(mask)]).all()):
        raise ValueError("the images hold NaN or infinity, expected finite values; pass mask=np.isfinite(images[0])")


__all__ = ["HALO", "denoise_images", "halo_for"]
