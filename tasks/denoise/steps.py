"""The stages of denoising: three passes over tiles, as `tasks.denoise.streaming` lays them out.

`front.steps` has what comes before them, `again.steps` what may come between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from prefect import task

from storage import denoise as layouts
from storage.product import Product
from tasks.array.namespace import to_device, to_host
from tasks.array.statistics import tree_reduce
from tasks.array.tiling import Halo, Tile, tiles
from tasks.denoise.automatic import Auto, Diagnosis
from tasks.denoise.blocks import read_block, read_marked, read_values, strip_bytes, strips
from tasks.denoise.columns import column_sigma, sample_rows
from tasks.denoise.figures import ResidualSums, removed_figures
from tasks.denoise.learned import Learned
from tasks.denoise.methods import method as find_method
from tasks.denoise.methods import option_types
from tasks.denoise.moments import Moments, measure, merge, packed, packed_size, unpacked
from tasks.denoise.quality import rare_signals
from tasks.denoise.quicklook import Spectra, draw
from tasks.denoise.scene import SceneModel, solve_scene
from tasks.denoise.scores import project
from tasks.denoise.streaming import ScoreMethod
from tasks.stage import StageReport, run_stage

LINES = 64
"""Lines that are read together for the picture."""
ROWS = 16
"""Rows that are finished together: their temporaries stay small."""


@dataclass(frozen=True)
class Rare:
    """Where rare pixels are looked for: in ``cube``, the mended one, or None for the noisy one; ``keep``: they get its
    values back; ``sigma`` (band,): another estimate of the noise than the scene's, of which the larger counts: a second look
    finds too little where outliers went, and the robust fit where few fields differ from all others in single bands."""

    cube: Product | None = None
    keep: bool = False
    sigma: np.ndarray | None = None


@dataclass(frozen=True)
class Given:
    """What was given for a tile's core: ``values`` as they are, ``valid``, and ``source``, what was denoised: mended where
    the front end ran, zero where not valid; all (y, x, band)."""

    values: np.ndarray
    valid: np.ndarray
    source: np.ndarray


def choose(
    name: str, rank: int | None, robust: bool | None, options: dict[str, Any], found: Diagnosis, seed: int = 0
) -> ScoreMethod | Learned:
    """The method to run: the one named, or what the diagnosis asks for; ``robust`` overrides either."""
    drawn = {"seed": seed} if "seed" in option_types(name) else {}
    method = find_method(name, **({"rank": rank} if rank is not None else {}), **(drawn | options))
    method = method.choose(found) if isinstance(method, Auto) else method
    return method if robust is None else replace(method, robust=robust)


def solve_scores(
    create: Callable[..., Product], cube: Product, bands: np.ndarray, method: ScoreMethod, edge: int, look: int = 0
) -> tuple[Product, SceneModel, Any]:
    """Passes 1 to 2b: the scores of ``cube``, its scene, and what all tiles must share."""
    mark = f"_look_{look}" if look else ""
    scene = method.adapt(solve_statistics(create, cube, bands, method, edge, mark))
    scores = create(f"scores{mark}", layouts.scores(scene.shape, scene.n_component, edge))
    project_scene(cube, scores, scene, method, mark)
    return scores, scene, survey_scores(create, scores, scene, method, mark)


def solve_statistics(
    create: Callable[..., Product], cube: Product, bands: np.ndarray, method: ScoreMethod, edge: int, mark: str = ""
) -> SceneModel:
    """Pass 1: noise and subspace of the whole scene."""
    parts = create(f"moments{mark}", layouts.moments(cube, edge, packed_size(len(bands))))
    moments = survey(cube, parts, bands, edge, method, mark)
    return solve_scene(moments, bands, (cube.shape[0], cube.shape[1]), method.rank, method.equal_noise)


@task
def survey(cube: Product, parts: Product, bands: np.ndarray, edge: int, method: ScoreMethod, mark: str = "") -> Moments:
    """Pass 1: the moments of the whole scene."""
    plan = _plan(cube, (edge, edge))
    run_stage(survey_tile, plan, cube, parts, bands, method, _columns(plan), name=f"survey_tile{mark}", splits=False)
    return tree_reduce([unpacked(part, len(bands)) for part in parts.read()], merge)


def survey_tile(
    tile: Tile, cube: Product, parts: Product, bands: np.ndarray, method: ScoreMethod, columns: int
) -> dict:
    """The moments of one tile."""
    found = reduce(merge, (measure(*_encoded(cube, part, method), bands) for part in strips(tile.core, cube)))
    _write_part(parts, tile, columns, packed(found))
    return {"valid": int(found.seen.sum())}


@task
def project_scene(
    cube: Product, scores: Product, scene: SceneModel, method: ScoreMethod, mark: str = ""
) -> StageReport:
    """Pass 2: the scores of every pixel."""
    plan = _plan(scores, scores.grid)
    return run_stage(project_tile, plan, cube, scores, scene, method, name=f"project_tile{mark}")


def project_tile(tile: Tile, cube: Product, scores: Product, scene: SceneModel, method: ScoreMethod) -> dict:
    """The scores of one tile."""
    found = [to_host(project(*_encoded(cube, part, method), scene)) for part in strips(tile.core, cube)]
    scores.write((*tile.core, slice(0, scene.n_component)), np.concatenate(found))
    return {}


def survey_scores(
    create: Callable[..., Product], scores: Product, scene: SceneModel, method: ScoreMethod, mark: str = ""
) -> Any:
    """Pass 2b, as often as the method wants: what all tiles must share. ``create`` makes scratch products."""
    plan = None
    n_tile = len(_plan(scores, scores.grid))
    for round_ in range(method.rounds):
        name = f"measured_{round_}{mark}"
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
    noisy: Product, scores: Product, clean: Product, scene: SceneModel, method: ScoreMethod, plan: Any,
    rare: Rare,
) -> dict[str, Any]:  # fmt: skip
    """Pass 3: write every tile of ``clean``; tell what was removed from each band, and how much was given back."""
    wide = _plan(clean, clean.grid, method.halo(scene))
    report = run_stage(
        restore_tile, wide, noisy, scores, clean, scene, method, plan, rare,
        footprint=lambda tile: method.tile_bytes(tile, scene) + strip_bytes(tile.core, clean, rare.cube or noisy),
    )  # fmt: skip
    return summed(report.records, scene, rare)


def summed(records: list[dict[str, Any]], scene: SceneModel, rare: Rare) -> dict[str, Any]:
    """What was removed from the scene, and how much was given back, from the records of `finish_tile`."""
    flagged = float(sum(r["rare"] for r in records) / np.prod(scene.shape))
    given_back = {"flagged_fraction": flagged} | ({"kept_fraction": flagged} if rare.keep else {})
    return given_back | removed_figures(records)


def restore_tile(
    tile: Tile, noisy: Product, scores: Product, clean: Product, scene: SceneModel, method: ScoreMethod, plan: Any,
    rare: Rare,
) -> dict:  # fmt: skip
    """Denoise the core of one tile; return sums over what was removed from it.

    Safe to repeat: a second run rewrites the same region with the same values.
    """
    kept = method.filtered(to_device(scores.read((*tile.read, slice(None)))), tile, scene, plan)
    told = method.uncertainty(tile, scene, plan) if method.linear else None

    def restored(rows: slice, given: Given) -> tuple[np.ndarray, np.ndarray]:
        """What was removed is told in units whose noise does not depend on the signal."""
        found = method.spectra(kept[rows], scene, plan)
        away = to_host(method.encode(given.source, given.valid)) - to_host(found)
        if told is not None:
            told[rows][~given.valid] = np.nan
        return to_host(method.decode(found)), away

    record = finish_tile(tile, noisy, clean, scene, rare, restored)
    if told is not None:
        clean["uncertainty"].write((*tile.core, slice(0, told.shape[2])), told)
    return record


def read_given(noisy: Product, rare: Rare, core: tuple[slice, ...]) -> Given:
    """What was given for some pixels."""
    values, valid = read_marked(noisy, core)
    source = values if rare.cube is None else read_values(rare.cube, core)
    if valid is None:
        return Given(values, np.ones(values.shape, bool), source)
    return Given(values, valid, np.where(valid, source, np.float32(0)))


def finish_tile(
    tile: Tile, noisy: Product, clean: Product, scene: SceneModel, rare: Rare,
    restored: Callable[[slice, Given], tuple[np.ndarray, np.ndarray]],
) -> dict:  # fmt: skip
    """Write the core of a tile strip by strip; ``restored``: the denoised values of some of its rows, and what went from them,
    in the unit of the scene's noise."""
    sums, flags, bands = ResidualSums(len(scene.used)), [], slice(0, len(scene.used))
    with clean.writing((*tile.core, bands)) as put, clean["valid"].writing((*tile.core, bands)) as mark:
        for part in strips(tile.core, clean, rare.cube or noisy):
            given = read_given(noisy, rare, part)
            first = part[0].start - tile.core[0].start
            values, removed = restored(slice(first, first + len(given.values)), given)
            flags.append(_finish_rows(given, values, removed, scene, rare, sums))
            put((*part, bands), values)
            mark((*part, bands), given.valid)
    found = np.concatenate(flags)
    clean["rare"].write(tile.core, found)
    return sums.record() | {"rare": int(found.sum())}


def _finish_rows(
    given: Given, values: np.ndarray, removed: np.ndarray, scene: SceneModel, rare: Rare, sums: ResidualSums
) -> np.ndarray:
    """Give bands and pixels their values back that shall keep them, in place; count the rest; which pixels are rare (y, x)."""
    sigma = scene.sigma if rare.sigma is None else np.maximum(scene.sigma, rare.sigma)
    unused = np.flatnonzero(~scene.used)
    flags = np.empty(values.shape[:2], bool)
    for start in range(0, len(values), ROWS):
        rows = slice(start, start + ROWS)
        flags[rows] = rare_signals(np.where(given.valid[rows], removed[rows], np.float32(0)), sigma)
        if unused.size:
            values[rows, :, unused] = np.nan_to_num(given.values[rows, :, unused])
        if rare.keep:
            values[rows] = np.where(flags[rows, :, None] & given.valid[rows], given.source[rows], values[rows])
        sums.add(given.values[rows], values[rows], given.valid[rows])
    return flags


@task
def measure_columns(noisy: Product, clean: Product, sigma: np.ndarray, expected: np.ndarray) -> StageReport:
    """Fill ``sigma_column`` of the clean cube: the noise of every column, some columns at a time."""
    strips = tiles(clean.shape[1:2], clean["sigma_column"].grid[:1])
    return run_stage(column_tile, strips, noisy, clean, sigma, expected)


def column_tile(tile: Tile, noisy: Product, clean: Product, sigma: np.ndarray, expected: np.ndarray) -> dict:
    """The noise of some columns."""
    (columns,) = tile.core
    parts = [(rows, columns) for rows in sample_rows(noisy.shape[0])]
    blocks = [read_block(noisy, part) for part in parts]
    block = np.concatenate([found for found, _ in blocks])
    kept = np.concatenate([clean.read((*part, slice(None))) for part in parts])
    whole = all(valid is None for _, valid in blocks)
    marks = [np.ones(found.shape, bool) if valid is None else valid for found, valid in blocks]
    valid = None if whole else to_device(np.concatenate(marks))
    found = column_sigma(to_device(block), to_device(kept), valid, sigma, expected)
    clean["sigma_column"].write((columns, slice(0, len(sigma))), to_host(found))
    return {}


def _encoded(cube: Product, part: tuple[slice, ...], method: ScoreMethod) -> tuple[Any, Any]:
    """Values as the method wants them, and the mask, on the device."""
    block, valid = read_block(cube, part)
    marks = None if valid is None else to_device(valid)
    return method.encode(to_device(block), marks), marks


def _plan(product: Product, cell: Sequence[int], halo: Halo = 0) -> list[Tile]:
    return tiles(product.shape[:2], cell[:2], halo)


def _columns(plan: Sequence[Tile]) -> int:
    return plan[-1].index[1] + 1


def _write_part(parts: Product, tile: Tile, columns: int, part: np.ndarray) -> None:
    number = tile.index[0] * columns + tile.index[1]
    parts.write((slice(number, number + 1), *(slice(0, n) for n in part.shape)), part[None])


def quicklook(noisy: Product, clean: Product, mean: np.ndarray, edge: int = 512) -> bytes:
    """PNG of the middle of the scene, before and after; ``mean`` (band,) of the scene."""
    axis, sigma, after = (clean[name].read().astype(float) for name in ("band", "sigma", "sigma_after"))
    spectra = Spectra(axis, sigma, after, mean, clean.attrs.get("units", "1"))
    starts = [max(0, (n - edge) // 2) for n in clean.shape[:2]]
    y, x = (slice(start, min(start + edge, n)) for start, n in zip(starts, clean.shape[:2], strict=True))
    strips = [(slice(a, min(a + LINES, y.stop)), x) for a in range(y.start, y.stop, LINES)]
    before = np.concatenate([read_block(noisy, strip)[0][..., spectra.shown] for strip in strips])
    now = np.concatenate([clean.read((*strip, slice(None)))[..., spectra.shown] for strip in strips])
    return draw(before, now, clean["rare"].read((y, x)), spectra)
