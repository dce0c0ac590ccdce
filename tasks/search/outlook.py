"""What a search will take, told before it starts: tiles, memory and time, from the trials and a small timed sample."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tasks.array.namespace import to_device
from tasks.search.calibration import stretches, survey
from tasks.search.hunt import SLAB_BYTES, Block, SearchPlan, hunt
from tasks.search.tree import TREE_COST
from tasks.search.trials import Level
from tasks.search.values import kernel_type

PASSES = 2
"""Surveys that a stretch usually needs: the first finds interference, the second does without it."""

FIXED_SECONDS = 12.0
"""Cluster, scan, look at the candidates, pictures: what even the smallest search takes."""

PER_WIDTH = 3.0
"""A boxcar costs its addition, its scaling and the comparison with the best."""

SAMPLE_PIXELS, SAMPLE_VALUES = 64, 8 << 20


@dataclass(frozen=True)
class Work:
    """How much there is to do: trials of pixels, the additions they take, and the values that one survey reads."""

    pixel_trials: float
    additions: float
    values_surveyed: float


@dataclass(frozen=True)
class Speed:
    """Seconds of one worker: to ``read`` a value, to ``survey`` it, to ``hunt`` by one addition."""

    read: float
    survey: float
    hunt: float


def work(plan: SearchPlan) -> Work:
    """What the search of an observation has to do."""
    n_pixel_samples = plan.shape[0] * plan.shape[2] * plan.shape[3]
    trials = sum(len(lv.dms) * len(lv.widths) / lv.factor for lv in plan.levels)
    summed = sum(_dedispersion(lv) / lv.factor for lv in plan.levels)
    return Work(trials * n_pixel_samples, (summed + PER_WIDTH * trials) * n_pixel_samples, float(prod(plan.shape)))


def _dedispersion(level: Level) -> float:
    """Additions per sample of a level, a slow one in the tree counted as several."""
    return level.delays.size if level.tree is None else TREE_COST * level.tree.additions


def tile_bytes(plan: SearchPlan, n_pixel: int, dtype: np.dtype) -> int:
    """Memory of one tile: the samples and masks of ``n_pixel`` pixels, the trials' norms, conditioned slabs."""
    longest = max(part.stop - part.start for part in map(plan.read, stretches(plan.shape[0])))
    norms = sum(4 * len(lv.dms) * len(lv.widths) * (longest // lv.factor + lv.reach) for lv in plan.levels)
    return longest * plan.shape[1] * n_pixel * (kernel_type(dtype).itemsize + 1) + norms + 3 * SLAB_BYTES


def measure(plan: SearchPlan, dtype: np.dtype, read: float) -> Speed:
    """Time the survey of, and the hunt through, a few pixels of noise with the plan's own trials.

    ``read`` is what reading one value takes [s]. CPU seconds are measured, so that a busy machine changes them little.
    """
    part = stretches(plan.shape[0])[0]
    n = min(part.stop, max(256, SAMPLE_VALUES // (SAMPLE_PIXELS * plan.shape[1])))
    noise = np.random.default_rng(0).normal(0, 20, (n, plan.shape[1], SAMPLE_PIXELS))
    x, valid = to_device(noise.astype(kernel_type(dtype))), np.ones(noise.shape[:2], bool)
    group, sigma = [(slice(0, SAMPLE_PIXELS), valid)], np.full(plan.shape[1], 20.0)
    level, _ = survey(x, group, ~valid, np.ones(n), sigma)
    surveyed = _seconds(lambda: survey(x, group, ~valid, np.ones(n), sigma))
    u = valid / 400.0
    sample = replace(plan, shape=(n, plan.shape[1], 1, SAMPLE_PIXELS), typical=u[0], threshold=np.inf)
    pixels = np.arange(SAMPLE_PIXELS)
    block = Block(slice(0, n), n, x, [level], u.sum(0)[None], np.ones(n), u, group, pixels)
    hunt(sample, block)
    hunted = _seconds(lambda: hunt(sample, block))
    todo = work(sample)
    return Speed(read, surveyed / todo.values_surveyed, hunted / todo.additions)


def expected_seconds(plan: SearchPlan, speed: Speed, n_worker: int) -> float:
    """Seconds of the whole search on ``n_worker`` workers."""
    todo, parts = work(plan), stretches(plan.shape[0])
    again = sum(part.stop - part.start for part in map(plan.read, parts)) / plan.shape[0]
    busy = todo.values_surveyed * ((PASSES + again) * speed.read + PASSES * speed.survey) + todo.additions * speed.hunt
    return FIXED_SECONDS + busy / n_worker


def _seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start
