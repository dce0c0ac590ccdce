"""The stages of a learned denoiser: what error to expect of it, and its answer tile by tile."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from prefect import task

from storage.product import Product
from tasks.array.tiling import Tile, tiles
from tasks.denoise.blocks import read_block
from tasks.denoise.learned import Learned, expected_error
from tasks.denoise.scene import SceneModel
from tasks.denoise.steps import Given, Rare, finish_tile, solve_statistics, summed
from tasks.denoise.streaming import ScoreMethod
from tasks.stage import run_stage

SAMPLE = 128
"""Edge of the piece in the scene's middle on which the error is estimated, where the model leaves sizes free [px]."""


def solve(
    create: Callable[..., Product], cube: Product, bands: np.ndarray, method: Learned, edge: int
) -> tuple[SceneModel, np.ndarray]:
    """The statistics of the scene, and the root mean square error (band,) to expect of the model."""
    method.sizes(cube.shape)  # one sentence here, not one per tile
    scene = solve_statistics(create, cube, bands, ScoreMethod(), edge)
    return scene, probe_model(cube, scene, method)


@task
def probe_model(cube: Product, scene: SceneModel, method: Learned) -> np.ndarray:
    """The expected error, from a piece in the middle of the scene."""
    sizes = [min(n, max(SAMPLE, fixed)) for n, fixed in zip(scene.shape, method.fixed[:2], strict=True)]
    core = tuple(slice((n - s) // 2, (n - s) // 2 + s) for n, s in zip(scene.shape, sizes, strict=True))
    middle = Tile((0, 0), core, scene.shape, ((0, 0), (0, 0)))
    (found,) = run_stage(probe_tile, [middle], cube, scene, replace(method, threads=1), splits=False).records
    return np.array(found)


def probe_tile(tile: Tile, cube: Product, scene: SceneModel, method: Learned) -> list[float]:
    """The expected error of one piece."""
    return expected_error(method, *_seen(cube, tile.core, scene), scene.sigma).tolist()


@task
def restore(noisy: Product, clean: Product, scene: SceneModel, method: Learned, rare: Rare) -> dict[str, Any]:
    """Write every tile of ``clean``; tell what was removed from each band."""
    wide = tiles(clean.shape[:2], clean.grid[:2], method.halo(scene.gaps))
    report = run_stage(model_tile, wide, noisy, clean, scene, replace(method, threads=1), rare)
    return summed(report.records, scene, rare)


def model_tile(tile: Tile, noisy: Product, clean: Product, scene: SceneModel, method: Learned, rare: Rare) -> dict:
    """The model's answer for the core of one tile, with as much around it as the model sees."""
    values = method.apply(*_seen(rare.cube or noisy, tile.read, scene))[tile.trim]

    def restored(rows: slice, given: Given) -> tuple[np.ndarray, np.ndarray]:
        return values[rows], given.source - values[rows]

    return finish_tile(tile, noisy, clean, scene, rare, restored)


def _seen(cube: Product, region: tuple[slice, ...], scene: SceneModel) -> tuple[np.ndarray, np.ndarray | None]:
    """A block, and what of it the model may look at: no band that the scene does without."""
    block, valid = read_block(cube, region)
    if valid is None and scene.used.all():
        return block, None
    return block, scene.used & (np.ones(block.shape, bool) if valid is None else valid)
