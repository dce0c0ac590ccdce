"""The GPU kernels alone: milliseconds by device events, and what part of the measured copy bandwidth that is.

    python -m benchmarks.gpu [--json gpu.json] [--seconds 20]

Needs a GPU and no more than NumPy, SciPy, CuPy and Numba; under 8 minutes, compilation included. Bytes are the least a
kernel must move (every input once, every output once), operations its additions and multiplications, so the fraction of
the copy bandwidth tells how far it is from a limit that no kernel passes. `make bench TAKE=gpu.json` enters the result.
"""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks._figures import Figure, figure
from benchmarks._gpu_cases import CASES, Case

COPIED = 1 << 28
"""Numbers in the copy that gives the bandwidth: far more than any cache holds."""


def main() -> None:
    """Measure every kernel; print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="longest time to spend on one kernel once it is compiled"
    )
    args = parser.parse_args()
    from tasks.array.namespace import _cupy

    if (cupy := _cupy()) is None:
        sys.exit("no GPU answers here, or CuPy is not installed; run this on a machine with an NVIDIA GPU")
    bandwidth = copy_bandwidth(cupy)
    print(f"{device(cupy)}\ncopy {bandwidth / 1e9:.0f} GB/s\n")
    print(f"{'kernel':42s} {'ms':>9s} {'GB/s':>8s} {'of copy':>8s} {'Gop/s':>9s}")
    rows = [Figure("copy on the device", bandwidth / 1e9, "GB/s")]
    for case in CASES:
        seconds = measure(cupy, case, args.seconds)
        moved, done = case.least_bytes(case.full) / seconds, case.operations(case.full) / seconds
        print(
            f"{case.name:42s} {1e3 * seconds:9.3f} {moved / 1e9:8.1f} {moved / bandwidth:8.1%} {done / 1e9:9.0f}",
            flush=True,
        )
        shape = " x ".join(map(str, case.full))
        rows.append(
            Figure(f"{case.name}, {shape}", 1e3 * seconds, "ms", ratio=moved / bandwidth, peer="copy bandwidth")
        )
        rows.append(Figure(f"{case.name}, operations", done / 1e9, "Gop/s"))
    leave(rows, device(cupy), args.json)


def copy_bandwidth(cupy) -> float:
    """Bytes per second, read and written, of a copy on the device."""
    source = cupy.ones(COPIED, np.float32)
    target = cupy.empty_like(source)
    return 2 * source.nbytes / median_seconds(cupy, lambda: cupy.copyto(target, source), 2.0)


def measure(cupy, case: Case, seconds: float) -> float:
    """Median device seconds of a kernel on data that lies on the device, compiled before."""
    arrays = [cupy.asarray(array) for array in case.make(case.full, np.random.default_rng(0))]
    return median_seconds(cupy, lambda: case.run(*arrays), seconds)


def median_seconds(cupy, work, limit: float, most: int = 30) -> float:
    """Median of repeated runs between two events, after two that compile and warm up."""
    times: list[float] = []
    for number in range(most + 2):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        work()
        end.record()
        end.synchronize()
        if number > 1:
            times.append(cupy.cuda.get_elapsed_time(begin, end) / 1e3)
        if len(times) > 2 and sum(times) > limit:
            break
    return float(np.median(times))


def device(cupy) -> str:
    """The device and what compiled for it, in a line."""
    import numba

    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    name, driver = properties["name"].decode(), cupy.cuda.runtime.driverGetVersion()
    return f"{name}, CUDA driver {driver}, cupy {cupy.__version__}, numba {numba.__version__}, numpy {np.__version__}"


def leave(rows: list[Figure], machine: str, path: Path) -> None:
    """Write the rows as one entry of ``figures.json``, and to whoever gathers figures now."""
    entry = {
        "machine": machine,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "runs": 1,
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        given = asdict(row)
        figure(given.pop("name"), given.pop("value"), given.pop("unit"), **given)


if __name__ == "__main__":
    main()
