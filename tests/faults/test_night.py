"""Nights in a lab whose every part is killed at random moments: nothing lost, nothing wrong, nothing left running.

The long version kills six kinds of processes through the whole service and prints the figures of docs/reliability.md; the
short one kills three around a run of two stages.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from storage.identity import ROOT
from tests.faults.lab import Lab, dask_lab, lab
from tests.faults.shift import Shift, clean_cubes, content, newest, prefect_running, statuses
from tests.faults.waiting import wait_for

VICTIMS = ("flow", "worker", "Dask worker", "Dask scheduler", "server", "PostgreSQL")


def kill_flow(lab_: Lab) -> bool:
    for process in lab_.flows():
        process.kill()
        return True
    return False


def disturb(shift: Shift, victim: str, chance: random.Random) -> float | None:
    """Kill one part, start it again after a while; seconds until the night's work is seen to go on."""
    parts = shift.lab
    if victim == "flow":
        if not kill_flow(parts):
            return None
    else:
        parts.kill(victim)
    if victim == "Dask scheduler":
        parts.kill("Dask worker")  # it would end by itself, after up to half a minute
    killed = time.time()
    time.sleep(chance.uniform(0, 1))
    if victim != "flow":
        parts.start(victim)
    if victim == "Dask scheduler":
        parts.start("Dask worker")

    def goes_on():
        if shift.look():
            shift.more(2)
        return newest(parts.home / "store") > killed

    wait_for(goes_on, 300)
    return time.time() - killed


def test_three_kills_in_one_night(served_night, undisturbed, server, tmp_path):
    """A Dask worker, PostgreSQL, the flow: each is started again, and the same command ends the work."""
    chance = random.Random(3)
    with dask_lab(tmp_path / "dask") as (address, _scheduler, worker):
        described = {"cluster": address, "delay": 0.04}
        flow = served_night.start(**described)
        for part in (worker, server):
            done = len(served_night.computed())
            wait_for(lambda done=done: len(served_night.computed()) > done + 2, 60)
            part.kill()
            time.sleep(chance.uniform(0, 0.5))
            part.start()
        done = len(served_night.computed())
        wait_for(lambda: len(served_night.computed()) > done, 60)
        flow.kill()
        flow.join()
        assert served_night.run(**described) == 0
    assert served_night.statuses() == ["interrupted", "completed"]
    assert served_night.content() == undisturbed(5)[0]
    assert len(served_night.computed()) <= 25 + 3 * 4  # what was in flight at each kill
    assert served_night.leftovers() == []


@pytest.mark.faults_long
@pytest.mark.timeout(3600)
def test_fifty_kills_over_nightly_runs(home, monkeypatch, capsys):
    seed, kills = 8, int(os.environ.get("NIGHTLOOM_TEST_KILLS", "54"))
    for name in ("NIGHTLOOM_CLUSTER", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "")  # so that what the lab sets is taken back
    (home / "inbox").mkdir()
    chance, took = random.Random(seed), {victim: [] for victim in VICTIMS}
    with lab(home) as parts:
        shift = Shift(parts, home / "inbox")
        shift.more(4)
        victims = [VICTIMS[i % len(VICTIMS)] for i in range(kills)]
        chance.shuffle(victims)
        for victim in victims:
            wait_for(lambda: shift.look() or parts.flows(), 120)
            time.sleep(chance.uniform(0, 2))
            if shift.look():
                shift.more(2)
            while (seconds := disturb(shift, victim, chance)) is None:
                wait_for(lambda: shift.look() or parts.flows(), 120)
            took[victim].append(seconds)
            with capsys.disabled():
                print(
                    f"{sum(map(len, took.values())):3d} {victim:15s} {seconds:6.1f} s  nights {shift.nights} {shift.ends()}"
                )
        shift.work_until_done(600)
        figures = judge(shift, home, took)
        with capsys.disabled():
            print(json.dumps(figures, indent=1))
    assert figures["kills"] >= kills
    assert {k: figures[k] for k in ("missing", "wrong", "stuck", "staging", "stuck_in_prefect")} == {
        "missing": 0, "wrong": 0, "stuck": 0, "staging": 0, "stuck_in_prefect": 0
    }  # fmt: skip


@pytest.mark.faults_long
@pytest.mark.timeout(1800)
def test_a_server_away_for_two_minutes_in_mid_run(home, monkeypatch):
    """The work goes on as far as it can without asking, then waits; the states are reported afterwards."""
    for name in ("NIGHTLOOM_CLUSTER", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "")
    (home / "inbox").mkdir()
    with lab(home) as parts:
        shift = Shift(parts, home / "inbox")
        shift.more(4)
        wait_for(lambda: shift.look() or clean_cubes(), 120)
        parts.kill("server")
        time.sleep(120)
        assert parts.flows()
        parts.start("server")
        wait_for(lambda: not parts.flows(), 400)
        assert set(statuses()) == {"completed"}
        assert shift.finished()  # nothing was set aside because the server was away
        wait_for(lambda: shift.state()["type"] == "COMPLETED", 60)
        assert prefect_running(parts.api) == 0


def judge(shift: Shift, home: Path, took: dict[str, list[float]]) -> dict:
    """The figures: what is missing or wrong against a night that nobody disturbed, what is stuck or left behind."""
    maintain(home)
    disturbed = {name: content(uri) for name, uri in clean_cubes().items()}
    runs = statuses()
    staging = [p for p in home.glob("store/.staging/*/*") if p.is_dir()]
    calm = undisturbed(home)
    deadline = time.monotonic() + 240  # the rule that ends runs without a process waits for their heartbeat
    while (stuck := prefect_running(shift.lab.api)) and time.monotonic() < deadline:
        time.sleep(5)
    missing = sum(
        len(b) for name, files in calm.items() for key, b in files.items() if key not in disturbed.get(name, {})
    )
    wrong = sum(
        int(np.count_nonzero(np.frombuffer(b, "u1") != np.frombuffer(disturbed[name][key], "u1")))
        if len(b) == len(disturbed[name][key])
        else len(b)
        for name, files in calm.items()
        for key, b in files.items()
        if key in disturbed.get(name, {})
    )
    return {
        "kills": sum(map(len, took.values())),
        "by_victim": {v: {"kills": len(s), "median_s": float(np.median(s or [0])), "max_s": max(s or [0])} for v, s in took.items()},
        "nights": shift.nights,
        "ends": shift.ends(),
        "scenes": shift.scenes,
        "bytes": sum(len(b) for files in calm.values() for b in files.values()),
        "missing": missing,
        "wrong": wrong,
        "runs": dict(runs),
        "stuck": runs["running"],
        "staging": len(staging),
        "stuck_in_prefect": stuck,
    }  # fmt: skip


def maintain(home: Path) -> None:
    command(home, "maintenance", "-p", "keep_staging_days=0")


def undisturbed(home: Path) -> dict[str, dict[str, bytes]]:
    """The same inbox, worked through in a home of its own that nobody disturbs."""
    calm = home.parent / "calm"
    mine = {"NIGHTLOOM_HOME": str(calm), "NIGHTLOOM_STORE": str(calm / "store"), "NIGHTLOOM_CLUSTER": "cpu"}
    mine |= {"NIGHTLOOM_DATABASE_URL": f"sqlite:///{calm / 'n.db'}", "NIGHTLOOM_INBOX": str(home / "inbox")}
    command(calm, "nightly", "-p", "only=[denoise]", **mine)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in mine.items():
            patch.setenv(name, value)
        return {name: content(uri) for name, uri in clean_cubes().items()}


def command(home: Path, flow: str, *arguments: str, **environment: str) -> None:
    """`nightloom run FLOW`, with no server."""
    kept = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"} | {"NIGHTLOOM_CLUSTER": "cpu"}
    words = [sys.executable, "-m", "deployments.cli", "run", flow, *arguments]
    done = subprocess.run(
        words, cwd=ROOT, env=kept | environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
