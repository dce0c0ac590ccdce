"""What the processes do that the tests kill: a run of two stages, with a death arranged at a chosen point."""

import faulthandler
import json
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from storage import areas, database, lease, ledger, runs, stores
from storage.identity import Code
from storage.layout import Layout, variable
from storage.parameters import Parameters
from storage.runs import recorded
from storage.summary import RunSummary
from tasks import executors
from tasks.array.tiling import tiles
from tasks.stage import run_stage

EDGE = 8
LONGEST = 200  # [s]; a calm one takes 2, on a machine with ten times more to do than cores 40

POINTS = {
    "lease": (lease, "acquire"),
    "row": (runs.RecordedRun, "open"),
    "made": (areas, "create"),
    "written": (ledger.Ledger, "add"),
    "sealed": (areas.Area, "seal"),
    "released": (areas.Area, "release"),
    "moved": (stores, "move"),
    "committed": (runs.RecordedRun, "_commit_completed"),
    "forgotten": (ledger.Ledger, "forget"),
    "discarded": (areas.Area, "discard"),
    "returned": (lease, "release"),
}
"""Functions of the engine around which a process may die."""


@dataclass(frozen=True)
class Death:
    """Die (as by kill -9) before or after the ``call``-th call of the function at ``point``."""

    point: str
    when: str = "after"
    call: int = 1

    def arrange(self) -> None:
        owner, name = POINTS[self.point]
        original, calls = getattr(owner, name), []

        def deadly(*args, **kwargs):
            calls.append(1)
            if len(calls) == self.call and self.when == "before":
                os._exit(9)
            result = original(*args, **kwargs)
            if len(calls) == self.call:
                os._exit(9)
            return result

        for module in (owner, *(m for m in list(sys.modules.values()) if getattr(m, name, None) is original)):
            setattr(module, name, deadly)


class NightParams(Parameters):
    """Parameters of the run under test."""

    n: int = 5
    delay: float = 0.0
    name: str = "night"


@dataclass
class Work:
    """One process' task, sent to it as plain data."""

    home: str
    database_url: str
    store: str = ""
    n: int = 5
    delay: float = 0.0
    name: str = "night"
    boot_id: str = ""
    death: Death | None = None
    cluster: str | None = None
    force: bool = False
    step: str = "fill"
    patience: str = ""  # how long to wait for a scheduler or workers that are gone; empty: as usual
    clock: float = 0.0  # how wrong this machine's clock is [s]
    environment: dict[str, str] = field(default_factory=dict)

    def enter(self) -> None:
        os.environ["NIGHTLOOM_HOME"] = self.home
        os.environ["NIGHTLOOM_STORE"] = self.store or f"{self.home}/store"
        os.environ["NIGHTLOOM_DATABASE_URL"] = self.database_url
        if self.boot_id:
            os.environ["NIGHTLOOM_BOOT_ID"] = self.boot_id
        os.environ.update(self.environment)
        if self.clock:
            set_clock(self.clock)
        # A process that hangs says where, and ends.
        faulthandler.dump_traceback_later(LONGEST, exit=True, file=sys.__stderr__)
        # The sources may be edited while the tests run; a resumed run must be of the same code.
        runs.code = lambda: Code(None, False, "under test")

    def do(self) -> None:
        """Work; leave the summary in a file of this process."""
        self.enter()
        if self.death:
            self.death.arrange()
        params = NightParams(n=self.n, delay=self.delay, name=self.name, force=self.force)
        if self.cluster:
            from flows._cluster import DASK, cluster

            if self.patience:
                DASK["distributed.comm.timeouts.connect"] = self.patience
                executors.CAPACITY_SECONDS = 1.0
            with cluster(self.cluster):
                summary = night(params, STEPS[self.step])
        else:
            summary = night(params, STEPS[self.step])
        faulthandler.cancel_dump_traceback_later()
        Path(self.home, f"summary-{os.getpid()}.json").write_text(summary.model_dump_json())


def set_clock(seconds: float) -> None:
    """Let every module of this process see a clock that is wrong by ``seconds``."""
    right, seconds_right = database.now, time.time
    for module in [m for m in list(sys.modules.values()) if getattr(m, "now", None) is right]:
        module.now = lambda: right() + timedelta(seconds=seconds)
    time.time = lambda: seconds_right() + seconds


def night(params: NightParams, step: Any) -> RunSummary:
    """Statistics of every tile into a scratch array, then a square that depends on all of them."""
    with recorded("night", params) as run:
        if run.repeated:
            return run.summary
        n = params.n
        square = run.create(
            "square", Layout("square", {"cube": variable(("y", "x"), (n * EDGE - 3, n * EDGE), "f8", (EDGE, EDGE))})
        )
        plan = tiles(square.shape, square.grid)
        sums = run.create("sums", Layout("sums", {"sum": variable(("tile",), (len(plan),), "f8", (1,))}))
        first = run_stage(survey, plan, sums, n, params.delay)
        second = run_stage(step, plan, square, sums, params.delay, name="fill")
        run.report(survey_reused=first.reused, fill_reused=second.reused)
        run.record(total=float(np.sum([r["sum"] for r in second.records])))
        run.save("note.txt", b"the same in every run", kind="report")
        run.publish(square)
    return run.summary


def survey(tile, sums, n, delay):
    """Sum of a tile's coordinates."""
    time.sleep(delay)
    y, x = np.mgrid[tile.core]
    k = tile.index[0] * n + tile.index[1]
    sums.write((slice(k, k + 1),), np.array([float((y * x).sum())]))
    return {}


def fill(tile, square, sums, delay):
    """Noise from a seed of the tile's own, plus what the survey found."""
    time.sleep(delay)
    noise = np.random.default_rng([7, *tile.index]).normal(size=[s.stop - s.start for s in tile.core])
    values = noise + sums.read().sum()
    square.write(tile.core, values)
    note(tile, square)
    return {"sum": float(values.sum())}


def home_of(product) -> Path:
    """The home a product lies in: the workers of a cluster may serve several."""
    return Path(product.uri.split("/store/")[0]) if "://" not in product.uri else Path(os.environ["NIGHTLOOM_HOME"])


def note(tile, product) -> None:
    """Leave a trace of every computed tile, to count them across processes."""
    with (home_of(product) / "computed.log").open("a") as file:
        file.write(json.dumps({"tile": tile.index, "pid": os.getpid()}) + "\n")


def kill_worker_once(tile, square, sums, delay):
    """The first worker that meets tile (1, 1) dies of it."""
    mark = home_of(square) / "killed"
    if tile.index == (1, 1) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    return fill(tile, square, sums, delay)


def kill_worker_always(tile, square, sums, delay):
    """Every worker that meets tile (1, 1) dies of it."""
    if tile.index == (1, 1):
        os.kill(os.getpid(), 9)
    return fill(tile, square, sums, delay)


def poison(tile, square, sums, delay):
    """Tiles (0, 1) and (1, 0) cannot be done."""
    if sum(tile.index) == 1:
        raise ValueError("poison")
    return fill(tile, square, sums, delay)


def wait_for_another(tile, square, sums, delay):
    """From the third row on, tiles wait until the file `joined` says that another worker is there."""
    deadline = time.monotonic() + LONGEST / 2
    while tile.index[0] > 1 and not (home_of(square) / "joined").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return fill(tile, square, sums, delay)


STEPS = {f.__name__: f for f in (fill, kill_worker_once, kill_worker_always, poison, wait_for_another)}


def main() -> None:
    """Do the work described on the command line, as JSON."""
    described = json.loads(sys.argv[1])
    if described.get("death"):
        described["death"] = Death(**described["death"])
    Work(**described).do()


if __name__ == "__main__":
    main()
