"""The rows a benchmark leaves for `docs/performance.md`: what was measured, against what, and what it should reach."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "NIGHTLOOM_FIGURES"
"""Environment variable that names the file rows are added to; without it a benchmark only prints."""


@dataclass(frozen=True)
class Figure:
    """One row.

    name : what was measured, unique within its benchmark
    value, unit : the measurement
    ratio : the measurement in terms of the peer, a number that another machine would find as well
    peer : what the ratio compares with
    same_run : whether the peer was measured beside it; if not, the ratio holds on one kind of machine only
    bar : what the ratio (the value, where there is no ratio) should reach
    better : whether "more" or "less" is better
    steady : whether a busy machine leaves the ratio alone; one of wall seconds is told, but not guarded
    """

    name: str
    value: float
    unit: str = ""
    ratio: float | None = None
    peer: str = ""
    same_run: bool = True
    bar: float | None = None
    better: str = "more"
    steady: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        if self.bar is None:
            return None
        reached = self.value if self.ratio is None else self.ratio
        return reached >= self.bar if self.better == "more" else reached <= self.bar


def figure(name: str, value: float, unit: str = "", **more) -> None:
    """Leave one row (see `Figure`) where `make bench` gathers them."""
    row = Figure(name, float(value), unit, **more)
    if path := os.environ.get(FILE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
