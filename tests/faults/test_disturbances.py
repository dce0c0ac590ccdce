"""Disturbances of a night that kill no process: the disk, the database's server, the scheduler, the clock.

After each, the same command ends the work, and the bytes are those of a calm night.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from storage.publish import verify
from tests.faults.lab import dask_lab
from tests.faults.scenario import Death
from tests.faults.waiting import wait_for


def again(night, undisturbed, expected, **described):
    """The same command once more, to the end."""
    assert night.run(**described) == 0
    settled(night, undisturbed, expected)


def settled(night, undisturbed, expected):
    assert night.statuses() == expected
    assert night.content() == undisturbed(5)[0]
    assert verify(night.uri) == []
    assert night.leftovers() == []


def mount(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True)


@pytest.fixture
def small_disk(local_night):
    """A file system of its own under the store, with room for about half of the run."""
    store = local_night.home / "store"
    store.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("this machine has no mount command to make a small disk with")
    made = mount("-t", "tmpfs", "-o", "size=200k", "tmpfs", str(store))
    if made.returncode:
        pytest.skip(f"a small disk needs the right to mount one ({made.stderr.strip()}); run this as root")
    yield store
    subprocess.run(["umount", "--lazy", str(store)], check=True)


def change(disk: Path, options: str) -> None:
    """Mount again with other options; refused for the moments in which a file is open."""
    wait_for(lambda: mount("-o", f"remount,{options}", str(disk)).returncode == 0)


def test_a_disk_that_fills_up_and_is_given_room(local_night, undisturbed, small_disk):
    assert local_night.run() == 1
    assert local_night.statuses() == ["failed"]
    assert "No space left on device; free space" in error_of(local_night)
    done = len(local_night.computed())
    assert 0 < done < 25
    change(small_disk, "size=64m")
    again(local_night, undisturbed, ["failed", "completed"])
    assert len(local_night.computed()) == 25


def test_a_store_that_becomes_read_only_and_is_writable_again(local_night, undisturbed, small_disk):
    change(small_disk, "size=64m")
    process = local_night.start(delay=0.03)
    wait_for(lambda: len(local_night.computed()) > 3)
    change(small_disk, "ro")
    process.join(60)
    assert process.exitcode == 1
    assert local_night.statuses() == ["failed"]
    assert "Read-only file system" in error_of(local_night)
    change(small_disk, "rw")
    again(local_night, undisturbed, ["failed", "completed"], delay=0.03)
    assert len(local_night.computed()) <= 26


def error_of(night) -> str:
    from storage import query

    return query.run(query.runs("status = 'failed'")[0]["run"])["error"]


def test_a_database_server_that_is_restarted_in_mid_run(served_night, undisturbed, server):
    process = served_night.start(delay=0.05)
    wait_for(lambda: len(served_night.computed()) > 3)
    server.control("stop", "-m", "immediate")  # as a power cut would
    time.sleep(1.5)
    server.control("start")
    process.join(60)
    assert process.exitcode == 0
    settled(served_night, undisturbed, ["completed"])
    assert len(served_night.computed()) == 25


def test_connections_that_are_cut_again_and_again(served_night, undisturbed, server):
    import psycopg

    process = served_night.start(delay=0.03)
    with psycopg.connect(server.url, autocommit=True) as connection:
        while process.is_alive():
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid()"
            )
            process.join(0.3)
    assert process.exitcode == 0
    settled(served_night, undisturbed, ["completed"])
    assert len(served_night.computed()) == 25


def test_a_driver_killed_while_the_database_is_away(served_night, undisturbed, server):
    process = served_night.start(delay=0.03)
    wait_for(lambda: len(served_night.computed()) > 3)
    server.control("stop", "-m", "immediate")
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    server.control("start")
    again(served_night, undisturbed, ["interrupted", "completed"], delay=0.03)
    assert len(served_night.computed()) <= 26


def test_a_scheduler_killed_in_mid_run(local_night, undisturbed, tmp_path):
    with dask_lab(tmp_path / "dask") as (address, scheduler, _worker):
        process = local_night.start(cluster=address, delay=0.05, patience="6s")
        wait_for(lambda: len(local_night.computed()) > 3, 60)
        scheduler.kill()
        process.join(60)
        assert process.exitcode == 1
    assert local_night.statuses() == ["failed"]
    assert "the Dask scheduler was lost" in error_of(local_night)
    done = len(local_night.computed())
    again(local_night, undisturbed, ["failed", "completed"], delay=0.05)  # on this machine alone
    assert done > 3
    assert len(local_night.computed()) <= 25 + 4


def test_a_scheduler_replaced_in_mid_run(local_night, undisturbed, tmp_path):
    with dask_lab(tmp_path / "dask") as (address, scheduler, worker):
        process = local_night.start(cluster=address, delay=0.05)
        wait_for(lambda: len(local_night.computed()) > 3, 60)
        scheduler.kill()
        scheduler.start()
        wait_for(lambda: not worker.alive, 60)
        worker.start()
        process.join(90)
        assert process.exitcode == 0
    settled(local_night, undisturbed, ["completed"])


def test_a_scheduler_replaced_by_one_without_workers(local_night, undisturbed, tmp_path):
    """Workers end with their scheduler; the new one keeps the tiles for ever, so the run says what is missing."""
    with dask_lab(tmp_path / "dask") as (address, scheduler, worker):
        process = local_night.start(cluster=address, delay=0.05, patience="3s")
        wait_for(lambda: len(local_night.computed()) > 3, 60)
        scheduler.kill()
        scheduler.start()
        process.join(60)
        assert process.exitcode == 1
        assert local_night.statuses() == ["failed"]
        assert "the Dask cluster has had no worker for" in error_of(local_night)
        assert not worker.alive
        worker.start()
        again(local_night, undisturbed, ["failed", "completed"], cluster=address, delay=0.05)
    assert len(local_night.computed()) <= 25 + 4


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.faults_long)])
def test_a_database_that_someone_holds_locked(local_night, undisturbed, seconds):
    """SQLite's own patience is 10 s: beyond it every query is asked again."""
    process = local_night.start(delay=0.03)
    wait_for(lambda: len(local_night.computed()) > 3)
    with closing(sqlite3.connect(local_night.home / "nightloom.db", timeout=30, isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        time.sleep(seconds)
        assert process.is_alive()
        holder.execute("commit")
    process.join(60)
    assert process.exitcode == 0
    settled(local_night, undisturbed, ["completed"])
    assert len(local_night.computed()) == 25


def test_a_clock_set_back_between_a_death_and_the_next_try(local_night, undisturbed):
    assert local_night.run(death=Death("written", call=25 + 4)) == 9
    assert local_night.run(clock=-7200.0) == 0
    assert sorted(local_night.statuses()) == ["completed", "interrupted"]
    assert local_night.content() == undisturbed(5)[0]
    assert len(local_night.computed()) == 25
    assert local_night.run() == 0  # the clock is right again: the work is still known as done
    assert len(local_night.computed()) == 25
    assert local_night.leftovers() == []
