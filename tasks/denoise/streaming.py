"""Denoising a scene of any size in three passes over tiles, and the same code over one tile for a cube in memory.

What `steps.py` maps over tiles, in order; everything between two passes happens once, on the host::

    bands   = usable_bands(seen)                        # which bands to use, from the number of valid samples of each
    pass 1    measure(block, valid, bands)              core only                      -> Moments
              moments = tree_reduce(parts, merge)       in tile order
              scene   = solve_scene(moments, bands, shape, method.rank)
    pass 2    project(block, valid, scene)              core only                      -> scores (y, x, component)
    pass 2b   method.survey(scores, tile, scene, plan)  scores with method.halo(scene) -> array of method.part_shape
              plan    = method.solve(tree_reduce(parts, add), scene, plan)    ... method.rounds times, plan = None first
    pass 3    method.restore(scores, tile, scene, plan) scores with method.halo(scene) -> clean core (y, x, band)

A tile's core may be any rectangle. The wavelets are undecimated, so there is no lattice to keep to; thresholds, rank
and subspace belong to the scene; beyond the border the scene is mirrored. Hence the answer does not depend on tiles.
Blocks hold zero where a sample is not valid (`checks.checked_cube`); scores hold NaN where a pixel has no valid band.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.statistics import tree_reduce
from tasks.array.tiling import Tile, tiles
from tasks.denoise.checks import usable_bands
from tasks.denoise.moments import Moments, measure, merge
from tasks.denoise.scene import SceneModel, solve_scene
from tasks.denoise.scores import project

STRIP = 1 << 22
"""Samples that are turned into float64 or spectra at a time: bounds the memory besides cube and result."""


class ScoreMethod(Protocol):
    """A method whose spatial work happens on score images."""

    @property
    def rank(self) -> int | None:
        """Number of components, or None to find it."""
        ...

    @property
    def rounds(self) -> int:
        """How many times the scores are surveyed."""
        ...

    def part_shape(self, scene: SceneModel) -> tuple[int, ...]:
        """Shape of what `survey` returns."""
        ...

    def halo(self, scene: SceneModel) -> int:
        """Pixels of scores needed around a core."""
        ...

    def survey(self, scores: Any, tile: Tile, scene: SceneModel, plan: Any) -> np.ndarray:
        """This tile's part of what `solve` needs; parts add up."""
        ...

    def solve(self, parts: np.ndarray, scene: SceneModel, plan: Any) -> Any:
        """What all tiles must share, from the sum of the parts and the plan of the round before."""
        ...

    def expected_error(self, scene: SceneModel, plan: Any) -> np.ndarray:
        """Expected root mean square error of each band of the result, in the unit of the cube."""
        ...

    def restore(self, scores: Any, tile: Tile, scene: SceneModel, plan: Any) -> Any:
        """The denoised core (y, x, band) of a tile."""
        ...


def survey_cube(cube: Any, valid: Any, rank: int | None = None, equal_noise: bool = False) -> SceneModel:
    """Pass 1 over a cube in memory, strip by strip."""
    bands = usable_bands(_seen(cube, valid))
    parts = [measure(cube[s], None if valid is None else valid[s], bands) for s in strips(cube.shape)]
    moments: Moments = tree_reduce(parts, merge)
    return solve_scene(moments, bands, cube.shape[:2], rank, equal_noise)


def project_cube(cube: Any, valid: Any, scene: SceneModel) -> Any:
    """Pass 2 over a cube in memory."""
    xp = namespace(cube)
    scores = xp.empty((*cube.shape[:2], scene.n_component), xp.float32)
    for s in strips(cube.shape):
        scores[s] = project(cube[s], None if valid is None else valid[s], scene)
    return scores


def denoise_cube(method: ScoreMethod, cube: Any, valid: Any) -> Any:
    """All passes over a checked cube in memory, as one tile."""
    scene = survey_cube(cube, valid, method.rank, getattr(method, "equal_noise", False))
    scores = project_cube(cube, valid, scene)
    (tile,) = tiles(cube.shape[:2], cube.shape[:2], method.halo(scene))
    plan = None
    for _ in range(method.rounds):
        plan = method.solve(method.survey(scores, tile, scene, plan), scene, plan)
    return method.restore(scores, tile, scene, plan)


def strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of a cube in strips of bounded size."""
    n_row = max(1, STRIP // (shape[1] * shape[2]))
    for start in range(0, shape[0], n_row):
        yield slice(start, min(start + n_row, shape[0]))


def _seen(cube: Any, valid: Any) -> np.ndarray:
    """Number of valid samples of each band."""
    if valid is None:
        return np.full(cube.shape[2], cube.shape[0] * cube.shape[1])
    return to_host(valid.sum((0, 1)))
