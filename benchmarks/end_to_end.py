"""A cube from store to store through the denoising flow, against its kernels alone and its reading and writing alone.

    python -m benchmarks.end_to_end [--gb 6.4] [--method hyres] [--folder DIR]

The bound is the slower of the two halves: the kernels on data in memory, and the same number of workers that read the
noisy cube and publish one of its size. The flow also runs on one worker (how it scales), and with one tile a worker
instead of two (what overlap brings). Wall seconds without the cluster's start; only their ratios mean anything.
"""

import argparse
import os
import shutil
import tempfile
import time

import numpy as np
from prefect import Task

from benchmarks._figures import figure
from tasks.denoise import steps
from tasks.denoise.again import steps as again
from tasks.denoise.front import steps as front

N_X, N_BAND, EDGE, RANK = 1024, 192, 512, 6


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gb", type=float, default=6.4)
    parser.add_argument("--method", default="hyres")
    parser.add_argument("--folder", default=None, help="where to put the home; by default the temporary folder")
    args = parser.parse_args()
    home = tempfile.mkdtemp(dir=args.folder)
    os.environ["NIGHTLOOM_HOME"] = home
    os.environ["NIGHTLOOM_CLUSTER"] = "cpu"
    try:
        compare(args.gb, args.method)
    finally:
        shutil.rmtree(home)


def compare(gb: float, method: str) -> None:
    from flows import _cluster

    n_y = max(1, round(gb * 1e9 / (4 * N_X * N_BAND) / EDGE)) * EDGE
    gb = 4 * n_y * N_X * N_BAND / 1e9
    workers = _cluster.cores()
    source = publish(n_y)
    timed(1, 1, lambda: run(publish(EDGE), method))  # compiles what the tiles will call
    kernel = on_a_worker(kernels, method) * (n_y * N_X / EDGE**2) / workers
    store, _ = timed(workers, _cluster.DEPTH, lambda: copy(source))
    whole, waited = timed(workers, _cluster.DEPTH, lambda: run(source, method))
    alone, alone_waited = timed(workers, 1, lambda: run(source, method))
    one, _ = timed(1, _cluster.DEPTH, lambda: run(source, method))
    print(f"{gb:.2f} GB, {method}, {workers} workers: kernels alone {kernel:.1f} s, store alone {store:.1f} s")
    print(f"  whole {whole:.1f} s, {max(kernel, store) / whole:.0%} of the slower half, device waited {waited:.0%}")
    print(f"  one tile a worker {alone:.1f} s, device waited {alone_waited:.0%}; one worker {one:.1f} s")
    wall = {"steady": False}
    bound = wall | {
        "ratio": max(kernel, store) / whole,
        "peer": "the slower of kernels alone and store alone",
        "bar": 0.7,
    }
    figure(f"{method} of {gb:.1f} GB, kernels alone", kernel, "s", **wall)
    figure(f"{gb:.1f} GB read, written and published alone", store, "s", **wall)
    figure(f"{method} of {gb:.1f} GB, store to store", gb * 1e3 / whole, "MB/s", **bound)
    figure(
        f"{method} of {gb:.1f} GB, two tiles a worker",
        whole,
        "s",
        ratio=alone / whole,
        peer="one tile a worker",
        **wall,
    )
    figure(f"{method} of {gb:.1f} GB, {workers} workers", whole, "s", ratio=one / whole, peer="one worker", **wall)
    figure(f"{method} of {gb:.1f} GB, device waited", 100 * waited, "%", better="less")


def scene(rows: int, seed: int) -> np.ndarray:
    """Some lines of a scene of few substances under white noise."""
    rng = np.random.default_rng(seed)
    spectra = np.random.default_rng(0).random((RANK, N_BAND), dtype=np.float32)
    shares = rng.random((rows // 8, N_X // 8, RANK), dtype=np.float32).repeat(8, 0).repeat(8, 1)
    return shares @ spectra + np.float32(0.05) * rng.standard_normal((rows, N_X, N_BAND), dtype=np.float32)


def noisy_cube(shape):
    from storage.layout import Coordinate, Layout, variable

    cube = variable(("y", "x", "band"), shape, "float32", (EDGE, EDGE, N_BAND), units="1")
    return Layout("raw_cube", {"cube": cube}, {"band": Coordinate(("band",), np.arange(N_BAND), {"units": "1"})})


def publish(n_y: int) -> str:
    """A raw cube in the store; its address."""
    from storage.parameters import Parameters
    from storage.runs import recorded

    with recorded("raw_cube", Parameters(), deduplicate=False) as run:
        product = run.create("raw_cube", noisy_cube((n_y, N_X, N_BAND)))
        for start in range(0, n_y, EDGE):
            block = scene(EDGE, start)
            for left in range(0, N_X, EDGE):
                core = (slice(start, start + EDGE), slice(left, left + EDGE), slice(0, N_BAND))
                product.write(core, block[:, left : left + EDGE])
        run.publish(product)
    return run.summary.products[0].uri


def on_a_worker(function, *args):
    """What ``function`` returns in the environment that tiles have."""
    from distributed import default_client

    found: list = []
    timed(1, 1, lambda: found.append(default_client().submit(function, *args).result()))
    return found[0]


def kernels(method: str) -> float:
    """CPU seconds of the method on one tile in memory."""
    from threadpoolctl import threadpool_limits

    from tasks.denoise import denoise

    cube = scene(EDGE, 1)[:, :EDGE]
    with threadpool_limits(1):
        denoise(cube[:64, :64], method)
        start = time.process_time()
        denoise(cube, method)
        return time.process_time() - start


def copy(source: str) -> None:
    """Read every tile and write it again, as durably as the flow does."""
    from storage.parameters import Parameters
    from storage.product import Product
    from storage.runs import recorded
    from tasks.array.tiling import tiles
    from tasks.stage import run_stage

    cube = Product(source)
    with recorded("benchmark", Parameters(), deduplicate=False) as run:
        target = run.create("copy", noisy_cube(cube.shape))
        run_stage(copy_tile, tiles(cube.shape, target.grid), cube, target)
        run.publish(target)


def copy_tile(tile, cube, target):
    target.write(tile.core, cube.read(tile.core))
    return 0


def run(source: str, method: str) -> None:
    """The denoising flow, without Prefect around it."""
    import flows.denoise

    for module in (steps, again, front):
        for name, step in list(vars(module).items()):
            if isinstance(step, Task):
                setattr(module, name, step.fn)  # no task run for each, hence no server
    flows.denoise.denoise.fn(flows.denoise.DenoiseParams(source=source, method=method, tile=EDGE, force=True))


def timed(workers: int, depth: int, work) -> tuple[float, float]:
    """Wall seconds of ``work`` on a warm cluster, and the part of the stages' time in which devices waited."""
    from flows import _cluster
    from storage import query

    kept = _cluster.cores, _cluster.DEPTH
    _cluster.cores, _cluster.DEPTH = (lambda: workers), depth
    try:
        with _cluster.cluster() as client:
            client.run(warm)
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
    finally:
        _cluster.cores, _cluster.DEPTH = kept
    stages = [s for s in query.run(query.runs()[0]["run"])["stages"] if s["waited"] is not None]
    whole = sum(s["seconds"] for s in stages)
    return seconds, sum(s["waited"] * s["seconds"] for s in stages) / whole if whole else 0.0


def warm() -> None:
    """Compile, or load, what the tiles will call."""
    from tasks.denoise import denoise

    denoise(scene(64, 2)[:, :64], "hyres")


if __name__ == "__main__":
    main()
