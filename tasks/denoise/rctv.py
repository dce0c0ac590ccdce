"""RCTV: representative components of small total variation beside a sparse part, told apart by alternating directions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.array.namespace import namespace
from tasks.array.tiling import Tile
from tasks.denoise.otvca import OTVCA, Weights, smoothed
from tasks.denoise.scene import SceneModel
from tasks.denoise.scores import back_project

ROWS = 32


@dataclass(frozen=True)
class RCTV(OTVCA):
    """Mixed noise: the cube is components of small total variation, a sparse part of small l1 norm, and Gaussian noise.

    ``limit``: weight of the l1 norm; residuals beyond it are taken for outliers [sigma]. ``alternations``: steps of
    alternating directions. ``robust``: mend outliers and stripes first, which finds strong ones whole, where the l1
    norm alone would leave ``limit`` of each in the scene. ``rank``: as for OTVCA.

    Notes
    -----
    For whitened spectra Y and the basis V of the scene this minimises over W and E

        1/2 |Y - W V' - E|^2 + limit |E|_1 + sum_k weight_k TV(W_k)

    with W split off from the components that fit the data. With unit penalty the multiplier, the fit and the split are
    one image per component, ``scores``: W is its total-variation filter, E the soft threshold of Y - W V', and
    (scores + (Y - E) V) / 2 the next one. So E never has to be kept, and a step costs one pass over the cube.
    The basis is not turned as in the paper: the scene's own leaves nothing to gain once the cube is mended.

    Raises
    ------
    ValueError
        If the limit is not positive or the number of steps is negative.

    References
    ----------
    Peng, Wang, Cao, Zhao & Meng, IEEE TGRS 60, 2022, the model; Boyd et al., Found. Trends Mach. Learn. 3 (2011), and
    Eckstein & Bertsekas, Math. Program. 55 (1992), the steps.
    """

    robust: bool = True
    limit: float = 1.5
    alternations: int = 10

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"the limit is {self.limit}, expected a positive number of sigma; 1.5 suits most scenes")
        if self.alternations < 0:
            raise ValueError(f"the number of alternations is {self.alternations}, expected 0 or more; 10 settle it")

    def alternated(self, block: Any, valid: Any, scores: Any, tile: Tile, scene: SceneModel, plan: Weights) -> Any:
        """The next scores (y, x, component) of the core of a tile, one step nearer to those without the sparse part."""
        xp = namespace(scores)
        out = scores[tile.trim].copy()
        kept = smoothed(scores, tile, self.halo(scene), plan)
        n = kept.shape[-1]
        forward = xp.asarray(scene.forward[:, :n], xp.float32)
        most = xp.asarray(self.limit * scene.sigma, xp.float32)
        for start in range(0, len(out), ROWS):  # part by part: no second cube
            rows = slice(start, start + ROWS)
            dense = xp.clip(block[rows] - back_project(kept[rows], scene), -most, most)
            if valid is not None:
                dense = xp.where(valid[rows], dense, np.float32(0))
            out[rows, :, :n] += kept[rows] + dense @ forward
            out[rows, :, :n] *= np.float32(0.5)
        return out
