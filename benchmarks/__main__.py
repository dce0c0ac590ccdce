"""Run benchmarks, hold their ratios against the last committed ones, and write `docs/performance.md`.

    python -m benchmarks [WORKLOAD ...] [--runs 3] [--accept] [--page-only]

Each workload is a file of this folder, run in a process of its own; several runs give medians. A ratio that became more
than a third worse fails, and nothing is written unless ``--accept`` says that it is meant. Bare seconds are never compared.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks._figures import FILE, Figure
from benchmarks._page import machine, render

HERE = Path(__file__).parent
STORED = HERE / "figures.json"
PAGE = HERE.parent / "docs" / "performance.md"
TOLERANCE = 1 / 3
NEEDS_A_GPU = {"gpu"}


def main() -> None:
    """Measure what was asked for; end with 1 if a ratio became worse."""
    found = {path.stem for path in HERE.glob("[a-z]*.py")}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "workloads", nargs="*", help=f"some of: {', '.join(sorted(found))}; by default all that need no GPU"
    )
    parser.add_argument("--runs", type=int, default=1, help="runs of each; the page shows medians")
    parser.add_argument("--accept", action="store_true", help="write the figures although a ratio became worse")
    parser.add_argument("--page-only", action="store_true", help="write the page from the stored figures")
    parser.add_argument("--take", type=Path, help="enter what benchmarks.gpu wrote on another machine")
    given = parser.parse_args()
    if unknown := set(given.workloads) - found:
        parser.error(f"no workload is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(found))}")
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    worse = []
    if given.take:
        stored["gpu"] = json.loads(given.take.read_text(encoding="utf-8"))
    for name in [] if given.page_only or given.take else given.workloads or sorted(found - NEEDS_A_GPU):
        measured = measure(name, given.runs)
        worse += (lost := regressions(name, stored.get(name), measured))
        if not lost or given.accept:
            stored[name] = measured
    STORED.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    PAGE.write_text(render(stored), encoding="utf-8")
    if worse and not given.accept:
        sys.exit("\n".join(["\nworse than the stored figures, which were kept (--accept replaces them):", *worse]))


def measure(name: str, runs: int) -> dict:
    """Run one workload ``runs`` times; its rows with medians, and where and when they were taken."""
    rows: list[list[dict]] = []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(runs):
            path = Path(folder) / f"{run}.jsonl"
            subprocess.run(
                [sys.executable, "-m", f"benchmarks.{name}"],
                check=True,
                cwd=HERE.parent,
                env=os.environ | {FILE: str(path)},
            )
            rows.append(
                [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
            )
    return {"machine": machine(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "runs": runs, "rows": medians(rows)}


def medians(runs: list[list[dict]]) -> list[dict]:
    """The rows of the last run, with the medians of all runs as value and ratio."""
    merged = []
    for row in runs[-1]:
        same = [other for run in runs for other in run if other["name"] == row["name"]]
        ratios = [other["ratio"] for other in same if other["ratio"] is not None]
        middle = {"value": median(other["value"] for other in same), "ratio": median(ratios) if ratios else None}
        merged.append(row | middle)
    return merged


def regressions(name: str, before: dict | None, now: dict) -> list[str]:
    """A sentence for each steady ratio that became worse. A peer measured elsewhere is only compared on that machine."""
    if before is None:
        return []
    old, same_machine, found = {row["name"]: row for row in before["rows"]}, before["machine"] == now["machine"], []
    for row in now["rows"]:
        new, last = row["ratio"], old.get(row["name"], {}).get("ratio")
        if not (new and last and row.get("steady", True) and (row["same_run"] or same_machine)):
            continue
        change = last / new if row["better"] == "more" else new / last
        if change > 1 + TOLERANCE:
            found.append(f"  {name}: {row['name']}: the ratio to {row['peer']} was {last:.3g} and is {new:.3g}")
    gone = [
        row["name"] for row in before["rows"] if row["ratio"] and row["name"] not in {r["name"] for r in now["rows"]}
    ]
    return found + [f"  {name}: {row}: is not measured any more" for row in gone if same_machine]


def stored_figures() -> dict[str, list[Figure]]:
    """The committed figures."""
    return {name: [Figure(**row) for row in part["rows"]] for name, part in json.loads(STORED.read_text()).items()}


if __name__ == "__main__":
    main()
