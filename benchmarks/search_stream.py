"""A long observation streamed from its store: 175 x 175 pixels x 16 channels of int8, as many hours as asked, through the flow.

    python benchmarks/search_stream.py [--minutes 21] [--folder DIR]

Six hours are 79 GB, more than a disk should give for a benchmark: 64 distinct shards (4 GB) are written and linked under
the names of all others. Prints what `plan` foretold, the seconds, the peak memory of a worker and of the driver, and the most
scratch that lay in the store. ``--minutes 360`` is the whole night; less is a portion of it.
"""

import argparse
import os
import resource
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks._figures import figure

FREQS = np.linspace(1492.906, 1317.125, 16)
DT, EDGE = 0.1342182159423828, 175
DISTINCT = 64
"""Shards of their own noise: a whole stretch of 8192 samples, for noise that repeats within one would not average down."""

NIGHT_SECONDS = 6 * 3600
WIDEST = 160.8


def make(folder: Path, minutes: float) -> str:
    """Publish the cube; return its address."""
    from storage import ingest as layouts
    from storage.database import now
    from storage.parameters import Parameters
    from storage.product import create
    from storage.runs import recorded
    from storage.tables import ProductRow
    from tasks.ingest.header import Header

    shape = (round(minutes * 60 / DT), len(FREQS), EDGE, EDGE)
    header = Header("npy", "radio_cube", shape, np.dtype(np.int8), freqs=FREQS, time=np.arange(shape[0]) * DT)
    cube = create(str(folder / "night.zarr"), layouts.radio_cube(header, 256))
    long = cube.grid[0]
    rng = np.random.default_rng(0)
    for i in range(0, shape[0], long):
        part = (slice(i, min(i + long, shape[0])), *(slice(0, n) for n in shape[1:]))
        if i < DISTINCT * long or i + long > shape[0]:
            noise = rng.standard_normal([s.stop - s.start for s in part], dtype=np.float32)
            cube.write(part, np.clip(np.rint(16 * noise), -127, 127).astype(np.int8))
            cube["valid"].write(part, np.ones(noise.shape, bool))
        else:
            for name in ("cube", "valid"):
                where = Path(cube.uri, name, "c")
                (where / str(i // long) / "0/0").mkdir(parents=True)
                os.link(where / str(i // long % DISTINCT) / "0/0/0", where / str(i // long) / "0/0/0")
    facts = {"kind": "radio_cube", "uri": cube.uri, "digest": "0" * 32, "bytes": int(np.prod(shape)), "attrs": {}}
    with recorded("benchmark", Parameters(), deduplicate=False) as run:
        run.add_rows(ProductRow(id=run.id, run_id=run.id, name="night", published=now(), **facts))
    return cube.uri


def cpu_seconds() -> float:
    """CPU seconds of this process and of all workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


class Watch(threading.Thread):
    """Looks, every second, at the scratch in the store and at the memory of this process and its workers."""

    def __init__(self, store: Path):
        super().__init__(daemon=True)
        self.store, self.ended = store, threading.Event()
        self.scratch, self.worker, self.driver = 0, 0, 0

    def run(self) -> None:
        """Look until it has ended."""
        import psutil

        while not self.ended.wait(1.0):
            files = (os.path.join(d, f) for d, _, names in os.walk(self.store) for f in names)
            self.scratch = max(self.scratch, sum(os.path.getsize(f) for f in files if os.path.exists(f)))
            me = psutil.Process()
            self.driver = max(self.driver, me.memory_info().rss)
            for child in me.children(recursive=True):
                try:
                    self.worker = max(self.worker, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue


def main() -> None:
    """Make, plan, search, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=21.0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        os.environ["NIGHTLOOM_HOME"] = folder
        os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
        measure(Path(folder), given.minutes)


def measure(folder: Path, minutes: float) -> None:
    """Search ``minutes`` of the night."""
    from deployments.running import plan
    from flows._cluster import expected_workers
    from flows.search import SearchParams, search
    from storage import query
    from storage.settings import settings

    params = SearchParams(source=make(folder, minutes), width_max=WIDEST)
    plan("search", params)  # compiles
    foretold = plan("search", params)
    watch = Watch(Path(settings().store))
    watch.start()
    start, cpu = time.perf_counter(), cpu_seconds()
    summary = search(params)
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    watch.ended.set()
    stages = {s["name"]: s for s in query.run(summary.run)["stages"]}
    print(f"{minutes:g} minutes, {foretold['bytes'] / 1e9:.2f} GB, {foretold['tiles']} tiles of one stage")
    print(f"seconds: {seconds:.0f}, foretold {foretold['expected_seconds']:.0f} ({foretold['note']})")
    quiet = cpu / expected_workers()
    print(
        f"CPU seconds {cpu:.0f}: {quiet:.0f} s where nothing else runs, {quiet / foretold['expected_seconds']:.2f} of it"
    )
    print(f"times real time: {60 * minutes / seconds:.1f}")
    for name, s in stages.items():
        print(f"  {name:16s} {s['seconds']:8.1f} s, {s['busy_seconds']:8.1f} s of workers")
    print(f"a whole night at this rate: {seconds * NIGHT_SECONDS / (60 * minutes) / 3600:.2f} h")
    print(f"largest worker {watch.worker / 1e9:.2f} GB (foretold {foretold['memory_per_worker_bytes'] / 1e9:.2f})")
    print(f"driver {watch.driver / 1e9:.2f} GB")
    print(f"most scratch {watch.scratch / 1e9:.3f} GB")
    figure("streamed search, CPU / foretold time", quiet / foretold["expected_seconds"], bar=2, better="less")
    figure("streamed search, x real time", 60 * minutes / seconds, bar=1)
    figure("streamed search, driver", watch.driver / 1e9, "GB", bar=1, better="less")
    figure("streamed search, largest worker", watch.worker / 1e9, "GB", bar=2, better="less")


if __name__ == "__main__":
    main()
