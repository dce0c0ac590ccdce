"""The page of figures: generated, complete, and guarded by ratios."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import PAGE, STORED, medians, regressions
from benchmarks._figures import FILE, Figure, figure
from benchmarks._page import render

ROOT = Path(__file__).parents[1]


def part(ratio, *, better="more", same_run=True, machine="a"):
    row = {"name": "reads", "ratio": ratio, "peer": "mmap", "better": better, "same_run": same_run}
    return {"machine": machine, "rows": [row]}


def test_the_page_is_what_the_figures_say():
    assert PAGE.read_text(encoding="utf-8") == render(json.loads(STORED.read_text(encoding="utf-8")))


def test_every_benchmark_leaves_figures():
    for path in (ROOT / "benchmarks").glob("[a-z]*.py"):
        assert "figure(" in path.read_text(encoding="utf-8"), (
            f"{path} prints only; let it call benchmarks._figures.figure"
        )


@pytest.mark.parametrize(
    ("before", "now", "fails"),
    [
        (part(1.0), part(0.8), False),
        (part(1.0), part(0.7), True),
        (part(1.0), part(5.0), False),
        (part(1.0, better="less"), part(1.5, better="less"), True),
        (part(1.0, same_run=False), part(0.1, same_run=False), True),
        (part(1.0, same_run=False), part(0.1, same_run=False, machine="b"), False),
        (part(1.0), part(0.1, machine="b"), True),
        (part(1.0), {"machine": "a", "rows": []}, True),
        (None, part(0.1), False),
        (part(1.0), {"machine": "a", "rows": [part(0.1)["rows"][0] | {"steady": False}]}, False),
    ],
)
def test_a_ratio_that_became_a_third_worse_is_told(before, now, fails):
    assert bool(regressions("dataset", before, now)) is fails


def test_rows_are_gathered_and_their_medians_taken(tmp_path, monkeypatch):
    monkeypatch.setenv(FILE, str(tmp_path / "rows"))
    runs = []
    for value in (1.0, 5.0, 2.0):
        figure("reads", value, "MB/s", ratio=value / 2, peer="mmap")
        lines = (tmp_path / "rows").read_text(encoding="utf-8").splitlines()
        runs.append([json.loads(lines[-1])])
    (row,) = medians(runs)
    assert Figure(**row) == Figure("reads", 2.0, "MB/s", ratio=1.0, peer="mmap")


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Figure("a", 1.0), None),
        (Figure("a", 3.0, bar=2.0), True),
        (Figure("a", 3.0, bar=2.0, better="less"), False),
        (Figure("a", 3.0, ratio=1.0, bar=2.0), False),
    ],
)
def test_a_bar_is_held_against_the_ratio_where_there_is_one(row, met):
    assert row.met is met
