"""Eigen-images: what FastHyDe and its relatives do with the scores of a scene, tile by tile."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.tiling import Tile
from tasks.denoise.patches import denoise_images, halo_for
from tasks.denoise.scene import SceneModel
from tasks.denoise.streaming import ScoreMethod

ISOTROPY = 0.75
"""Least ratio between the covariances of neighbours along the two axes. Scenes reach 0.9, stripes and dead lines 0.5."""

STRONG = 10.0
"""Components of this variance [noise] are scene whatever they look like."""


@dataclass(frozen=True)
class EigenImages(ScoreMethod):
    """Drop components that are stripes, filter the others jointly by similar patches, rotate back."""

    rank: int | None = None

    rounds: ClassVar[int] = 1
    working: ClassVar[tuple[int, int]] = (14, 12)

    def halo(self, scene: SceneModel) -> int:
        """Pixels of scores needed around a core."""
        return halo_for(scene.gaps)

    def part_shape(self, scene: SceneModel) -> tuple[int, ...]:
        """Shape of what `survey` returns."""
        return (2, scene.n_component)

    def survey(self, scores: Any, tile: Tile, scene: SceneModel | None = None, plan: Any = None) -> np.ndarray:
        """Sums of the products of neighbours in the core, along y and along x."""
        xp = namespace(scores)
        core = scores[tile.trim]
        core = xp.where(xp.isfinite(core), core, xp.float32(0)).astype(xp.float64)
        return to_host(xp.stack([(core[1:] * core[:-1]).sum((0, 1)), (core[:, 1:] * core[:, :-1]).sum((0, 1))]))

    def solve(self, parts: np.ndarray, scene: SceneModel, plan: Any = None) -> np.ndarray:
        """Which components to keep, (component,) bool: all when a rank was asked for, else those that are no stripes."""
        n_y, n_x = scene.shape
        along_y, along_x = parts[0] / max(n_x * (n_y - 1), 1), parts[1] / max(n_y * (n_x - 1), 1)
        isotropic = np.minimum(along_y, along_x) >= ISOTROPY * np.maximum(along_y, along_x)
        strong = scene.eigenvalues[: scene.n_component] > STRONG
        keep = isotropic | strong | (self.rank is not None) | (min(scene.shape) == 1)
        return keep if keep.any() else np.arange(scene.n_component) == 0

    def filtered(self, scores: Any, tile: Tile, scene: SceneModel, plan: np.ndarray) -> Any:
        """The denoised scores (y, x, component) of the core of a tile."""
        xp = namespace(scores)
        clean = xp.zeros((*(c.stop - c.start for c in tile.core), scene.n_component), xp.float32)
        clean[..., xp.asarray(plan)] = filter_scores(scores[..., xp.asarray(plan)], tile)
        return clean

    def expected_error(self, scene: SceneModel, plan: np.ndarray) -> np.ndarray:
        """Upper bound of the root mean square error of each band: the noise inside the subspace."""
        return np.sqrt((scene.backward[plan] ** 2).sum(0))


def filter_scores(scores: Any, tile: Tile) -> Any:
    """Scores (y, x, component) of the core of ``tile``, filtered; ``scores`` is its read block, NaN in holes."""
    xp = namespace(scores)
    images = xp.ascontiguousarray(scores.transpose(2, 0, 1))
    valid = xp.isfinite(images[0])
    mask = None if bool(valid.all()) else valid
    clean = denoise_images(images, xp.ones(len(images), xp.float32), mask, tile)
    return xp.ascontiguousarray(clean[(slice(None), *tile.trim)].transpose(1, 2, 0))
