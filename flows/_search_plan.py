"""What a search would take, told before it starts: from past runs, or else from a small timed sample."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from statistics import median
from typing import Any

import numpy as np

from flows._cluster import DEPTH, expected_workers
from flows._plan import tiled
from flows._sources import as_product
from storage.experience import Past, leave_one_out, past_runs, relative_error
from storage.product import Product
from storage.sources import product_row
from tasks.search.calibration import stretches
from tasks.search.find import make_plan
from tasks.search.outlook import expected_seconds, measure, tile_bytes, work
from tasks.search.steps import frequencies, observe, sampling

READ_SAMPLES = 1024

PROCESS_BYTES = 350 << 20
"""A worker before its first tile: interpreter and libraries."""


@dataclass(frozen=True)
class Cube:
    """What a plan needs to know of a cube; ``read`` is what reading one value takes [s], 0 where it is not stored yet."""

    shape: tuple[int, ...]
    dtype: np.dtype
    freqs: np.ndarray
    dt: float
    read: float


def foretell(params: Any) -> dict[str, Any]:
    """Tiles, bytes, memory and seconds of the search that ``params`` describe; nothing is written."""
    cube = _stored(params) if product_row(params.source) else _in_file(params)
    plan = make_plan(cube.shape, cube.freqs, cube.dt, params.threshold, params.dm_max, params.width_max)
    n_time, n_channel, n_y, n_x = cube.shape
    parts = stretches(n_time)
    edge = min(params.tile, max(n_y, n_x))
    per_part = tiled((n_channel, n_y, n_x), (n_channel, edge, edge), cube.dtype.itemsize)
    told = {
        "shape": list(cube.shape),
        "tiles": len(parts) * per_part["tiles"],
        "bytes": prod(cube.shape) * cube.dtype.itemsize,
        "memory_per_worker_bytes": PROCESS_BYTES
        + DEPTH * tile_bytes(plan, min(edge, n_y) * min(edge, n_x), cube.dtype),
        "n_dm_trials": sum(len(level.dms) for level in plan.levels),
        "n_width_trials": sum(len(level.widths) for level in plan.levels),
        "pixel_trials": work(plan).pixel_trials,
    }
    runs = [run for _, run in past_runs("search") if _tells(run)]
    if runs:
        pairs = [(_learnt(run.metrics, rest), run.seconds) for run, rest in leave_one_out(runs)]
        seconds, note = _learnt(vars(work(plan)), runs), f"as {len(runs)} past searches took"
        return told | {"expected_seconds": round(seconds, 1), "error": relative_error(pairs), "note": note}
    n_worker = expected_workers()
    seconds = expected_seconds(plan, measure(plan, cube.dtype, cube.read), n_worker)
    told |= {"expected_seconds": round(seconds, 1), "note": f"from a sample timed here, for {n_worker} workers"}
    return told if cube.read else told | {"note": told["note"] + "; without ingesting and reading the file"}


def _stored(params: Any) -> Cube:
    seen = observe(Product(as_product(params.source, "radio_cube")), params)
    part = slice(0, min(READ_SAMPLES, seen.shape[0]))
    square = slice(0, min(params.tile, seen.shape[2])), slice(0, min(params.tile, seen.shape[3]))
    start = time.process_time()
    values, _ = seen.read(part, *square)
    return Cube(seen.shape, seen.cube.dtype, seen.freqs, seen.dt, (time.process_time() - start) / values.size)


def _in_file(params: Any) -> Cube:
    from flows.ingest import IngestParams

    header = IngestParams.model_validate({"source": params.source}).opened().header
    if header.kind != "radio_cube":
        raise ValueError(f"{params.source} is a {header.kind}, expected a radio cube (time, channel, y, x)")
    freqs = frequencies(params.source, header.shape[1], header.freqs, params)
    return Cube(header.shape, header.dtype, freqs, sampling(params.source, header.time, params), 0.0)


def _tells(run: Past) -> bool:
    return {"additions", "values_surveyed"} <= run.metrics.keys() and "hunt_tile" in run.stages


def _learnt(todo: Mapping[str, float], runs: list[Past]) -> float:
    """Seconds as in past runs: per addition, per value surveyed, and what no amount of work changes."""
    hunted = [run.stages["hunt_tile"].seconds or 0.0 for run in runs]
    surveyed = [sum(s.seconds or 0.0 for name, s in run.stages.items() if name.startswith("survey_")) for run in runs]
    rest = median(run.seconds - h - s for run, h, s in zip(runs, hunted, surveyed, strict=True))
    per_addition = sum(hunted) / sum(run.metrics["additions"] for run in runs)
    per_value = sum(surveyed) / sum(run.metrics["values_surveyed"] for run in runs)
    return rest + todo["additions"] * per_addition + todo["values_surveyed"] * per_value
