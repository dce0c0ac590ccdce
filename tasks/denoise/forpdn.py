"""FORPDN: spectra made smooth by a penalty on their first difference, as strongly as each spatial scale can bear."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.tiling import Tile
from tasks.denoise import starlet
from tasks.denoise.scene import SceneModel
from tasks.denoise.scores import band_error
from tasks.denoise.streaming import ScoreMethod
from tasks.denoise.surface import fill_reach, surface
from tasks.denoise.uncertainty import noise_left

STRENGTHS = np.concatenate([[0.0], np.logspace(-2, 7, 46)])
"""Penalties that are tried, relative to the roughness of the roughest component."""
SWEEPS = 4
BATCH = 16
ROWS = 32
"""Components handled at a time."""


@dataclass(frozen=True)
class Gains:
    """``gain`` (component, scale): what remains of each; ``risk`` (component,): expected squared error [sigma^2]."""

    gain: np.ndarray
    risk: np.ndarray


@dataclass(frozen=True)
class FORPDN(ScoreMethod):
    """First-order roughness penalty denoising: a linear filter along the spectrum, one strength per spatial scale.

    The penalty is diagonal in the components of roughness, so the exact risk of every strength follows from a few
    products per component and no strength needs a pass of its own. ``robust``: mend outliers and stripes first.

    References
    ----------
    Rasti, Sveinsson, Ulfarsson & Benediktsson, IEEE JSTARS 7(6):2458-2467, 2014.
    """

    robust: bool = False
    rounds: ClassVar[int] = 1
    linear: ClassVar[bool] = True

    def adapt(self, scene: SceneModel) -> SceneModel:
        """The scene in components of growing roughness, all of them."""
        used = np.flatnonzero(scene.used)
        steps = np.diff(np.eye(len(used)) * scene.sigma[used], axis=0)
        _, vectors = np.linalg.eigh(steps.T @ steps)
        basis = np.zeros((len(scene.used), len(used)))
        basis[used] = vectors
        signal = np.maximum(scene.eigenvalues[: scene.n_component] - 1, 0)
        variances = 1 + ((basis.T @ scene.basis) ** 2) @ signal
        return replace(scene, basis=basis, eigenvalues=variances)

    def part_shape(self, scene: SceneModel) -> tuple[int, ...]:
        """Shape of what `survey` returns: products of the scales of each component, and the number of pixels."""
        return scene.n_component, starlet.LEVELS + 1, starlet.LEVELS + 2

    def halo(self, scene: SceneModel) -> int:
        """Pixels of scores needed around a core."""
        return starlet.REACH + fill_reach(scene.gaps)

    def survey(self, scores: Any, tile: Tile, scene: SceneModel, plan: Gains | None = None) -> np.ndarray:
        """Products of the scales of every component, summed over the core."""
        xp = namespace(scores)
        out = np.zeros(self.part_shape(scene))
        for start, parts, seen in self._batches(scores, tile, scene):
            out[start : start + len(parts), :, :-1] = to_host(
                _products(parts if seen.all() else xp.where(seen, parts, 0))
            )
            out[start : start + len(parts), :, -1] = int(seen.sum())
        return out

    def solve(self, parts: np.ndarray, scene: SceneModel, plan: Gains | None = None) -> Gains:
        """The strength of least risk for each scale, all components together."""
        products, count = parts[..., :-1], parts[:, :1, -1]
        rough = _roughness(scene)
        strengths = np.zeros(products.shape[1])
        for _ in range(SWEEPS):
            for scale in range(len(strengths)):
                trials = np.repeat(strengths[None], len(STRENGTHS), 0)
                trials[:, scale] = STRENGTHS
                risks = [_risk(_gain(trial, rough), products, count).sum() for trial in trials]
                strengths[scale] = STRENGTHS[int(np.argmin(risks))]
        gain = _gain(strengths, rough)
        return Gains(gain, _risk(gain, products, count) / np.maximum(count[:, 0], 1))

    def expected_error(self, scene: SceneModel, plan: Gains) -> np.ndarray:
        """Expected root mean square error of each band of the result, in the unit of the cube."""
        return band_error(scene, plan.risk)

    def uncertainty(self, tile: Tile, scene: SceneModel, plan: Gains) -> np.ndarray:
        """Standard deviation (y, x, band) that the noise causes in the core of a tile."""
        return noise_left(tile, scene, plan.gain)

    def restore(self, scores: Any, tile: Tile, scene: SceneModel, plan: Gains) -> Any:
        """The denoised core (y, x, band) of a tile."""
        xp = namespace(scores)
        backward = xp.asarray(scene.backward, xp.float32)
        clean = xp.empty((*(c.stop - c.start for c in tile.core[:2]), len(scene.used)), xp.float32)
        clean[:] = xp.asarray(scene.mean, xp.float32)
        for start, parts, _ in self._batches(scores, tile, scene):
            batch = slice(start, start + len(parts))
            kept = xp.einsum("nsyx,ns->yxn", parts, xp.asarray(plan.gain[batch], xp.float32))
            for row in range(0, len(clean), ROWS):  # part by part: no second cube
                clean[row : row + ROWS] += kept[row : row + ROWS] @ backward[batch]
        return clean

    def _batches(self, scores: Any, tile: Tile, scene: SceneModel) -> Any:
        """(first component, (n, scale, y, x) scales in the core, (y, x) whether a pixel counts)."""
        halo = self.halo(scene)
        for start in range(0, scores.shape[-1], BATCH):
            images, valid = surface(scores[..., start : start + BATCH], tile, halo)
            core = tuple(slice(halo, n - halo) for n in valid.shape)
            yield start, starlet.split(images)[(..., *core)], valid[core]


def _products(parts: Any) -> Any:
    """Sum over pixels of the products of scales, (n, scale, scale): float32 along a row, float64 over the rows."""
    xp = namespace(parts)
    rows = parts.transpose(0, 2, 1, 3)
    return (rows @ rows.transpose(0, 1, 3, 2)).sum(1, dtype=xp.float64)


def _roughness(scene: SceneModel) -> np.ndarray:
    """Roughness of each component over that of the roughest."""
    used = scene.used
    steps = np.diff(scene.basis[used] * scene.sigma[used, None], axis=0)
    rough = (steps**2).sum(0)
    return rough / max(float(rough.max(initial=0.0)), 1e-300)


def _gain(strengths: np.ndarray, rough: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + strengths[None] * rough[:, None])


def _risk(gain: np.ndarray, products: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Stein's estimate of the summed squared error of each component for these gains."""
    away = 1.0 - gain
    misfit = np.einsum("ks,kst,kt->k", away, products, away)
    return misfit + count[:, 0] * (2 * gain @ starlet.traces() - 1)
