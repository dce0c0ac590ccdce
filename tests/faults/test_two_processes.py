"""Two processes at once, on one machine or as two: each piece of work is done by one of them, and both know the result."""

import os
import signal
import time
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from storage import database, lease
from storage.database import now, session
from storage.errors import DatabaseBusyError
from storage.tables import Lease, Run
from tests.faults.waiting import wait_for


def finish(*processes):
    for process in processes:
        process.join(120)
    assert [p.exitcode for p in processes] == [0] * len(processes)


def test_the_same_work_started_three_times_is_done_once(night, undisturbed):
    finish(*(night.start(delay=0.01) for _ in range(3)))
    assert len({s["run"] for s in night.summaries()}) == 1
    assert night.statuses() == ["completed"]
    assert len(night.computed()) == 25
    assert night.content() == undisturbed(5)[0]
    assert night.leftovers() == []


def test_other_work_goes_on_side_by_side(night):
    finish(*(night.start(name=name) for name in "abcd"))
    assert night.statuses() == ["completed"] * 4
    assert len(night.computed()) == 100
    assert night.leftovers() == []


def test_two_machines_share_one_database_and_one_store(night, undisturbed):
    finish(*(night.start(delay=0.01, boot_id=f"machine {i}") for i in range(2)))
    assert night.statuses() == ["completed"]
    assert len(night.computed()) == 25
    assert night.content() == undisturbed(5)[0]


def test_a_waiting_process_takes_over_when_the_other_dies(night, undisturbed):
    first = night.start(delay=0.03)
    wait_for(lambda: len(night.computed()) > 3)
    second = night.start(delay=0.03)
    time.sleep(0.3)
    os.kill(first.pid, signal.SIGKILL)
    finish(second)
    assert night.statuses() == ["interrupted", "completed"]
    assert len(night.computed()) <= 26
    assert night.content() == undisturbed(5)[0]


def test_another_machine_waits_until_the_dead_one_s_time_is_over(night, undisturbed):
    first = night.start(delay=0.03, boot_id="first")
    wait_for(lambda: len(night.computed()) > 3)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    second = night.start(delay=0.03, boot_id="second")
    time.sleep(1.0)
    assert night.statuses() == ["running"]
    with session() as s:
        s.execute(update(Lease).values(expires=now() - timedelta(seconds=1)))
    finish(second)
    assert night.statuses() == ["interrupted", "completed"]
    assert len(night.computed()) <= 26
    assert night.content() == undisturbed(5)[0]


def fall_asleep(pid):
    """Stop a process and let its lease run out; not while it writes to SQLite, whose lock would then be held for everyone."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            with session() as s:
                s.execute(update(Lease).values(expires=now() - timedelta(seconds=1)))
            return
        except DatabaseBusyError:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)


def test_a_machine_that_slept_does_not_publish_over_the_one_that_took_over(night, undisturbed):
    """SIGSTOP is a suspended laptop: it wakes up after another machine has finished its work."""
    first = night.start(delay=0.03, boot_id="first")
    wait_for(lambda: len(night.computed()) > 3)
    fall_asleep(first.pid)
    second = night.start(delay=0.03, boot_id="second")
    finish(second)
    before = night.content()
    os.kill(first.pid, signal.SIGCONT)
    first.join(60)
    assert first.exitcode == 1
    assert night.statuses() == ["interrupted", "completed"]
    assert night.content() == before == undisturbed(5)[0]
    assert [s["status"] for s in night.summaries()] == ["completed"]


def test_processes_that_meet_an_empty_database_make_its_tables_once(night, monkeypatch):
    """Both migrate: one waits for the other."""
    if night.database_url.startswith("sqlite"):
        night.database_url = f"sqlite:///{night.home / 'new.db'}"
    else:
        import psycopg

        with psycopg.connect(night.database_url, autocommit=True) as connection:
            connection.execute("drop schema public cascade")
            connection.execute("create schema public")
    finish(*(night.start(name=name, n=1) for name in "abc"))
    monkeypatch.setenv("NIGHTLOOM_DATABASE_URL", night.database_url)
    assert night.statuses() == ["completed"] * 3
    assert database.newest_version() <= database.schema_version(database.connect(night.database_url))


def test_a_second_run_answers_at_once_and_writes_nothing(night):
    assert night.run() == 0
    files = {p: p.stat().st_mtime_ns for p in (night.home / "store").rglob("*")}
    start = time.perf_counter()
    assert night.run() == 0
    assert time.perf_counter() - start < 2
    assert {p: p.stat().st_mtime_ns for p in (night.home / "store").rglob("*")} == files
    first, second = night.summaries()
    assert first == second
    with session() as s:
        assert len(s.scalars(select(Run)).all()) == 1


@pytest.mark.faults_long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(5))
def test_many_processes_many_deaths_one_result(night, undisturbed, seed):
    import random

    chance = random.Random(seed)
    running = []
    for _ in range(12):
        running.append(night.start(n=8, delay=0.02, boot_id=f"machine {len(running) % 2}"))
        time.sleep(0.3 * chance.random())
        victim = chance.choice(running)
        if victim.is_alive() and chance.random() < 0.7:
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
            with session() as s:  # the minute that another machine would wait
                s.execute(update(Lease).values(expires=now() - timedelta(seconds=1)))
    finish(night.start(n=8, delay=0.02))
    for process in running:
        process.join(120)
    assert night.statuses().count("completed") == 1
    assert night.content() == undisturbed(8)[0]
    lease.reconcile()
    assert "running" not in night.statuses()
