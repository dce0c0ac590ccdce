"""FastHyIn: samples that are missing are filled from the denoised scene, and the scene denoised again with them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.array.namespace import namespace
from tasks.array.tiling import tiles
from tasks.denoise.fasthyde import FastHyDe
from tasks.denoise.robust import RobustModel
from tasks.denoise.scene import SceneModel
from tasks.denoise.streaming import mend_cube, project_cube, survey_cube

SEED = 20181
"""The noise that filled samples get is drawn anew in every run, and is the same in every run."""


@dataclass(frozen=True)
class FastHyIn(FastHyDe):
    """Inpainting of masked samples; the other parameters are those of `FastHyDe`.

    ``repeats``: how often missing samples are filled and the scene is denoised again; tile by tile it is never.

    Notes
    -----
    The first round regresses the scores of an incomplete pixel on the bands it has. Each later one takes what is
    missing from the denoised scene, so neighbours fill what the pixel's own bands cannot tell: expectation
    maximisation with the patch filter for a prior. For the sums over pixels, filled samples get noise like the others
    have; otherwise the bands with most gaps would look the cleanest.

    References
    ----------
    Zhuang & Bioucas-Dias, IEEE JSTARS 11(3):730-742, 2018.
    """

    repeats: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.repeats < 0:
            raise ValueError(f"the number of repeats is {self.repeats}, expected 0 or more")

    def denoise(self, cube: Any, valid: Any, model: RobustModel | None = None) -> Any:
        """A checked cube in memory, denoised and complete; ``model`` where it was fitted already."""
        if valid is None:
            return super().denoise(cube, valid, model)
        cube = self.encode(cube, valid)
        if self.robust:
            cube = mend_cube(cube, valid, model)[0]
        scene = survey_cube(cube, valid, self.rank, self.equal_noise)
        clean = self._filtered(project_cube(cube, valid, scene), scene)
        for repeat in range(self.repeats):
            xp = namespace(cube)
            filled = xp.where(valid, cube, clean)
            del clean  # a cube less in memory while the next one is made
            if repeat == 0:
                scene = survey_cube(_with_noise(filled, valid, scene), None, self.rank, self.equal_noise)
            clean = self._filtered(project_cube(filled, None, scene), scene)
        return self.decode(clean)

    def _filtered(self, scores: Any, scene: SceneModel) -> Any:
        (tile,) = tiles(scene.shape, scene.shape, self.halo(scene))
        return self.restore(scores, tile, scene, self.solve(self.survey(scores, tile, scene), scene))


def _with_noise(filled: Any, valid: Any, scene: SceneModel) -> Any:
    xp = namespace(filled)
    noise = xp.asarray(np.random.default_rng(SEED).standard_normal(int((~valid).sum()), np.float32))
    sigma = xp.broadcast_to(xp.asarray(scene.sigma, xp.float32), filled.shape)[~valid]
    noisy = filled.copy()
    noisy[~valid] += noise * sigma
    return noisy
