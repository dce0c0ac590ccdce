"""The stages of a second look: outliers and stripes found against the denoised scene, scores without a sparse part."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from prefect import task

from storage import denoise as layouts
from storage.product import Product
from tasks.array.namespace import to_device, to_host
from tasks.array.tiling import Tile, tiles
from tasks.denoise.blocks import core_bytes, read_block
from tasks.denoise.outliers import repair
from tasks.denoise.robust import RobustModel
from tasks.denoise.scene import SceneModel
from tasks.denoise.scores import back_project
from tasks.denoise.steps import solve_scores
from tasks.denoise.streaming import ScoreMethod
from tasks.stage import StageReport, run_stage


def alternate(
    create: Callable[..., Product], cube: Product, method: ScoreMethod, solved: tuple[Product, SceneModel, Any]
) -> tuple[Product, SceneModel, Any]:
    """Pass 2c, as often as the method wants: scores moved towards those of ``cube`` without its sparse part."""
    scores, scene, plan = solved
    for step in range(1, method.alternations + 1):
        name = f"alternated_{step}"
        layout = layouts.scores(scene.shape, scene.n_component, scores.grid[0])
        moved = create(name, replace(layout, kind=name))
        alternate_scene(cube, scores, moved, scene, method, plan)
        scores = moved
    return scores, scene, plan


@task
def alternate_scene(
    cube: Product, scores: Product, moved: Product, scene: SceneModel, method: ScoreMethod, plan: Any
) -> StageReport:
    """One step of all tiles."""
    wide = tiles(scene.shape, moved.grid[:2], method.halo(scene))

    def footprint(tile: Tile) -> float:
        return method.tile_bytes(tile, scene) + 2.25 * core_bytes(tile.core, cube)  # as read, on the device, its mask

    name = moved.group_attrs["kind"]
    return run_stage(alternate_tile, wide, cube, scores, moved, scene, method, plan, name=name, footprint=footprint)


def alternate_tile(
    tile: Tile, cube: Product, scores: Product, moved: Product, scene: SceneModel, method: ScoreMethod, plan: Any
) -> dict:
    """One step of one tile."""
    block, valid = read_block(cube, tile.core)
    marks = None if valid is None else to_device(valid)
    near = to_device(scores.read((*tile.read, slice(None))))
    found = method.alternated(to_device(block), marks, near, tile, scene, plan)
    moved.write((*tile.core, slice(0, scene.n_component)), to_host(found))
    return {}


@task
def filter_scene(scores: Product, clean: Product, scene: SceneModel, method: ScoreMethod, plan: Any) -> StageReport:
    """Pass 2d, first half: denoised scores, from which outliers are looked for again."""
    wide = tiles(clean.shape[:2], clean.grid[:2], method.halo(scene))
    return run_stage(
        filter_tile, wide, scores, clean, scene, method, plan, name=clean.group_attrs["kind"],
        footprint=lambda tile: method.tile_bytes(tile, scene),
    )  # fmt: skip


def filter_tile(tile: Tile, scores: Product, clean: Product, scene: SceneModel, method: ScoreMethod, plan: Any) -> dict:
    """The denoised scores of one tile."""
    found = method.filtered(to_device(scores.read((*tile.read, slice(None)))), tile, scene, plan)
    clean.write((*tile.core, slice(0, scene.n_component)), to_host(found))
    return {}


@task
def repair_scene(
    noisy: Product, clean: Product, repaired: Product, scene: SceneModel, sigma: np.ndarray
) -> StageReport:
    """Pass 2d, second half: outliers and stripes taken out again, strip of columns by strip of columns."""
    wide = tiles(repaired.shape[:2], repaired.grid[:2], (0, 1))
    return run_stage(
        repair_tile, wide, noisy, clean, repaired, scene, sigma, name=repaired.group_attrs["kind"], splits=False
    )


def repair_tile(
    tile: Tile, noisy: Product, clean: Product, repaired: Product, scene: SceneModel, sigma: np.ndarray
) -> dict:
    """Repair one strip of whole columns; its neighbours are read, because a stripe stands out between them."""
    block, valid = read_block(noisy, tile.read)
    estimate = back_project(to_device(clean.read((*tile.read, slice(None)))), scene)
    found = repair(to_device(block), estimate, None if valid is None else to_device(valid), sigma)
    cube = to_host(found.cube)[tile.trim]
    if valid is not None:
        cube = np.where(valid[tile.trim], cube, np.float32(np.nan))
    repaired.write((*tile.core, slice(0, block.shape[2])), cube)
    return {"outliers": int(found.outlier[tile.trim].sum())}


def look_again(
    create: Callable[..., Product], noisy: Product, bands: np.ndarray, model: RobustModel, method: ScoreMethod,
    edge: int, solved: tuple[Product, SceneModel, Any],
) -> tuple[Product, SceneModel, Any]:  # fmt: skip
    """Pass 2d, as often as the method wants: scores, scene and plan of the cube without its outliers."""
    for look_ in range(1, method.looks + 1):
        scores, scene, plan = solved
        name = f"filtered_{look_}"
        clean = create(name, replace(layouts.scores(scene.shape, scene.n_component, edge), kind=name))
        filter_scene(scores, clean, scene, method, plan)
        name = f"repaired_{look_}"
        repaired = create(name, replace(layouts.mended(noisy), kind=name))
        repair_scene(noisy, clean, repaired, scene, model.sigma)
        solved = solve_scores(create, repaired, bands, method.settled, edge, look_)
    return solved
