"""The night shift, run as a person runs it: a bad file stops nothing, a known file costs nothing, two nights share the work."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import pytest

from flows import _prefect_runs, nightly

NIGHTLOOM = Path(sys.executable).parent / "nightloom"


@pytest.fixture
def night(tmp_path):
    """Start `nightloom run nightly --json`; returns the process."""
    home = tmp_path / "home"
    (home / "inbox").mkdir(parents=True)

    def start(*arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTLOOM_", "PREFECT_"))}
        environment |= {"NIGHTLOOM_HOME": str(home), "NIGHTLOOM_CLUSTER": "cpu"}
        command = [NIGHTLOOM, "run", "nightly", "--json", "-p", "only=[ingest]", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    start.inbox = home / "inbox"
    return start


def result(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


def scene(path, seed=0, shape=(20, 15, 8)):
    np.save(path, np.random.default_rng(seed).normal(100, 5, shape).astype("f4"))


def test_bad_files_are_quarantined_and_good_ones_ingested_once(night):
    scene(night.inbox / "good scene ü.npy")
    (night.inbox / "empty.npy").touch()
    (night.inbox / "notes.txt").write_text("nothing to ingest")
    np.save(night.inbox / "complex.npy", np.ones((4, 4, 4), complex))
    np.save(night.inbox / "flat.npy", np.ones((4, 4)))
    (night.inbox / "cup.stl").write_bytes(b"a mesh, for a flow that is not asked for: it is left where it is")

    first = result(night())

    assert first["status"] == "completed"
    assert [p["kind"] for p in first["products"] if p["kind"] != "report"] == ["raw_cube"]
    refused = {Path(q["path"]).name: q["reason"] for q in first["quarantined"]}
    assert set(refused) == {"empty.npy", "notes.txt", "complex.npy", "flat.npy"}
    assert all(len(reason) > 20 for reason in refused.values())

    again = result(night())

    assert again["run"] != first["run"]
    assert [p["uri"] for p in again["products"] if p["kind"] == "raw_cube"] == [
        p["uri"] for p in first["products"] if p["kind"] == "raw_cube"
    ]


def test_two_nights_at_once_process_every_file_once(night, tmp_path):
    for seed in range(3):
        scene(night.inbox / f"scene{seed}.npy", seed)

    nights = [night(), night()]
    summaries = [result(process) for process in nights]

    uris = [{p["uri"] for p in s["products"] if p["kind"] == "raw_cube"} for s in summaries]
    assert uris[0] == uris[1]
    assert len(uris[0]) == 3
    environment = os.environ | {"NIGHTLOOM_HOME": str(tmp_path / "home")}
    command = [NIGHTLOOM, "runs", "ls", "--json", "--where", "flow = 'ingest' and status = 'completed'"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout)
    assert len(listed) == 3


def test_a_request_to_end_behind_an_error_ends_the_night():
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ConnectionError("the server went first") from None
    except ConnectionError as error:
        with pytest.raises(KeyboardInterrupt):
            nightly._raise_if_cancelled(error)
    nightly._raise_if_cancelled(ValueError("a bad file"))


def test_a_server_that_is_away_is_waited_for(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setattr(_prefect_runs, "ASK_SECONDS", 0.0)
    away = iter([httpx.ConnectError("away"), httpx.ReadError("cut"), None])

    def start():
        if error := next(away):
            raise error
        return "done"

    assert _prefect_runs.patiently(start) == "done"


def test_without_a_server_nothing_is_waited_for(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def start():
        raise httpx.ConnectError("away")

    with pytest.raises(httpx.ConnectError):
        _prefect_runs.patiently(start)


def test_missed_nights_are_made_up_for_day_by_day(night):
    for name, day in (("first", "2026-03-01"), ("second", "2026-03-02"), ("third", "2026-03-04")):
        scene(night.inbox / f"{name}.npy", seed=len(name))
        noon = datetime.fromisoformat(f"{day}T12:00+00:00").timestamp()
        os.utime(night.inbox / f"{name}.npy", (noon, noon))
    rows = json.loads(backfill(night, "2026-03-02", "2026-03-03").stdout.splitlines()[-1])
    assert [row["day"] for row in rows] == ["2026-03-02", "2026-03-03"]
    assert [row["runs"] for row in rows] == [1, 0] and {row["status"] for row in rows} == {"completed"}
    assert "give the earlier day first" in backfill(night, "2026-03-02", "2026-03-01").stderr


def backfill(night, *days):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTLOOM_", "PREFECT_"))}
    environment |= {"NIGHTLOOM_HOME": str(night.inbox.parent), "NIGHTLOOM_CLUSTER": "cpu"}
    command = [NIGHTLOOM, "backfill", *days, "--json", "-p", "only=[ingest]"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
