"""Dask workers that die: their tiles are done by others, a poisonous one is named, and the bytes stay the same."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from storage.publish import verify
from tests.faults.scenario import Work
from tests.faults.waiting import wait_for

ROOT = Path(__file__).parents[2]


def start(night, **described) -> subprocess.Popen:
    """A flow with a cluster of its own, in a process group of its own."""
    work = asdict(Work(str(night.home), night.database_url, **described))
    command = [sys.executable, "-m", "tests.faults.scenario", json.dumps(work)]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A cluster that outlives the flows, as a lab has one; its workers die and are started again."""
    import dask

    from flows._cluster import DASK

    with (
        dask.config.set(DASK),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            resources={"GPU": 1},
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_a_worker_killed_in_the_middle_of_a_tile(local_night, undisturbed, scheduler):
    assert local_night.run(cluster=scheduler, step="kill_worker_once") == 0
    assert (local_night.home / "killed").exists()
    assert local_night.content() == undisturbed(5)[0]
    assert verify(local_night.uri) == []
    assert local_night.leftovers() == []


@pytest.mark.faults_long
def test_a_tile_that_kills_every_worker_is_named_and_the_others_are_done(local_night, undisturbed, scheduler):
    assert local_night.run(cluster=scheduler, step="kill_worker_always") == 1
    assert local_night.statuses() == ["failed"]
    error = last_error()
    assert "1 of 25 tiles failed for good (1-1)" in error
    assert local_night.run() == 0
    assert local_night.content() == undisturbed(5)[0]
    assert local_night.summaries()[-1]["fill_reused"] == 24


def last_error():
    from storage import query

    return query.run(query.runs("status = 'failed'")[0]["run"])["error"]


def test_a_flow_killed_with_its_cluster(local_night, undisturbed):
    """kill -9 of the driver alone: its workers end by themselves, and the next run needs only the missing tiles."""
    first = start(local_night, cluster="cpu", delay=0.05)
    wait_for(lambda: len(local_night.computed()) > 5, 60)
    children = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    first.wait(30)
    _gone, alive = psutil.wait_procs(children, 30)
    assert not alive
    done = len(local_night.computed())
    assert local_night.run(delay=0.05) == 0
    assert local_night.content() == undisturbed(5)[0]
    assert local_night.statuses() == ["interrupted", "completed"]
    assert local_night.summaries()[0]["survey_reused"] == 25
    assert len(local_night.computed()) <= 25 + 4
    assert done >= 5


def test_a_cancelled_flow_leaves_no_process(local_night):
    flow = start(local_night, cluster="cpu", delay=0.15)
    wait_for(lambda: len(local_night.computed()) > 0, 60)
    children = psutil.Process(flow.pid).children(recursive=True)
    flow.send_signal(signal.SIGTERM)
    flow.wait(60)
    time.sleep(0.1)
    _gone, alive = psutil.wait_procs(children, 10)
    assert not alive
    assert local_night.statuses() == ["cancelled"]
    done = len(local_night.computed())
    time.sleep(0.4)
    assert len(local_night.computed()) == done
