"""Survey the cube until gain, interference and baseline agree; a tile is one stretch and a square of pixels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from prefect import task

from storage import search as layouts
from storage.product import Product
from tasks.array.namespace import to_device, to_host
from tasks.array.tiling import Tile, tiles
from tasks.search.calibration import STRETCH, calibration, mask_patterns, residual_images, stretches, survey
from tasks.search.noise import Sums, Weights
from tasks.search.steps.observation import Observation
from tasks.stage import run_stage


def create_arrays(create: Callable[..., Product], seen: Observation, tile: int) -> tuple[Product, Product]:
    """The scratch baseline and the flags, which are published."""
    coords = {"channel": layouts.coordinate(("channel",), seen.freqs, "MHz", "frequency of the channel's centre")}
    seconds = np.arange(seen.shape[0]) * seen.dt
    coords["time"] = layouts.coordinate(("time",), seconds, "s", "time since the first sample")
    baseline = create("baseline", layouts.baseline(seen.shape, len(stretches(seen.shape[0])), tile))
    return baseline, create("flags", layouts.flags(*seen.shape[:2], STRETCH, coords))


def calibrate(
    create: Callable[..., Product], seen: Observation, baseline: Product, flags: Product, sigma: list[np.ndarray]
) -> Weights:
    """Survey all stretches as often as they need it; leave baseline and flags written, return the weights."""
    parts = stretches(seen.shape[0])

    def images(i: int) -> Callable:
        return lambda t, channels, gain: _residuals(seen, baseline, i, t, channels, gain)

    running = {i: calibration(sigma[i], p.stop - p.start, images(i)) for i, p in enumerate(parts)}
    asked, done = {i: next(c) for i, c in running.items()}, {}
    for number in range(100):
        if not asked:
            break
        for i, (gain, excised) in asked.items():
            _write_state(flags, parts[i], gain, excised, np.zeros(excised.shape))
        plan = [t for t in tile_plan(seen, baseline) if t.core[0].start in asked]
        sums = create(f"sums_{number}", layouts.sums(len(plan), max(p.stop - p.start for p in parts), seen.shape[1]))
        order = {t.index: n for n, t in enumerate(plan)}
        survey_pass(plan, seen, baseline, flags, sums, sigma, order, f"survey_{number}")
        asked = _answer(plan, sums, parts, running, asked, done)
    for i, part in enumerate(parts):
        _write_state(flags, part, done[i].gain, done[i].flags, done[i].u)
    return Weights(*(np.concatenate([getattr(done[i], k) for i in range(len(parts))]) for k in ("u", "gain", "flags")))


@task
def survey_pass(plan: Sequence[Tile], *args: Any) -> None:
    """One survey of the tiles of ``plan``."""
    *rest, name = args
    run_stage(survey_tile, plan, *rest, name=name, splits=False)


def survey_tile(
    tile: Tile,
    seen: Observation,
    baseline: Product,
    flags: Product,
    sums: Product,
    sigma: list[np.ndarray],
    order: dict[tuple[int, ...], int],
) -> dict:
    """Baseline of one tile, and its sums."""
    i, rows, columns = place(tile)
    times = stretches(seen.shape[0])[i]
    values, valid = seen.read(times, rows, columns)
    gain, excised = flags["gain"].read((times,)), flags["flags"].read((times, slice(0, seen.shape[1])))
    groups = mask_patterns(valid)
    level, total = survey(to_device(values), groups, excised, gain, sigma[i])
    shape = (1, seen.shape[1], rows.stop - rows.start, columns.stop - columns.start)
    baseline.write((slice(i, i + 1), slice(0, seen.shape[1]), rows, columns), to_host(level).reshape(shape))
    packed = np.zeros((1, *sums.shape[1:]))
    for k, each in enumerate((total.power, total.jitter, total.pattern, total.count, total.pairs, total.source[None])):
        packed[0, k, : len(each)] = each
    number = order[tile.index]
    sums.write((slice(number, number + 1), *(slice(0, n) for n in sums.shape[1:])), packed)
    return {"valid": int(valid.sum())}


def _answer(plan: list[Tile], sums: Product, parts: list[slice], running: dict, asked: dict, done: dict) -> dict:
    """Send each calibration the sums of its stretch; return what they ask for next."""
    again = {}
    for i in asked:
        n = parts[i].stop - parts[i].start
        total = Sums.zeros(n, sums.shape[3])
        for number, tile in enumerate(plan):
            if tile.core[0].start == i:
                packed = sums.read((slice(number, number + 1), *(slice(0, k) for k in sums.shape[1:])))[0]
                power, jitter, pattern, count, pairs = packed[:5, :n]
                total.add(Sums(power, jitter, pattern, packed[5, 0], count, pairs))
        try:
            again[i] = running[i].send(total)
        except StopIteration as end:
            done[i] = end.value
    return again


def _residuals(
    seen: Observation, baseline: Product, i: int, t: int, channels: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    start = stretches(seen.shape[0])[i].start + t
    whole = slice(0, seen.shape[2]), slice(0, seen.shape[3])
    values, valid = seen.read(slice(start, start + 1), *whole)
    level = baseline.read((slice(i, i + 1), slice(0, seen.shape[1]), *whole))[0].reshape(seen.shape[1], -1)
    return residual_images(values[0][channels], level[channels], valid[0][channels], gain[t])


def _write_state(flags: Product, times: slice, gain: np.ndarray, excised: np.ndarray, u: np.ndarray) -> None:
    channels = slice(0, u.shape[1])
    flags.write((times, channels), excised)
    flags["weight"].write((times, channels), u)
    flags["gain"].write((times,), gain)


def tile_plan(seen: Observation, baseline: Product) -> list[Tile]:
    """Stretches times squares of pixels."""
    return tiles((len(stretches(seen.shape[0])), *seen.shape[2:]), (1, *baseline.grid[2:]))


def place(tile: Tile) -> tuple[int, slice, slice]:
    return tile.core[0].start, tile.core[1], tile.core[2]
