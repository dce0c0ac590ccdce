"""The stages of denoising: three passes over tiles, as `tasks.denoise.streaming` lays them out."""

from collections.abc import Callable, Sequence
from operator import add
from typing import Any

import numpy as np
from prefect import task

from storage import denoise as layouts
from storage.product import Product
from tasks.array.namespace import to_device, to_host
from tasks.array.statistics import tree_reduce
from tasks.array.tiling import Tile, tiles
from tasks.denoise.checks import usable_bands
from tasks.denoise.moments import Moments, measure, merge, packed, unpacked
from tasks.denoise.quicklook import Look, draw
from tasks.denoise.scene import SceneModel
from tasks.denoise.scores import project
from tasks.denoise.streaming import ScoreMethod
from tasks.stage import StageReport, run_stage


@task
def choose_bands(noisy: Product) -> np.ndarray:
    """The bands to use: not called bad by the file, and valid at most pixels."""
    bands = np.ones(noisy.shape[2], bool)
    if "bad_bands" in noisy:
        bands &= ~noisy["bad_bands"].read().astype(bool)
    if "valid" in noisy:
        report = run_stage(count_valid, tiles(noisy.shape[:2], noisy.grid[:2]), noisy)
        bands &= usable_bands(np.sum(report.records, axis=0))
    return bands


def count_valid(tile: Tile, noisy: Product) -> list[int]:
    """Number of valid samples of each band in one tile."""
    return noisy["valid"].read((*tile.core, slice(None))).sum((0, 1)).tolist()


@task
def survey(noisy: Product, parts: Product, bands: np.ndarray, edge: int) -> Moments:
    """Pass 1: the moments of the whole scene."""
    plan = _plan(noisy, (edge, edge))
    run_stage(survey_tile, plan, noisy, parts, bands, _columns(plan), splits=False)
    return tree_reduce([unpacked(part, len(bands)) for part in parts.read()], merge)


def survey_tile(tile: Tile, noisy: Product, parts: Product, bands: np.ndarray, columns: int) -> dict:
    """The moments of one tile."""
    block, valid = read_block(noisy, tile.core)
    found = measure(to_device(block), None if valid is None else to_device(valid), bands)
    _write_part(parts, tile, columns, packed(found))
    return {"valid": int(found.seen.sum())}


@task
def project_scene(noisy: Product, scores: Product, scene: SceneModel) -> StageReport:
    """Pass 2: the scores of every pixel."""
    return run_stage(project_tile, _plan(scores, scores.grid), noisy, scores, scene)


def project_tile(tile: Tile, noisy: Product, scores: Product, scene: SceneModel) -> dict:
    """The scores of one tile."""
    block, valid = read_block(noisy, tile.core)
    found = project(to_device(block), None if valid is None else to_device(valid), scene)
    scores.write((*tile.core, slice(0, scene.n_component)), to_host(found))
    return {}


def survey_scores(create: Callable[..., Product], scores: Product, scene: SceneModel, method: ScoreMethod) -> Any:
    """Pass 2b, as often as the method wants: what all tiles must share. ``create`` makes scratch products."""
    plan = None
    n_tile = len(_plan(scores, scores.grid))
    for round_ in range(method.rounds):
        name = f"measured_{round_}"
        parts = create(name, layouts.parts(name, n_tile, method.part_shape(scene), "float64"))
        plan = measure_scores(scores, parts, scene, method, plan)
    return plan


@task
def measure_scores(scores: Product, parts: Product, scene: SceneModel, method: ScoreMethod, plan: Any) -> Any:
    """One look at all scores."""
    wide = _plan(scores, scores.grid, method.halo(scene))
    name = parts.group_attrs["kind"]
    run_stage(measure_tile, wide, scores, parts, scene, method, plan, _columns(wide), name=name, splits=False)
    return method.solve(tree_reduce(list(parts.read()), add), scene, plan)


def measure_tile(
    tile: Tile, scores: Product, parts: Product, scene: SceneModel, method: ScoreMethod, plan: Any, columns: int
) -> dict:
    """One tile's part of it."""
    block = to_device(scores.read((*tile.read, slice(None))))
    _write_part(parts, tile, columns, method.survey(block, tile, scene, plan))
    return {}


@task
def restore(
    noisy: Product, scores: Product, clean: Product, scene: SceneModel, method: ScoreMethod, plan: Any
) -> dict[str, np.ndarray]:
    """Pass 3: write every tile of ``clean``; tell what was removed from each band."""
    wide = _plan(clean, clean.grid, method.halo(scene))
    report = run_stage(restore_tile, wide, noisy, scores, clean, scene, method, plan)
    totals = {key: np.sum([r[key] for r in report.records], axis=0) for key in ("count", "total", "square", "lag")}
    count = np.maximum(totals["count"], 1)
    spread = np.sqrt(totals["square"] / count)
    return {
        "residual_mean": totals["total"] / count,
        "residual_rms": spread,
        "residual_correlation": totals["lag"] / np.maximum(totals["square"], 1e-30),
    }


def restore_tile(
    tile: Tile, noisy: Product, scores: Product, clean: Product, scene: SceneModel, method: ScoreMethod, plan: Any
) -> dict:
    """Denoise the core of one tile; return sums over what was removed from it.

    Safe to repeat: a second run rewrites the same region with the same values.
    """
    found = method.restore(to_device(scores.read((*tile.read, slice(None)))), tile, scene, plan)
    values = to_host(found)
    block, valid = read_block(noisy, tile.core)
    values[..., ~scene.used] = block[..., ~scene.used]
    region = (*tile.core, slice(0, values.shape[2]))
    marks = np.ones(values.shape, bool) if valid is None else valid
    clean.write(region, values)
    clean["valid"].write(region, marks)
    return residual_sums(block - values, marks)


def residual_sums(residual: np.ndarray, valid: np.ndarray) -> dict[str, list[float]]:
    """Per band: number, sum, sum of squares of what was removed, and of products of horizontal neighbours."""
    kept = np.where(valid, residual, np.float32(0)).astype(np.float64)
    return {
        "count": valid.sum((0, 1)).tolist(),
        "total": kept.sum((0, 1)).tolist(),
        "square": (kept**2).sum((0, 1)).tolist(),
        "lag": (kept[:, 1:] * kept[:, :-1]).sum((0, 1)).tolist(),
    }


def read_block(cube: Product, core: tuple[slice, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Values as float32, zero where not valid, and the mask; None where all are valid."""
    region = (*core, slice(None))
    block = cube.read(region).astype(np.float32, copy=False)
    scale, offset = cube.attrs.get("scale_factor", 1.0), cube.attrs.get("add_offset", 0.0)
    if (scale, offset) != (1.0, 0.0):
        block = block * np.float32(scale) + np.float32(offset)
    valid = np.isfinite(block)
    if "valid" in cube:
        valid &= cube["valid"].read(region)
    if valid.all():
        return block, None
    return np.where(valid, block, np.float32(0)), valid


def _plan(product: Product, cell: Sequence[int], halo: int = 0) -> list[Tile]:
    return tiles(product.shape[:2], cell[:2], halo)


def _columns(plan: Sequence[Tile]) -> int:
    return plan[-1].index[1] + 1


def _write_part(parts: Product, tile: Tile, columns: int, part: np.ndarray) -> None:
    number = tile.index[0] * columns + tile.index[1]
    parts.write((slice(number, number + 1), *(slice(0, n) for n in part.shape)), part[None])


def quality(scene: SceneModel, expected: np.ndarray, removed: dict[str, np.ndarray]) -> dict[str, Any]:
    """What a run records about a scene and its result; series run over the bands, medians over the used ones."""
    used = scene.used
    signal = np.sqrt(scene.mean[used] ** 2)
    return {
        "noise_sigma": scene.sigma,
        "noise_sigma_after": expected,
        "noise_median": float(np.median(scene.sigma[used])),
        "noise_after_median": float(np.median(expected[used])),
        "gain_db": float(20 * np.log10(np.median(scene.sigma[used] / np.maximum(expected[used], 1e-30)))),
        "snr_db": float(20 * np.log10(np.median(np.maximum(signal, 1e-30) / scene.sigma[used]))),
        "n_component": scene.n_component,
        "n_used_bands": int(used.sum()),
        **removed,
        "residual_correlation_median": float(np.median(removed["residual_correlation"][used])),
    }


def quicklook(noisy: Product, clean: Product, sigma: np.ndarray, expected: np.ndarray, edge: int = 512) -> bytes:
    """PNG of the middle of the scene, before and after."""
    middle = tuple(slice(max(0, (n - edge) // 2), max(0, (n - edge) // 2) + min(n, edge)) for n in clean.shape[:2])
    before, _ = read_block(noisy, middle)
    axis = clean["band"].read().astype(float)
    return draw(Look(before, clean.read((*middle, slice(None))), axis, sigma, expected, clean.attrs.get("units", "1")))
