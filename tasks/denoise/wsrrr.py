"""WSRRR: a low-rank scene whose components and their wavelet coefficients are estimated by turns."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.tiling import Tile
from tasks.denoise.scene import SceneModel
from tasks.denoise.scores import back_project, band_error
from tasks.denoise.shrinkage import (
    Shrinkage,
    count_magnitudes,
    counts_shape,
    halo_for,
    shrink,
    solve_thresholds,
)
from tasks.denoise.streaming import ScoreMethod


@dataclass(frozen=True)
class Turned:
    """Thresholds for the components of a turned basis: scores of the scene times ``turn`` (component, component)."""

    shrinkage: Shrinkage
    turn: np.ndarray


@dataclass(frozen=True)
class WSRRR(ScoreMethod):
    """Sparse wavelet coefficients by soft thresholds, then the orthonormal basis that fits them best, then again.

    ``rank``: number of components; by default the one of least estimated risk. ``robust``: mend outliers and stripes
    first. Starts from the whitened eigenvectors, from where one turn of the basis is worth hundredths of a dB at most.

    References
    ----------
    Rasti, Sveinsson & Ulfarsson, IEEE TGRS 52(10):6688-6698, 2014.
    """

    rank: int | None = None
    robust: bool = False
    rounds: ClassVar[int] = 3
    working: ClassVar[tuple[int, int]] = (3, 29)

    def part_shape(self, scene: SceneModel) -> tuple[int, ...]:
        """Shape of what `survey` returns: counts, then cross products."""
        return (int(np.prod(counts_shape(scene.n_component, scene.shape))) + scene.n_component**2,)

    def halo(self, scene: SceneModel) -> int:
        """Pixels of scores needed around a core."""
        return halo_for(scene.shape, scene.gaps)

    def survey(self, scores: Any, tile: Tile, scene: SceneModel, plan: Turned | None = None) -> np.ndarray:
        """Counts of coefficients in rounds 0 and 2; in round 1 products of noisy and of denoised scores."""
        n = scene.n_component
        counts, products = np.zeros(counts_shape(n, scene.shape)), np.zeros((n, n))
        if plan is not None and np.array_equal(plan.turn, np.eye(n)):
            clean = shrink(scores, tile, scene.gaps, plan.shrinkage)
            products[:, : clean.shape[-1]] = _products(scores[tile.trim], clean)
        else:
            counts[:] = count_magnitudes(turned(scores, plan), tile, scene.gaps)
        return np.concatenate([counts.ravel(), products.ravel()])

    def solve(self, parts: np.ndarray, scene: SceneModel, plan: Turned | None = None) -> Turned:
        """Thresholds, or the basis nearest to the denoised scores."""
        n = scene.n_component
        counts = parts[: -(n**2)].reshape(counts_shape(n, scene.shape))
        if plan is None:
            return Turned(solve_thresholds(counts, scene.eigenvalues, self.rank), np.eye(n))
        if counts.any():
            rank = plan.shrinkage.rank
            variances = np.einsum("ki,k,kj->ij", plan.turn, scene.eigenvalues[:n], plan.turn).diagonal()
            return replace(plan, shrinkage=solve_thresholds(counts, variances, rank))
        return replace(plan, turn=_nearest(parts[-(n**2) :].reshape(n, n), plan.shrinkage.rank))

    def expected_error(self, scene: SceneModel, plan: Turned) -> np.ndarray:
        """Expected root mean square error of each band of the result, in the unit of the cube."""
        return band_error(replace(scene, basis=scene.basis @ plan.turn), plan.shrinkage.risk)

    def filtered(self, scores: Any, tile: Tile, scene: SceneModel, plan: Turned) -> Any:
        """The denoised scores (y, x, component) of the core of a tile, in the turned basis."""
        return shrink(turned(scores, plan), tile, scene.gaps, plan.shrinkage)

    def spectra(self, kept: Any, scene: SceneModel, plan: Turned) -> Any:
        """Denoised spectra (y, x, band) of scores in the turned basis."""
        return back_project(kept, replace(scene, basis=scene.basis @ plan.turn))


def turned(scores: Any, plan: Turned | None) -> Any:
    """Scores in the turned basis."""
    if plan is None:
        return scores
    return scores @ namespace(scores).asarray(plan.turn, scores.dtype)


def _products(noisy: Any, clean: Any) -> np.ndarray:
    """Sum over pixels of noisy (component) by clean (component), holes left out; float64."""
    xp = namespace(noisy)
    seen = xp.isfinite(noisy[..., :1])
    a = xp.where(seen, noisy, 0).reshape(-1, noisy.shape[-1]).astype(xp.float64)
    b = xp.where(seen, clean, 0).reshape(-1, clean.shape[-1]).astype(xp.float64)
    return to_host(a.T @ b)


def _nearest(products: np.ndarray, rank: int) -> np.ndarray:
    """The rotation of all components that brings the first ``rank`` nearest to the denoised ones (Procrustes)."""
    left, _, right = np.linalg.svd(products[:, :rank], full_matrices=True)
    head = left[:, :rank] @ right
    return np.concatenate([head, left[:, rank:]], axis=1)
