"""At most one live process works on a key; the dead are told from the living, here and on other machines."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select

from storage import identity, lease
from storage.database import now, session
from storage.identity import Process, boot_id, is_alive, this_process
from storage.tables import RUNNING, Lease, Run
from tests.faults.waiting import wait_for

KEY = "k" * 32


def add_run(run_id, status=RUNNING):
    with session() as s:
        s.add(
            Run(
                id=run_id, flow="f", key=KEY, generation=0, status=status, params={}, dirty=False, code_version="0",
                host="h", devices=[], trigger="command", started=now(),
            )
        )  # fmt: skip


def change(**values):
    with session() as s:
        row = s.get_one(Lease, KEY)
        for name, value in values.items():
            setattr(row, name, value)


def status(run_id):
    with session() as s:
        return s.get_one(Run, run_id).status


def holder():
    with session() as s:
        return s.scalar(select(Lease.run_id))


@pytest.fixture
def held(database_url):
    """Run ``one`` holds the key."""
    add_run("one")
    assert lease.acquire(KEY, "one") is None


def test_a_live_holder_keeps_its_key_even_after_its_time(held):
    change(expires=now() - timedelta(days=1))
    assert lease.acquire(KEY, "two").run_id == "one"
    assert status("one") == RUNNING


def test_a_dead_holder_on_this_machine_is_taken_over_at_once(held):
    change(pid=dead_pid(), expires=now() + timedelta(days=1))
    assert lease.acquire(KEY, "two") is None
    assert status("one") == "interrupted"
    assert holder() == "two"


def test_a_process_number_used_again_is_another_process(held):
    change(process_started=this_process().started - 100)
    assert lease.acquire(KEY, "two") is None


def test_a_holder_elsewhere_is_believed_until_its_time_is_over(held):
    change(host="elsewhere")
    assert lease.acquire(KEY, "two").run_id == "one"
    change(expires=now() - timedelta(seconds=1))
    assert lease.acquire(KEY, "two") is None
    assert (status("one"), holder()) == ("interrupted", "two")


def test_another_start_of_this_machine_is_elsewhere(held):
    change(boot_id="before the power cut")
    assert lease.acquire(KEY, "two").run_id == "one"


def test_only_the_holder_gives_it_back(held):
    lease.release(KEY, "two")
    assert holder() == "one"
    lease.release(KEY, "one")
    assert holder() is None


def test_it_is_renewed_while_the_work_goes_on(held, monkeypatch):
    monkeypatch.setattr(lease, "RENEWAL_SECONDS", 0.02)
    change(expires=now() - timedelta(days=1))
    with lease.kept_alive(KEY, "one"):
        wait_for(renewed)


def renewed():
    with session() as s:
        return s.scalar(select(Lease.expires)) > now()


def test_renewal_survives_a_database_that_is_away(held, monkeypatch):
    from storage.errors import DatabaseBusyError

    calls = []

    def away(*_):
        calls.append(1)
        if len(calls) < 3:
            raise DatabaseBusyError("restarting")

    monkeypatch.setattr(lease, "RENEWAL_SECONDS", 0.01)
    monkeypatch.setattr(lease, "_renew", away)
    with lease.kept_alive(KEY, "one"):
        wait_for(lambda: len(calls) >= 4)


def test_a_clock_set_back_on_one_host_makes_no_live_run_stale(held, monkeypatch):
    """PostgreSQL's clock counts, so a host whose clock is wrong renews a lease that others believe."""
    if "sqlite" in os.environ["NIGHTLOOM_DATABASE_URL"]:
        pytest.skip("SQLite serves one host, where the process itself is looked at")
    yesterday = now() - timedelta(days=1)
    with monkeypatch.context() as wrong:
        wrong.setattr(lease, "now", lambda: yesterday)
        lease._renew(KEY, "one")
    change(host="elsewhere")
    with session() as s:
        assert s.scalar(select(Lease.expires)) > now()


def test_a_clock_set_back_changes_no_process_identity(monkeypatch):
    """Start times are counted in ticks since the start of the machine, not taken from the clock."""
    if not os.path.exists("/proc/self/stat"):
        pytest.skip("needs /proc")
    before = this_process().started
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert identity._started(os.getpid()) == before
    assert is_alive(this_process())


def test_a_zombie_is_dead():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    me = this_process()
    seen = Process(me.host, me.boot_id, child.pid, identity._started(child.pid))
    assert is_alive(seen)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet noticed by its parent
    assert not is_alive(seen)
    child.stdin.close()
    child.wait()


def test_nobody_can_tell_about_another_machine():
    me = this_process()
    assert is_alive(Process("elsewhere", me.boot_id, me.pid, me.started)) is None
    assert is_alive(Process(me.host, "other", me.pid, me.started)) is None


def test_a_test_can_be_two_machines(monkeypatch):
    boot_id.cache_clear()
    monkeypatch.setenv("NIGHTLOOM_BOOT_ID", "second")
    assert boot_id() == "second"
    boot_id.cache_clear()
    monkeypatch.undo()
    assert boot_id() != "second"


def test_reconcile_closes_runs_without_a_live_owner(held):
    add_run("no lease")
    add_run("done", "completed")
    assert lease.reconcile() == ["no lease"]
    change(pid=dead_pid())
    assert lease.reconcile() == ["one"]
    assert [status(r) for r in ("one", "no lease", "done")] == ["interrupted", "interrupted", "completed"]
    assert holder() is None
    assert lease.reconcile() == []


def test_reconcile_drops_the_lease_of_a_finished_dead_run(held):
    with session() as s:
        s.get_one(Run, "one").status = "completed"
    change(pid=dead_pid())
    assert lease.reconcile() == []
    assert holder() is None


def dead_pid() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid
