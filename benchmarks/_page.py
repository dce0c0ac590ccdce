"""`docs/performance.md`, written from the stored figures: nobody types a number there."""

import ast
import importlib.metadata
import os
import platform
from pathlib import Path

from benchmarks._figures import Figure

HEAD = """# Performance

*Written by `make bench` from `benchmarks/figures.json`; do not edit. One workload: `make bench ONLY=search`. Medians of several runs:
`make bench RUNS=3`.*

Each workload is measured against what people use for it, or against what the machine itself can do, on the same data in the same run where that
is possible. **Ratios are what carries over to another machine**; seconds and rates are of the machine named above each table. "recorded" marks a
peer that cannot be installed beside Nightloom: its figure was measured once, on a machine of this kind, and stands in the benchmark with its source.
`make bench` fails when a ratio has become more than a third worse than the one stored here; it never compares bare seconds.
"""
NO_GPU = """
## On a GPU

**No figure here was measured on a GPU, and none is claimed.** The CUDA twins are proven to give the CPU's answers in Numba's simulator and are
compiled for sm_80 and sm_90 by `make test`; how fast they are is not known until somebody runs `python -m benchmarks.gpu` on a machine that
has one (under 8 minutes; NumPy, SciPy, CuPy and Numba are all it needs) and commits what it finds with `make bench TAKE=gpu.json`.
"""

SCALE = """
## Beyond one machine

What a hundred GPUs and a petabyte would take, and what gives way first: [scale.md](scale.md).
"""


def render(stored: dict[str, dict]) -> str:
    """The whole page."""
    parts = [_section(name, stored[name]) for name in sorted(stored)]
    return HEAD + "".join(parts) + ("" if "gpu" in stored else NO_GPU) + SCALE


def machine() -> str:
    """This machine and what computes on it, in a line."""
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "numba", "zarr"))
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}, Python {platform.python_version()}, {versions}"


def _section(name: str, part: dict) -> str:
    rows = [Figure(**row) for row in part["rows"]]
    said = (ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text())) or name).splitlines()[0]
    times = "one run" if part["runs"] == 1 else f"medians of {part['runs']} runs"
    head = f"\n## {name.capitalize()}\n\n{said}\n\n*{part['machine']}; {part['date']}; {times}.*\n\n"
    table = ["| figure | value | ratio | against | bar | met |", "|---|---|---|---|---|---|"]
    return head + "\n".join([*table, *map(_row, rows)]) + "\n"


def _row(row: Figure) -> str:
    ratio = "" if row.ratio is None else f"{_short(row.ratio)}×"
    peer = row.peer if row.same_run or not row.peer else f"{row.peer} (recorded)"
    bar = "" if row.bar is None else f"{'≥' if row.better == 'more' else '≤'} {_short(row.bar)}"
    met = {None: "", True: "yes", False: "**no**"}[row.met]
    return f"| {row.name} | {_short(row.value)} {row.unit} | {ratio} | {peer} | {bar} | {met} |"


def _short(number: float) -> str:
    """Three digits that count, without powers of ten."""
    if number == 0 or abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}"
