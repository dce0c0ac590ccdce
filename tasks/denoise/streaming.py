"""Denoising a scene of any size in three passes over tiles, and the same code over one tile for a cube in memory.

What `steps.py` maps over tiles, in order; everything between two passes happens once, on the host::

    bands   = usable_bands(seen)                        # which bands to use, from the number of valid samples of each
    pass 0    mend(strip of whole columns, valid, robust.fit_robust(sample, ...))   only where method.robust
    pass 1    measure(block, valid, bands)              core only                      -> Moments
              moments = tree_reduce(parts, merge)       in tile order
              scene   = solve_scene(moments, bands, shape, method.rank)
    pass 2    project(block, valid, scene)              core only                      -> scores (y, x, component)
    pass 2b   method.survey(scores, tile, scene, plan)  scores with method.halo(scene) -> array of method.part_shape
              plan    = method.solve(tree_reduce(parts, add), scene, plan)    ... method.rounds times, plan = None first
    pass 2c   method.alternated(block, valid, scores, tile, scene, plan) -> scores    ... method.alternations times
    pass 2d   method.looks times: method.filtered(...) -> scores; outliers.repair(strip of whole columns, ...) -> cube;
              passes 1 to 2b again with method.settled
    pass 3    kept = method.filtered(scores, tile, scene, plan)   scores with method.halo(scene) -> scores of the core
              method.spectra(kept[rows], scene, plan) -> (y, x, band), strip by strip

A tile's core may be any rectangle. The wavelets are undecimated, so there is no lattice to keep to; thresholds, rank
and subspace belong to the scene; beyond the border the scene is mirrored. Hence the answer does not depend on tiles.
Blocks hold zero where a sample is not valid (`checks.checked_cube`); scores hold NaN where a pixel has no valid band.
"""

from collections.abc import Iterator
from math import prod
from typing import Any, ClassVar

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.array.statistics import tree_reduce
from tasks.array.tiling import Tile, tiles
from tasks.denoise.checks import usable_bands
from tasks.denoise.moments import Moments, measure, merge
from tasks.denoise.robust import RobustModel, fit_robust, mend
from tasks.denoise.sample import sample_lines
from tasks.denoise.scene import SceneModel, solve_scene
from tasks.denoise.scores import back_project, band_error, project

STRIP = 1 << 22
"""Samples that are turned into float64 or spectra at a time: bounds the memory besides cube and result."""

COLUMNS = 16
"""Columns that are mended at a time."""


class ScoreMethod:
    """A method whose spatial work happens on score images; what a method does not say, it does not do."""

    rank: int | None = None
    """Number of components, or None to find it."""
    robust: bool = False
    """Whether outliers and stripes are mended first."""
    equal_noise: bool = False
    """Whether all bands share one noise."""
    rounds: ClassVar[int] = 0
    """How many times the scores are surveyed."""
    stabilises: bool = False
    """Whether `encode` changes the unit, so that noise found before it does not hold after."""
    linear: ClassVar[bool] = False
    """Whether the result is linear in the cube once the plan is made, so that `uncertainty` can be told per sample."""
    working: ClassVar[tuple[int, int]] = (1, 1)
    """Images of the size of a tile with its halo that `filtered` holds at most on a CPU: for each component, and besides."""
    alternations: int = 0
    """How many times the scores are moved towards those of the cube without its sparse part."""
    looks: int = 0
    """How often outliers are looked for again, against the scene that came out (`tasks.denoise.l1hymixde`)."""

    def encode(self, block: Any, valid: Any) -> Any:
        """Values whose noise does not depend on the signal; applied before any sum over pixels."""
        return block

    def decode(self, clean: Any) -> Any:
        """Denoised values of `encode` back in the cube's unit."""
        return clean

    def measured(self, scene: SceneModel, values: np.ndarray) -> np.ndarray:
        """Noise (band,) of `encode` in the cube's unit."""
        return values

    def adapt(self, scene: SceneModel) -> SceneModel:
        """The scene in the components that the method wants."""
        return scene

    def halo(self, scene: SceneModel) -> int:
        """Pixels of scores needed around a core."""
        raise NotImplementedError

    def tile_bytes(self, tile: Tile, scene: SceneModel) -> float:
        """Memory that `filtered` needs for a tile, its scores included; and `uncertainty`, where there is any."""
        halo, (each, besides) = self.halo(scene), self.working
        sides = [c.stop - c.start for c in tile.core[:2]]
        told = 2 * prod(sides) * len(scene.used) if self.linear else 0
        return 4.0 * (prod(n + 2 * halo for n in sides) * (each * scene.n_component + besides) + told)

    def part_shape(self, scene: SceneModel) -> tuple[int, ...]:
        """Shape of what `survey` returns."""
        return (0,)

    def survey(self, scores: Any, tile: Tile, scene: SceneModel, plan: Any = None) -> np.ndarray:
        """This tile's part of what `solve` needs; parts add up."""
        raise NotImplementedError

    def solve(self, parts: np.ndarray, scene: SceneModel, plan: Any = None) -> Any:
        """What all tiles must share, from the sum of the parts and the plan of the round before."""
        raise NotImplementedError

    def alternated(self, block: Any, valid: Any, scores: Any, tile: Tile, scene: SceneModel, plan: Any) -> Any:
        """The next scores (y, x, component) of the core of a tile; ``block`` and ``valid`` are its core of the cube."""
        raise NotImplementedError

    def expected_error(self, scene: SceneModel, plan: Any) -> np.ndarray:
        """Expected root mean square error of each band; by default what the projection alone would leave."""
        return band_error(scene, np.ones(scene.n_component))

    def uncertainty(self, tile: Tile, scene: SceneModel, plan: Any) -> np.ndarray:
        """Standard deviation (y, x, band) that the noise causes in the core of a tile, of a method that is linear."""
        raise NotImplementedError

    def filtered(self, scores: Any, tile: Tile, scene: SceneModel, plan: Any) -> Any:
        """The denoised scores (y, x, component) of the core of a tile."""
        raise NotImplementedError

    def spectra(self, kept: Any, scene: SceneModel, plan: Any) -> Any:
        """Denoised spectra (y, x, band) of some rows of what `filtered` found."""
        return back_project(kept, scene)

    def restore(self, scores: Any, tile: Tile, scene: SceneModel, plan: Any) -> Any:
        """The denoised core (y, x, band) of a tile."""
        return self.spectra(self.filtered(scores, tile, scene, plan), scene, plan)


def survey_cube(cube: Any, valid: Any, rank: int | None = None, equal_noise: bool = False) -> SceneModel:
    """Pass 1 over a cube in memory, strip by strip."""
    bands = bands_of(cube, valid)
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


def denoise_cube(method: ScoreMethod, cube: Any, valid: Any, model: RobustModel | None = None) -> Any:
    """All passes over a checked cube in memory, as one tile; ``model`` where it was fitted already."""
    if method.robust:
        cube, valid = mend_cube(cube, valid, model)
    scene = method.adapt(survey_cube(cube, valid, method.rank, method.equal_noise))
    scores = project_cube(cube, valid, scene)
    (tile,) = tiles(scene.shape, scene.shape, method.halo(scene))
    plan = None
    for _ in range(method.rounds):
        plan = method.solve(method.survey(scores, tile, scene, plan), scene, plan)
    for _ in range(method.alternations):
        scores = method.alternated(cube, valid, scores, tile, scene, plan)
    del cube, valid
    return method.restore(scores, tile, scene, plan)


def mend_cube(cube: Any, valid: Any, model: RobustModel | None = None) -> tuple[Any, Any]:
    """Pass 0 over a cube in memory: outliers and stripes mended; what remains is valid wherever a pixel has any band."""
    xp = namespace(cube)
    model = model or fit_robust(*sample_of(cube, valid), bands_of(cube, valid))
    mended = xp.empty_like(cube)
    for start in range(0, cube.shape[1], COLUMNS):
        part = (slice(None), slice(start, start + COLUMNS))
        mended[part] = mend(cube[part], None if valid is None else valid[part], model).cube
    finite = xp.isfinite(mended[..., 0])
    if bool(finite.all()):
        return mended, None
    mended[~finite] = 0
    return mended, xp.broadcast_to(finite[..., None], cube.shape)


def sample_of(cube: Any, valid: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The sample of a cube in memory, on the host, and which of it is valid."""
    rows, columns = sample_lines(cube.shape[:2])
    part = tuple(namespace(cube).asarray(lines) for lines in np.ix_(rows, columns))
    return to_host(cube[part]), None if valid is None else to_host(valid[part])


def bands_of(cube: Any, valid: Any) -> np.ndarray:
    """The bands of a cube in memory that can be used."""
    return usable_bands(_seen(cube, valid))


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
