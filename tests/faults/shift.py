"""Whoever looks after the lab through its nights, and what can be seen from there: states, products, signs of life."""

import os
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import select

from storage.database import session
from storage.tables import ProductRow, Run
from tests.faults.lab import Lab
from tests.faults.waiting import wait_for

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
ONLY = {"only": ["denoise"]}


def scene(path: Path, seed: int) -> None:
    """A (y, x, band) cube of three materials in noise."""
    chance = np.random.default_rng(seed)
    weights = chance.random((96, 80, 3)).cumsum(axis=1)
    np.save(path, (weights @ chance.normal(size=(3, 24)) + chance.normal(0, 0.1, (96, 80, 24))).astype("f4"))


@dataclass
class Shift:
    """Whoever looks after the lab: puts scenes into the inbox and presses "run" again until all of them are done."""

    lab: Lab
    inbox: Path
    flow_run: str = ""
    nights: int = 0
    scenes: int = 0
    ended: defaultdict = field(default_factory=lambda: defaultdict(set))

    def more(self, n: int) -> None:
        for _ in range(n):
            scene(self.inbox / f"scene{self.scenes:03d}.npy", self.scenes)
            self.scenes += 1

    def look(self) -> bool:
        """Start a night where none is at work; whether the last one did everything. A server that is away is asked later."""
        with suppress(httpx.HTTPError):
            state = self.state() if self.flow_run else {"type": "NONE"}
            gone = state["type"] in ("RUNNING", "PENDING") and not self._at_work()
            done = state["type"] == "COMPLETED" and self.finished()
            if state["type"] in ENDED or gone:
                self.ended["left behind" if gone else state["type"].lower()].add(self.flow_run)
            if not done and (state["type"] in (*ENDED, "NONE") or gone):
                self._press_run()
            return done
        return False

    def _at_work(self) -> bool:
        """Whether a process does it; one that has only just been asked for may not be there yet."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.lab.flows():
                return True
            if self.state()["type"] in ENDED:
                return True
            time.sleep(0.5)
        return False

    def state(self) -> dict:
        return httpx.get(f"{self.lab.api}/flow_runs/{self.flow_run}", timeout=30).raise_for_status().json()["state"]

    def _press_run(self) -> None:
        found = httpx.get(f"{self.lab.api}/deployments/name/nightly/nightly", timeout=30).raise_for_status().json()
        body = {"parameters": {"params": ONLY}, "state": {"type": "SCHEDULED"}}
        made = httpx.post(f"{self.lab.api}/deployments/{found['id']}/create_flow_run", json=body, timeout=30)
        self.flow_run = made.raise_for_status().json()["id"]
        self.nights += 1

    def ends(self) -> dict[str, int]:
        """How many nights ended in which way."""
        return {how: len(nights) for how, nights in self.ended.items()}

    def finished(self) -> bool:
        """Whether every scene has become a clean cube."""
        return len(clean_cubes()) == self.scenes

    def work_until_done(self, seconds: float) -> None:
        wait_for(self.look, seconds)


def clean_cubes() -> dict[str, str]:
    """URI of the clean cube made from each file."""
    with session() as s:
        source = {run.id: run.params.get("source", "") for run in s.scalars(select(Run))}
        rows = s.scalars(select(ProductRow).where(ProductRow.deleted.is_(None))).all()
        raw = {row.uri: Path(source[row.run_id]).name for row in rows if row.kind == "raw_cube"}
        return {raw[source[row.run_id]]: row.uri for row in rows if row.kind == "clean_cube"}


def statuses() -> Counter:
    """How many runs ended, or did not end, in which way."""
    with session() as s:
        return Counter(s.scalars(select(Run.status)))


def content(uri: str) -> dict[str, bytes]:
    """The bytes of every shard."""
    files = (p for p in Path(uri).rglob("*") if p.is_file() and p.suffix != ".json")
    return {str(p.relative_to(uri)): p.read_bytes() for p in files}


def newest(store: Path) -> float:
    """When a file of the store was last written; the sign of life of a night."""
    times = [0.0]
    for folder, _, names in os.walk(store):
        for name in names:
            with suppress(OSError):
                times.append(os.stat(os.path.join(folder, name)).st_mtime)
    return max(times)


def prefect_running(api: str) -> int:
    wanted = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
    return httpx.post(f"{api}/flow_runs/count", json=wanted, timeout=60).raise_for_status().json()
