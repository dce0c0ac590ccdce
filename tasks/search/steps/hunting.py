"""Hunt for events in every tile, then look closer at what remains; nothing that leaves a tile depends on its size."""

from dataclasses import replace

import numpy as np
import pandas as pd
from prefect import task

from storage.product import Product
from tasks.array.namespace import to_device
from tasks.array.tiling import Tile
from tasks.search.calibration import mask_patterns, stretches
from tasks.search.candidates import candidates, cut_patch
from tasks.search.cutouts import BINS, EDGE, Cutout, cut_out
from tasks.search.find import typical_weight
from tasks.search.hunt import Block, SearchPlan, hunt
from tasks.search.noise import Weights
from tasks.search.outlook import tile_bytes
from tasks.search.refine import Pulse
from tasks.search.sifting import Events, join_events, sift
from tasks.search.steps.observation import Observation
from tasks.search.steps.surveying import place, tile_plan
from tasks.stage import run_stage


@task
def hunt_all(seen: Observation, baseline: Product, flags: Product, plan: SearchPlan, weights: Weights) -> Events:
    """Every event of the observation, in no particular order."""
    totals = np.stack([weights.u[part].sum(0) for part in stretches(seen.shape[0])])

    dtype = seen.cube.dtype if seen.beam is None else np.dtype(np.float32)

    def footprint(tile: Tile) -> float:
        _, rows, columns = place(tile)
        return tile_bytes(plan, (rows.stop - rows.start) * (columns.stop - columns.start), dtype)

    tiles = tile_plan(seen, baseline)
    report = run_stage(hunt_tile, tiles, seen, baseline, flags, plan, totals, footprint=footprint)
    return join_events([Events(*np.array(r["events"], np.float64).reshape(6, -1)) for r in report.records])


def hunt_tile(
    tile: Tile, seen: Observation, baseline: Product, flags: Product, plan: SearchPlan, totals: np.ndarray
) -> dict:
    """The events of one tile."""
    block = read_block(seen, baseline, flags, plan, totals, *place(tile))
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
