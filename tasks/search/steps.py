"""The stages of the search over a stored cube: scan, survey until calibrated, hunt, look closer.

A tile is one stretch of time and a square of pixels. Nothing that leaves a tile depends on how large it was.

More than 300 lines: only a module of this name may know the store, and four flows share these stages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from prefect import task

from storage import search as layouts
from storage.product import Product
from tasks.array.namespace import to_device, to_host
from tasks.array.tiling import Tile, tiles
from tasks.search.calibration import calibration, mask_patterns, residual_images, stretches, survey
from tasks.search.candidates import candidates, cut_patch
from tasks.search.cutouts import BINS, DM_TRIALS, EDGE, Cutout, cut_out
from tasks.search.find import typical_weight
from tasks.search.folding import Fold, dedispersed, search_periods
from tasks.search.hunt import Block, SearchPlan, hunt
from tasks.search.injection import Injected, add_pulses
from tasks.search.noise import Sums, Weights, rough_beam, rough_sigma, scan_times
from tasks.search.refine import Pulse
from tasks.search.sifting import Events, join_events, sift
from tasks.search.spatial import Beam, make_beam, matched_filter
from tasks.search.values import readable
from tasks.stage import run_stage


@dataclass(frozen=True)
class Observation:
    """A stored cube as the search sees it. Stored integers are searched as they are: S/N needs no unit."""

    cube: Product
    freqs: np.ndarray
    dt: float
    psf_fwhm: float | None = None

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, channel, y, x)."""
        return self.cube.shape  # type: ignore[return-value]

    @cached_property
    def beam(self) -> Beam | None:
        """The matched filter, for images with white pixel noise."""
        return None if self.psf_fwhm is None else make_beam(self.freqs, self.psf_fwhm, self.shape[2:])

    def read(self, times: slice, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Values and validity (time, channel, pixel) of a part of the cube, filtered where a filter is wanted."""
        reach = 0 if self.beam is None else self.beam.reach
        around = _grown(rows, reach, self.shape[2]), _grown(columns, reach, self.shape[3])
        region = (times, slice(0, self.shape[1]), *around)
        values = readable(self.cube.read(region))
        valid = self.cube["valid"].read(region) if "valid" in self.cube else np.ones(values.shape, bool)
        if values.dtype.kind == "f":
            valid &= np.isfinite(values)
        if self.beam is not None:
            usable = np.where(valid, values, 0).astype(np.float32)
            values = to_host(matched_filter(to_device(usable), np.asarray(valid.any((2, 3))), self.beam, *around))
        inner = (slice(None), slice(None), _within(rows, around[0]), _within(columns, around[1]))
        flat = (times.stop - times.start, self.shape[1], -1)
        return values[inner].reshape(flat), valid[inner].reshape(flat)


def _grown(part: slice, reach: int, size: int) -> slice:
    return slice(max(0, part.start - reach), min(size, part.stop + reach))


def _within(part: slice, around: slice) -> slice:
    return slice(part.start - around.start, part.stop - around.start)


@task
def scan(seen: Observation) -> tuple[list[np.ndarray], float]:
    """Rough noise (channel,) of each stretch, and the FWHM of the noise's correlation [pixels]."""
    n = len(stretches(seen.shape[0]))
    records = run_stage(scan_stretch, tiles((n + 1,), (1,)), seen, splits=False).records
    return [np.array(r["sigma"]) for r in records[:n]], records[n]["beam"]


def scan_stretch(tile: Tile, seen: Observation) -> dict:
    """Noise and beam from the few images that `scan_times` names; the last tile looks at the whole observation."""
    parts = [*stretches(seen.shape[0]), slice(0, seen.shape[0])]
    part = parts[tile.core[0].start]
    chosen = scan_times(part.stop - part.start) + part.start
    runs = np.split(chosen, np.flatnonzero(np.diff(chosen) > 1) + 1)
    whole = slice(0, seen.shape[2]), slice(0, seen.shape[3])
    read = [seen.read(slice(int(r[0]), int(r[-1]) + 1), *whole) for r in runs]
    values, valid = (np.concatenate(each) for each in zip(*read, strict=True))
    images, used = values.reshape(-1, *seen.shape[1:]), np.asarray(valid.any(2))
    return {"sigma": rough_sigma(images, used).tolist(), "beam": rough_beam(images, used)}


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
    i, rows, columns = _place(tile)
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


def _place(tile: Tile) -> tuple[int, slice, slice]:
    return tile.core[0].start, tile.core[1], tile.core[2]


@task
def hunt_all(seen: Observation, baseline: Product, flags: Product, plan: SearchPlan, weights: Weights) -> Events:
    """Every event of the observation, in no particular order."""
    totals = np.stack([weights.u[part].sum(0) for part in stretches(seen.shape[0])])
    report = run_stage(hunt_tile, tile_plan(seen, baseline), seen, baseline, flags, plan, totals)
    return join_events([Events(*np.array(r["events"], np.float64).reshape(6, -1)) for r in report.records])


def hunt_tile(
    tile: Tile, seen: Observation, baseline: Product, flags: Product, plan: SearchPlan, totals: np.ndarray
) -> dict:
    """The events of one tile."""
    block = read_block(seen, baseline, flags, plan, totals, *_place(tile))
    found = hunt(plan, block)
    return {"events": [column.tolist() for column in found.columns]}


def read_block(
    seen: Observation,
    baseline: Product,
    flags: Product,
    plan: SearchPlan,
    totals: np.ndarray,
    i: int,
    rows: slice,
    columns: slice,
) -> Block:
    """The samples of stretch ``i`` in a rectangle of pixels, with all that conditions them."""
    parts = stretches(seen.shape[0])
    times, channels = plan.read(parts[i]), slice(0, seen.shape[1])
    values, valid = seen.read(times, rows, columns)
    level = baseline.read((slice(i, min(i + 2, len(parts))), channels, rows, columns))
    pixels = (
        np.arange(rows.start, rows.stop)[:, None] * seen.shape[3] + np.arange(columns.start, columns.stop)
    ).ravel()
    return Block(
        parts[i],
        min(parts[i].stop, times.stop) - times.start,
        to_device(values),
        [to_device(each.reshape(seen.shape[1], -1)) for each in level],
        totals[i : i + 2],
        flags["gain"].read((times,)),
        flags["weight"].read((times, channels)),
        mask_patterns(valid),
        pixels,
    )


@task
def look_closer(
    seen: Observation,
    baseline: Product,
    flags: Product,
    plan: SearchPlan,
    weights: Weights,
    events: Events,
    beam: float,
    limit: int,
) -> tuple[pd.DataFrame, list[Cutout]]:
    """Sift the events, measure what remains between the trials, cut out the ``limit`` strongest."""
    totals = np.stack([weights.u[part].sum(0) for part in stretches(seen.shape[0])])

    def block(pixels: np.ndarray, i: int) -> Block:
        y, x = np.divmod(pixels, seen.shape[3])
        rectangle = slice(int(y[0]), int(y[-1]) + 1), slice(int(x[0]), int(x[-1]) + 1)
        return read_block(seen, baseline, flags, plan, totals, i, *rectangle)

    chosen, groups = sift(events, plan.freqs, plan.dt, beam)
    frame = candidates(plan, chosen, np.array([len(g) for g in groups], np.int64), beam, block)
    cutouts = []
    for row in frame.head(limit).to_dict("records"):
        snr, time_s, y, x, dm, width_s = (float(row[k]) for k in ("snr", "time_s", "y", "x", "dm", "width_s"))
        pulse = Pulse(snr, time_s / plan.dt, y, x, dm, width_s / plan.dt)
        patch = cut_patch(plan, pulse, block, reach=EDGE // 2, margin=BINS)
        cutouts.append(cut_out(pulse, patch, plan.freqs, plan.dt))
    return frame, cutouts


def with_weights(plan: SearchPlan, weights: Weights) -> SearchPlan:
    """The plan with the weight of an average sample filled in."""
    return replace(plan, typical=typical_weight(weights.u))


def write_cutouts(product: Product, cutouts: list[Cutout]) -> None:
    """Store the cutouts, one shard each."""
    for n, cutout in enumerate(cutouts):
        for name in ("image", "spectrum", "dm_time"):
            values = getattr(cutout, name)
            product[name].write((slice(n, n + 1), *(slice(0, k) for k in values.shape)), values[None])


def cutout_layout(cutouts: list[Cutout], frame: pd.DataFrame, freqs: np.ndarray) -> Any:
    """Layout of the cutouts' product, every axis labelled."""
    n, named = len(cutouts), layouts.coordinate
    coords = {
        "candidate": named(("candidate",), np.arange(1, n + 1), "1", "number of the candidate, strongest first"),
        "channel": named(("channel",), freqs, "MHz", "frequency of the channel's centre"),
        "offset": named(("candidate", "bin"), [c.times for c in cutouts], "s", "time from the pulse"),
        "dm": named(("candidate", "dm_trial"), [c.dms for c in cutouts], "pc cm-3", "dispersion measure of the trial"),
        "corner_y": named(("candidate",), [c.corner[0] for c in cutouts], "pixel", "row of the image's first pixel"),
        "corner_x": named(("candidate",), [c.corner[1] for c in cutouts], "pixel", "column of the image's first pixel"),
        "snr": named(("candidate",), frame["snr"].to_numpy()[:n], "1", "signal to noise ratio"),
    }
    return layouts.cutouts(n, len(freqs), EDGE, BINS, DM_TRIALS, coords)


def inject(
    create: Callable[..., Product], seen: Observation, pulses: list[Injected], beam: float, tile: int
) -> Observation:
    """The observation with pulses added to it, in a scratch cube."""
    target = create("injected", layouts.injected(seen.shape, tile))
    inject_all(seen, target, pulses, beam)
    return replace(seen, cube=target)


@task
def inject_all(seen: Observation, target: Product, pulses: list[Injected], beam: float) -> None:
    """Copy the cube and add the pulses."""
    run_stage(inject_tile, tiles(seen.shape, target.grid), seen, target, pulses, beam)


def inject_tile(tile: Tile, seen: Observation, target: Product, pulses: list[Injected], beam: float) -> dict:
    """Copy one tile and add the pulses that touch it."""
    values = seen.cube.read(tile.core)
    valid = seen.cube["valid"].read(tile.core) if "valid" in seen.cube else np.ones(values.shape, bool)
    corner = (tile.core[0].start, tile.core[2].start, tile.core[3].start)
    target.write(tile.core, add_pulses(values, pulses, seen.freqs, seen.dt, beam, corner))
    target["valid"].write(tile.core, valid)
    return {}


@task
def fold_pixels(
    seen: Observation,
    baseline: Product,
    flags: Product,
    weights: Weights,
    wanted: list[tuple[int, int, float]],
    shortest: float,
    longest: float,
) -> dict[tuple[int, int, float], Fold]:
    """Fold the dedispersed light curve of every (y, x, DM) at all periods."""
    parts, folds, curves = stretches(seen.shape[0]), {}, {}
    for y, x, dm in wanted:
        if (y, x) not in curves:
            curves[y, x] = _light_curve(seen, baseline, weights, parts, y, x)
        residuals, used = curves[y, x]
        series, weight = dedispersed(residuals, used, seen.freqs, seen.dt, dm)
        folds[y, x, dm] = search_periods(series, weight, seen.dt, shortest, longest)
    return folds


def _light_curve(
    seen: Observation, baseline: Product, weights: Weights, parts: list[slice], y: int, x: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted residuals and weights (time, channel) of one pixel."""
    residuals, used = np.zeros(seen.shape[:2]), np.zeros(seen.shape[:2])
    row, column = slice(y, y + 1), slice(x, x + 1)
    for i, part in enumerate(parts):
        values, valid = seen.read(part, row, column)
        level = baseline.read((slice(i, i + 1), slice(0, seen.shape[1]), row, column)).reshape(1, -1)
        used[part] = weights.u[part] * valid[:, :, 0]
        residual = np.where(valid[:, :, 0], values[:, :, 0].astype(np.float64), 0) / weights.gain[part, None] - level
        residuals[part] = residual * used[part]
    return residuals, used
