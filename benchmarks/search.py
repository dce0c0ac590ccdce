"""Measure the transient search: pixel-trials per second, times real time, and memory, all in one run.

Rates are those of two cores: two times the trials per CPU second of all threads, so that a busy machine changes them
little. Run: python -m benchmarks.search
"""

import math
import resource
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

import tasks.search.tree
from benchmarks._figures import figure
from tasks.search import _cpu, search
from tasks.search.calibration import stretches
from tasks.search.dispersion import band_delay
from tasks.search.find import _block, _calibrate, _check, _Sky, make_plan, typical_weight
from tasks.search.hunt import _normalise, condition_block
from tasks.search.tree import TREE_COST

FREQS = np.linspace(1492.906, 1317.125, 16)
DT = 0.1342182159423828
REFERENCE_DMS = np.concatenate([[0.0], 213.7 * 1.25 ** np.arange(15)])
REFERENCE_WIDTHS = (1, 2, 4, 8, 16)
REFERENCE_RATE = 4.4e6
CORES = 2


def cpu_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Least CPU time of a few runs, after one that compiles."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(1)
    cube = rng.standard_normal((25, 16, 301, 301), dtype=np.float32)
    trials = cube.shape[0] * cube.shape[2] * cube.shape[3] * len(REFERENCE_DMS) * len(REFERENCE_WIDTHS)
    search(cube[:, :, :32, :32], FREQS, DT)  # compile: the compiler's memory is not the search's
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    whole = cpu_seconds(lambda: search(cube, FREQS, DT, dms=REFERENCE_DMS, widths=REFERENCE_WIDTHS))
    dense = cpu_seconds(lambda: search(cube, FREQS, DT))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kernel = cpu_seconds(_kernel(cube))
    seconds = cube.shape[0] * DT
    print(f"{'301 x 301 x 25 samples x 16 channels':46s} {'measured':>14s} {'goal':>10s}")
    for name, value, goal in (
        ("kernel, 16 DM x 5 widths [M pixel-trials/s]", trials / kernel * CORES / 1e6, 600),
        ("whole search, same trials [M pixel-trials/s]", trials / whole * CORES / 1e6, 300),
        ("kernel / reference kernel", trials / kernel * CORES / REFERENCE_RATE, 100),
        ("whole search, default grid [x real time]", seconds / dense * CORES, 4),
    ):
        print(f"{name:46s} {value:14.1f} {goal:10d}")
        figure(name, value, bar=goal, **_against_reference(name, value))
    peak = 1 + (after - before) * 1024 / cube.nbytes
    fused, tree = (cpu_seconds(_one_beam(cost), 1) for cost in (math.inf, TREE_COST))
    print(f"{'single beam, 1024 channels, 2001 DMs: tree / fused':46s} {fused / tree:14.1f} {'> 1':>10s}")
    figure("single beam, 1024 channels, 2001 DMs", fused / tree, ratio=fused / tree, peer="without the tree", bar=1)
    print(f"{'peak memory / input chunk':46s} {peak:14.2f} {'<= 3':>10s}")
    figure("peak memory", peak, "input chunks", bar=3, better="less")


def _against_reference(name: str, value: float) -> dict:
    if name != "kernel / reference kernel":
        return {}
    return {"ratio": value, "peer": "NSFRB's kernel, 4.4 M pixel-trials/s on two cores", "same_run": False}


def _kernel(cube: np.ndarray) -> Callable[[], object]:
    sky = _Sky(cube, _check(cube, FREQS, DT, None), None, None)
    plan = make_plan(cube.shape, sky.freqs, DT, 7.0, 5000.0, None, REFERENCE_DMS, REFERENCE_WIDTHS)
    weights, level = _calibrate(sky, stretches(cube.shape[0])[0])
    plan = replace(plan, typical=typical_weight(weights.u))
    block = _block(sky, plan, weights, [level], 0, np.arange(cube.shape[2] * cube.shape[3]))
    first, norm = _normalise(plan, plan.levels[0], block, weights.u)
    y, grid = condition_block(block, weights.u, slice(None)), plan.levels[0]
    return lambda: _cpu.detect(y, grid.delays, grid.steps, norm, first)


def _one_beam(tree_cost: float) -> Callable[[], object]:
    """A whole search of 2048 samples at 1 ms; at an infinite cost the tree is never taken."""
    freqs, dt = np.linspace(1500.0, 1200.0, 1024), 1e-3
    beam = np.random.default_rng(2).standard_normal((2048, 1024, 1, 1), dtype=np.float32)

    def work() -> object:
        tasks.search.tree.TREE_COST = tree_cost
        return search(beam, freqs, dt, dm_max=1000 * dt / band_delay(freqs), width_max=16 * dt)

    return work


if __name__ == "__main__":
    main()
