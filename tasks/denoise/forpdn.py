"""FORPDN: spectra made smooth by a penalty on their first difference, as strongly as each spatial scale can bear."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.tiling import Tile
from tasks.denoise import starlet
from tasks.denoise.scene import SceneModel
from tasks.denoise.scores import back_project, band_error
from tasks.denoise.streaming import ScoreMethod
from tasks.denoise.surface import extended, fill_reach
from tasks.denoise.uncertainty import noise_left

STRENGTHS = np.concatenate([[0.0], np.logspace(-2, 7, 46)])
"""Penalties that are tried, relative to the roughness of the roughest component."""
SWEEPS = 4
BATCH = 32
"""Components handled at a time."""
ROWS = 32
"""Rows turned back into spectra at a time."""


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
    working: ClassVar[tuple[int, int]] = (6, 8)
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
        out = np.zeros(self.part_shape(scene))
        for batch, levels, seen, halo in self._batches(scores, tile, scene):
            out[batch, :, :-1] = to_host(starlet.products(levels, seen, halo))
            out[batch, :, -1] = int(seen[halo:-halo, halo:-halo].sum())
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
                risks = _risk(_gain(trials, rough), products, count).sum(1)
                strengths[scale] = STRENGTHS[int(np.argmin(risks))]
        gain = _gain(strengths, rough)
        return Gains(gain, _risk(gain, products, count) / np.maximum(count[:, 0], 1))

    def expected_error(self, scene: SceneModel, plan: Gains) -> np.ndarray:
        """Expected root mean square error of each band of the result, in the unit of the cube."""
        return band_error(scene, plan.risk)

    def uncertainty(self, tile: Tile, scene: SceneModel, plan: Gains) -> np.ndarray:
        """Standard deviation (y, x, band) that the noise causes in the core of a tile."""
        return noise_left(tile, scene, plan.gain)

    def filtered(self, scores: Any, tile: Tile, scene: SceneModel, plan: Gains) -> Any:
        """The denoised scores (y, x, component) of the core of a tile."""
        return self._weighed(scores, tile, scene, plan, scene.n_component)

    def restore(self, scores: Any, tile: Tile, scene: SceneModel, plan: Gains) -> Any:
        """The denoised core (y, x, band) of a tile; its scores lie where its spectra will: no second cube."""
        clean = self._weighed(scores, tile, scene, plan, len(scene.used))
        for row in range(0, len(clean), ROWS):
            clean[row : row + ROWS] = back_project(clean[row : row + ROWS, :, : scene.n_component], scene)
        return clean

    def _weighed(self, scores: Any, tile: Tile, scene: SceneModel, plan: Gains, room: int) -> Any:
        """The denoised scores in the first components of (y, x, room)."""
        found = namespace(scores).empty((*(c.stop - c.start for c in tile.core[:2]), room), np.float32)
        for batch, levels, _, halo in self._batches(scores, tile, scene):
            starlet.add_up(levels, plan.gain[batch], halo, found[..., : scene.n_component][..., batch])
        return found

    def _batches(self, scores: Any, tile: Tile, scene: SceneModel) -> Any:
        """(which components, their smoothings (y, x, n), (y, x) whether a pixel counts, pixels around the core)."""
        halo = self.halo(scene)
        for start in range(0, scores.shape[-1], BATCH):
            batch = slice(start, start + BATCH)
            images, valid = extended(scores[..., batch], tile, halo)
            yield batch, starlet.smoothings(images), valid, halo


def _roughness(scene: SceneModel) -> np.ndarray:
    """Roughness of each component over that of the roughest."""
    used = scene.used
    steps = np.diff(scene.basis[used] * scene.sigma[used, None], axis=0)
    rough = (steps**2).sum(0)
    return rough / max(float(rough.max(initial=0.0)), 1e-300)


def _gain(strengths: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """(..., component, scale) of strengths (..., scale)."""
    return 1.0 / (1.0 + strengths[..., None, :] * rough[:, None])


def _risk(gain: np.ndarray, products: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Stein's estimate of the summed squared error of each component for these gains."""
    away = 1.0 - gain
    misfit = ((away[..., None, :] @ products)[..., 0, :] * away).sum(-1)
    return misfit + count[:, 0] * (2 * gain @ starlet.traces() - 1)
