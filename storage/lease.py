"""Leases: at most one live process works on a key; a dead one is taken over."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.database import now, patiently, session
from storage.identity import Process, is_alive, this_process
from storage.tables import INTERRUPTED, RUNNING, Lease, Run

LEASE = timedelta(seconds=60)
RENEWAL_SECONDS = 10.0


def acquire(key: str, run_id: str) -> Lease | None:
    """Take the lease of ``key`` for ``run_id``; return the live holder's lease instead if there is one."""
    me = this_process()
    fresh = {
        "run_id": run_id,
        "host": me.host,
        "boot_id": me.boot_id,
        "pid": me.pid,
        "process_started": me.started,
        "expires": now() + LEASE,
    }
    try:
        with session() as s:
            held = s.get(Lease, key)
            if held is None:
                s.add(Lease(key=key, **fresh))
                return None
            if not is_stale(held):
                return held
            taken = s.execute(update(Lease).where(Lease.key == key, Lease.run_id == held.run_id).values(**fresh))
            if taken.rowcount:
                close_interrupted(s, held.run_id)
                return None
    except IntegrityError:
        pass  # another process was quicker
    with session() as s:
        return s.get(Lease, key)


def is_stale(held: Lease) -> bool:
    """Whether the holder is dead, or is elsewhere and has given no sign of life for too long."""
    alive = is_alive(Process(held.host, held.boot_id, held.pid, held.process_started))
    return held.expires < now() if alive is None else not alive


def release(key: str, run_id: str) -> None:
    """Give the lease back."""
    with session() as s:
        s.execute(delete(Lease).where(Lease.key == key, Lease.run_id == run_id))


def close_interrupted(s: Session, run_id: str, why: str = "its process ended without a word") -> None:
    """Mark a run whose owner is gone."""
    changes = {"status": INTERRUPTED, "ended": now(), "error": why}
    s.execute(update(Run).where(Run.id == run_id, Run.status == RUNNING).values(**changes))


@contextmanager
def kept_alive(key: str, run_id: str) -> Iterator[None]:
    """Renew the lease from a thread while the block runs."""
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(RENEWAL_SECONDS):
            patiently(lambda: _renew(key, run_id))

    thread = threading.Thread(target=renew, name=f"lease-{run_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)


def _renew(key: str, run_id: str) -> None:
    with session() as s:
        s.execute(update(Lease).where(Lease.key == key, Lease.run_id == run_id).values(expires=now() + LEASE))


def reconcile() -> list[str]:
    """Close every run that claims to be running but has no live owner; return their ids."""
    with session() as s:
        leases = {lease.run_id: lease for lease in s.scalars(select(Lease))}
        running = s.scalars(select(Run).where(Run.status == RUNNING)).all()
        dead = [run.id for run in running if run.id not in leases or is_stale(leases[run.id])]
        for run_id in dead:
            close_interrupted(s, run_id)
        s.execute(delete(Lease).where(Lease.run_id.in_(dead)))
    return dead
