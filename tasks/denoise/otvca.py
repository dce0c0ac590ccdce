"""OTVCA: components whose total variation is small, in the orthonormal basis that fits them best."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.tiling import Tile
from tasks.denoise import total_variation
from tasks.denoise.scene import SceneModel
from tasks.denoise.scores import band_error
from tasks.denoise.streaming import ScoreMethod
from tasks.denoise.surface import fill_reach, surface

WEIGHTS = (0.15, 0.3, 0.5, 0.8, 1.3)
"""Weights of the total variation that are tried for each component [sigma]."""


@dataclass(frozen=True)
class Weights:
    """Weight of the total variation of each kept component, and the expected squared error of each [sigma^2]."""

    weight: np.ndarray
    risk: np.ndarray


@dataclass(frozen=True)
class OTVCA(ScoreMethod):
    """Whiten, rotate to components, smooth each by total variation, keep those worth keeping, rotate back.

    ``rank``: number of components; by default the one of least estimated risk. ``robust``: mend outliers and stripes
    first. ``seed``: of the probe. The weight of each component minimises Stein's estimate of the risk, whose divergence is measured with one
    random probe (a hash of the pixel's place, so that it is the same for all tiles).

    References
    ----------
    Rasti, Ulfarsson & Sveinsson, IEEE TGRS 54(12):6976-6985, 2016; Ramani, Blu & Unser, IEEE TIP 17 (2008), the probe.
    """

    rank: int | None = None
    robust: bool = False
    seed: int = 0
    rounds: ClassVar[int] = 1
    working: ClassVar[tuple[int, int]] = (15, 8)

    def part_shape(self, scene: SceneModel) -> tuple[int, ...]:
        """Shape of what `survey` returns: risks, and the number of pixels."""
        return scene.n_component, len(WEIGHTS) + 1

    def halo(self, scene: SceneModel) -> int:
        """Pixels of scores needed around a core."""
        return total_variation.STEPS + 1 + fill_reach(scene.gaps)

    def survey(self, scores: Any, tile: Tile, scene: SceneModel, plan: Weights | None = None) -> np.ndarray:
        """Summed risk of every component and weight in the core."""
        halo = self.halo(scene)
        images, valid = surface(scores, tile, halo)
        core = (slice(None), *(slice(halo, n - halo) for n in valid.shape))
        seen = valid[core[1:]]
        xp = namespace(scores)
        probe = probes(tile, halo, xp, self.seed)
        out = np.zeros(self.part_shape(scene))
        out[:, -1] = int(seen.sum())
        for k, weight in enumerate(WEIGHTS):
            weights = np.full(len(images), weight)
            smooth = total_variation.smooth(images, weights)
            moved = total_variation.smooth(images + PROBE * probe, weights)
            spread = ((moved - smooth) * probe)[core] / PROBE
            risk = (smooth - images)[core] ** 2 + 2 * spread - 1
            out[:, k] = to_host(xp.where(seen, risk, 0).astype(xp.float64).sum((1, 2)))
        return out

    def solve(self, parts: np.ndarray, scene: SceneModel, plan: Weights | None = None) -> Weights:
        """The weight of least risk of each component, and how many components to keep."""
        risks = parts[:, :-1] / np.maximum(parts[:, -1:], 1)
        best = risks.argmin(1)
        kept = risks.min(1)
        dropped = scene.eigenvalues[: len(kept)] - 1
        rank = self.rank or int(np.cumsum(kept - dropped).argmin()) + 1
        return Weights(np.array(WEIGHTS)[best[:rank]], np.concatenate([kept[:rank], dropped[rank:]]))

    def expected_error(self, scene: SceneModel, plan: Weights) -> np.ndarray:
        """Expected root mean square error of each band of the result, in the unit of the cube."""
        return band_error(scene, plan.risk)

    def filtered(self, scores: Any, tile: Tile, scene: SceneModel, plan: Weights) -> Any:
        """The denoised scores (y, x, component) of the core of a tile."""
        return smoothed(scores, tile, self.halo(scene), plan)


def smoothed(scores: Any, tile: Tile, halo: int, plan: Weights) -> Any:
    """The kept scores (y, x, component) of the core of a tile, their total variation made small."""
    images, _ = surface(scores[..., : len(plan.weight)], tile, halo)
    smooth = total_variation.smooth(images, plan.weight)
    core = (slice(None), *(slice(halo, n - halo) for n in images.shape[1:]))
    return namespace(scores).ascontiguousarray(smooth[core].transpose(1, 2, 0))


PROBE = np.float32(0.1)
"""Size of the probe [sigma]."""


def probes(tile: Tile, halo: int, xp: Any, seed: int = 0) -> Any:
    """+-1 for every pixel of a tile and its halo, from a hash of the seed and the pixel's place in the scene."""
    y, x = (xp.arange(c.start - halo, c.stop + halo).astype(xp.int64).astype(xp.uint64) for c in tile.core[:2])
    mixed = y[:, None] * xp.uint64(0x9E3779B97F4A7C15) + x[None] * xp.uint64(0xC2B2AE3D27D4EB4F)
    mixed += xp.uint64(seed) * xp.uint64(0x165667B19E3779F9 & 0xFFFFFFFF)
    mixed ^= mixed >> xp.uint64(29)
    mixed *= xp.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> xp.uint64(32)
    return xp.where(mixed & xp.uint64(1), xp.float32(1), xp.float32(-1))
