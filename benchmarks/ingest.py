"""What ingestion costs: a large ENVI image in each interleave, made in blocks, through the whole flow.

    python benchmarks/ingest.py [--gb 1] [--interleave bsq bil bip] [--folder DIR]

Seconds without the cluster's start; MB/s of values; CPU seconds of all workers; peak resident memory of the largest one.
A cube of 6 GB (``--gb 6``) must stay below 1.5 GB per worker.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._figures import figure

N_X, N_BAND = 1500, 250
SHAPES = {"bsq": ("band", "y", "x"), "bil": ("y", "band", "x"), "bip": ("y", "x", "band")}


def make(folder: Path, interleave: str, gb: float) -> tuple[Path, int]:
    """Write a float32 cube of ``gb`` GB plane by plane, and its header."""
    n_y = max(1, int(gb * 1e9 / (4 * N_X * N_BAND)))
    sizes = {"y": n_y, "x": N_X, "band": N_BAND}
    first, *rest = (sizes[d] for d in SHAPES[interleave])
    random, path = np.random.default_rng(0), folder / f"scene_{interleave}.img"
    plane = random.normal(1000, 30, rest).astype("<f4")
    with path.open("wb") as file:
        for i in range(first):
            file.write((plane + np.float32(i % 97)).tobytes())
    header = {"samples": N_X, "lines": n_y, "bands": N_BAND, "data type": 4, "interleave": interleave, "byte order": 0}
    path.with_suffix(".hdr").write_text("ENVI\n" + "".join(f"{k} = {v}\n" for k, v in header.items()))
    return path, path.stat().st_size


def resources(dask_worker=None) -> tuple[float, float]:
    """CPU seconds and peak resident megabytes of the process that runs this."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def measure(path: Path, size: int) -> None:
    from flows._cluster import cluster
    from storage import ingest as layouts
    from storage.parameters import Parameters
    from storage.runs import recorded
    from tasks.ingest import open_source
    from tasks.ingest.steps import copy_cube

    source = open_source(path)
    with recorded("benchmark", Parameters(), deduplicate=False) as run, cluster() as client:
        cube = run.create("cube", layouts.raw_cube(source.header, 256))
        before = client.run(resources)
        start = time.perf_counter()
        survey = copy_cube.fn(source, cube)
        seconds = time.perf_counter() - start
        after = client.run(resources)
        cpu, gb = sum(after[w][0] - before[w][0] for w in after), size / 1e9
        peak = max(mb for _, mb in after.values())
        assert survey.valid_fraction == 1
        name = path.stem.split("_")[1]
        print(
            f"{name:6} {gb:5.1f} {seconds:8.1f} {gb * 1e3 / seconds:6.0f} {cpu:6.1f} {cpu / gb:9.1f} {peak:19.0f}",
            flush=True,
        )
        figure(f"{name} of {gb:.1f} GB", gb * 1e3 / seconds, "MB/s")
        figure(f"{name} of {gb:.1f} GB, CPU time", cpu / gb, "CPU s/GB", better="less")
        figure(f"{name} of {gb:.1f} GB, largest worker", peak / 1e3, "GB", bar=1.5, better="less")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gb", type=float, default=1.0)
    parser.add_argument("--interleave", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--folder", default=None, help="where to make the files; by default the temporary folder")
    args = parser.parse_args()
    print("layout    GB  seconds   MB/s  CPU s  CPU s/GB  peak MB per worker")
    for interleave in args.interleave:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            os.environ["NIGHTLOOM_HOME"] = folder
            os.environ.setdefault("NIGHTLOOM_CLUSTER", "cpu")
            measure(*make(Path(folder), interleave, args.gb))


if __name__ == "__main__":
    main()
