"""Wavelet shrinkage of score images with thresholds that minimise Stein's unbiased estimate of the risk."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.array import wavelet
from tasks.array.namespace import namespace, to_host
from tasks.array.tiling import Tile
from tasks.denoise import wiener
from tasks.denoise.surface import fill_reach, surface

BINS_PER_SIGMA = 64
N_BINS = 8 * BINS_PER_SIGMA + 1
"""Magnitudes are counted up to 8 sigma; no threshold worth having is larger."""

SMOOTHING = 0.1
"""Width of the kernel that smooths the counts before the minimum is sought [sigma]: a coefficient that rounding moves
to the next bin then moves the threshold by less than 1e-4 sigma."""

MAX_LEVELS = 4


@dataclass(frozen=True)
class Shrinkage:
    """What pass 3 needs besides the scene.

    ``thresholds`` (component, level, orientation) [sigma] of the kept components; ``risk`` (component,), the expected
    squared error of each component's scores per pixel, kept or dropped [sigma^2].
    """

    thresholds: np.ndarray
    risk: np.ndarray

    @property
    def rank(self) -> int:
        """Number of components kept."""
        return len(self.thresholds)


def levels_for(shape: tuple[int, int]) -> int:
    """Wavelet levels of a scene: the coarsest detail spans at most an eighth of its shorter side."""
    return int(np.clip(np.floor(np.log2(min(shape) / 8)), 0, MAX_LEVELS)) if min(shape) >= 8 else 0


def halo_for(shape: tuple[int, int], gaps: bool) -> int:
    """Pixels of scores that `count_magnitudes` and `shrink` must see around a core."""
    return wavelet.reach(levels_for(shape)) + fill_reach(gaps)


def counts_shape(n_component: int, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """(component, level, orientation, bin) of a scene's counts."""
    return n_component, levels_for(shape), 3, N_BINS


def count_magnitudes(scores: Any, tile: Tile, gaps: bool) -> np.ndarray:
    """How often each magnitude of wavelet coefficient occurs in the core of a tile.

    Parameters
    ----------
    scores : (y, x, component) float32 array
        The tile's ``read`` block, with `halo_for` pixels of halo.
    tile : Tile
    gaps : bool
        Whether the scene has pixels without any valid band.

    Returns
    -------
    (component, level, orientation, bin) int64 array
        Those of two tiles add up.
    """
    shape = (tile.shape[0], tile.shape[1])
    n_levels, halo = levels_for(shape), halo_for(shape, gaps)
    images, valid = surface(scores, tile, halo)
    core = tuple(slice(halo, n - halo) for n in valid.shape)
    weights = namespace(scores).ascontiguousarray(valid[core])
    counts = np.zeros(counts_shape(len(images), shape), np.int64)
    for component, image in enumerate(images):
        for level, (_, details) in enumerate(_analyses(image[None], n_levels)):
            inner = details[0][(slice(None), *core)]
            counts[component, level] = to_host(wavelet.magnitude_counts(inner, weights, float(BINS_PER_SIGMA), N_BINS))
    return counts


def solve_thresholds(counts: np.ndarray, eigenvalues: np.ndarray, rank: int | None = None) -> Shrinkage:
    """The threshold of least risk for every subband, and the rank of least risk for the scene.

    Parameters
    ----------
    counts : (component, level, orientation, bin) int64 array
        Of the whole scene.
    eigenvalues : (component,) float64 array
        Variances of the scores.
    rank : int, optional
        Keep so many components; by default as many as minimise the estimated risk.

    References
    ----------
    Stein (1981); Donoho & Johnstone (1995); Rasti, Ulfarsson & Ghamisi, IEEE GRSL 14(12), 2017 (HyRes).
    """
    n_component, n_levels = counts.shape[:2]
    thresholds = np.zeros(counts.shape[:3])
    risks = np.zeros(counts.shape[:3])
    for index in np.ndindex(*counts.shape[:3]):
        thresholds[index], risks[index] = least_risk(counts[index])
    share = 4.0 ** -np.arange(1, n_levels + 1)
    n_pixel = counts[0, 0, 0].sum() if n_levels else 1
    kept = (risks.sum(2) * share).sum(1) / n_pixel + 4.0**-n_levels
    dropped = eigenvalues[:n_component] - 1.0
    gain = np.cumsum(kept - dropped)
    best = rank or int(gain.argmin()) + 1
    return Shrinkage(thresholds[:best], np.concatenate([kept[:best], dropped[best:]]))


def least_risk(counts: np.ndarray) -> tuple[float, float]:
    """The soft threshold [sigma] of least estimated risk for coefficients with these magnitudes, and that risk.

    The minimum is refined by a parabola through its neighbours, so that it moves continuously with the counts.
    """
    half = _KERNEL.size // 2
    smooth = np.convolve(np.pad(counts[:-1], half, mode="symmetric").astype(float), _KERNEL, mode="valid")
    centre = (np.arange(N_BINS - 1) + 0.5) / BINS_PER_SIGMA
    edge = np.arange(N_BINS) / BINS_PER_SIGMA
    below = np.concatenate([[0.0], np.cumsum(smooth)])
    energy = np.concatenate([[0.0], np.cumsum(smooth * centre**2)])
    total = below[-1] + float(counts[-1])
    risk = total - 2 * below + energy + (total - below) * edge**2
    at = int(risk.argmin())
    if 0 < at < N_BINS - 1:
        left, middle, right = risk[at - 1 : at + 2]
        bend = left - 2 * middle + right
        shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
        return (at + shift) / BINS_PER_SIGMA, float(middle)
    return at / BINS_PER_SIGMA, float(risk[at])


def shrink(scores: Any, tile: Tile, gaps: bool, shrinkage: Shrinkage, refine: bool = False) -> Any:
    """Scores (y, x, component) of the core of ``tile``, denoised; only the kept components.

    ``scores`` is the tile's ``read`` block with `halo_for` pixels of halo, and `wiener.REACH` more to ``refine``.
    """
    xp = namespace(scores)
    shape = (tile.shape[0], tile.shape[1])
    n_levels, halo = levels_for(shape), halo_for(shape, gaps) + refine * wiener.REACH
    images, _ = surface(scores[..., : shrinkage.rank], tile, halo)
    core = (0, *(slice(halo, n - halo) for n in images.shape[1:]))
    out = xp.empty((*(c.stop - c.start for c in tile.core[:2]), shrinkage.rank), xp.float32)
    for component, image in enumerate(images):
        smooth = _shrunk(image[None], n_levels, shrinkage.thresholds[component])
        out[..., component] = (wiener.refined(image[None], smooth) if refine else smooth)[core]
    return out


def _shrunk(image: Any, n_levels: int, thresholds: np.ndarray) -> Any:
    xp = namespace(image)
    low, high = (xp.asarray(taps) for taps in wavelet.filters())
    pyramid = list(_analyses(image, n_levels))
    coarse = pyramid[-1][0] if pyramid else image
    for level in reversed(range(n_levels)):
        _, details = pyramid.pop()
        limit = xp.asarray(thresholds[level], xp.float32)[None, :, None, None]
        details -= xp.clip(details, -limit, limit)
        coarse = wavelet.synthesise(coarse, details, low, high, 2**level)
    return coarse


def _analyses(image: Any, n_levels: int) -> Iterator[tuple[Any, Any]]:
    """(coarse, details) of every level, finest first."""
    xp = namespace(image)
    low, high = (xp.asarray(taps) for taps in wavelet.filters())
    for level in range(n_levels):
        image, details = wavelet.analyse(image, low, high, 2**level)
        yield image, details


def _kernel() -> np.ndarray:
    width = SMOOTHING * BINS_PER_SIGMA
    reach = int(4 * width)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return weights / weights.sum()


_KERNEL = _kernel()
