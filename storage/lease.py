"""Leases: at most one live process works on a key; a dead one is taken over."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.database import now, session
from storage.errors import DatabaseError, LeaseLostError
from storage.identity import Process, is_alive, this_process
from storage.tables import INTERRUPTED, RUNNING, Lease, Run

log = logging.getLogger("nightloom")

LEASE = timedelta(seconds=60)
RENEWAL_SECONDS = 10.0


def acquire(key: str, run_id: str) -> Lease | None:
    """Take the lease of ``key`` for ``run_id``; return the live holder's lease instead if there is one."""
    me = this_process()
    mine = {"run_id": run_id, "host": me.host, "boot_id": me.boot_id, "pid": me.pid, "process_started": me.started}
    try:
        with session() as s:
            time = clock(s)
            held, fresh = s.get(Lease, key), {**mine, "expires": time + LEASE}
            if held is None:
                s.add(Lease(key=key, **fresh))
                return None
            if not is_stale(held, time):
                return held
            dead = held.run_id  # read before the update, which also changes the loaded row
            taken = s.execute(update(Lease).where(Lease.key == key, Lease.run_id == dead).values(**fresh))
            if taken.rowcount:
                close_interrupted(s, dead)
                return None
    except IntegrityError:
        pass  # another process was quicker
    with session() as s:
        return s.get(Lease, key)


def clock(s: Session) -> datetime:
    """The time that all hosts share: the server's; SQLite serves one host, whose own clock will do."""
    if s.get_bind().dialect.name == "postgresql":
        return s.scalars(select(func.clock_timestamp())).one()
    return now()


def is_stale(held: Lease, time: datetime) -> bool:
    """Whether the holder is dead, or is elsewhere and has given no sign of life for too long."""
    alive = _is_alive(held)
    return held.expires < time if alive is None else not alive


def _is_alive(held: Lease) -> bool | None:
    return is_alive(Process(held.host, held.boot_id, held.pid, held.process_started))


def require(s: Session, key: str, run_id: str) -> None:
    """Refuse to go on when another run has taken the key over: this machine slept or was cut off for too long."""
    holder = s.scalar(select(Lease).where(Lease.key == key).with_for_update())
    if holder is None or holder.run_id != run_id:
        other = f"run {holder.run_id} on {holder.host}" if holder else "another run"
        raise LeaseLostError(
            f"run {run_id} gave no sign of life for too long and {other} took over its work; look for its result there"
        )


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
            try:
                _renew(key, run_id)
            except DatabaseError as error:  # it may be back at the next turn
                log.warning("the lease of run %s could not be renewed: %s", run_id, error)

    thread = threading.Thread(target=renew, name=f"lease-{run_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)


def _renew(key: str, run_id: str) -> None:
    with session() as s:
        s.execute(update(Lease).where(Lease.key == key, Lease.run_id == run_id).values(expires=clock(s) + LEASE))


def reconcile() -> list[str]:
    """Close every run that claims to be running but has no live owner, and drop leases of the dead; return the runs' ids."""
    with session() as s:
        # In this order: a run that begins between the two looks has its lease before it has its row.
        running = set(s.scalars(select(Run.id).where(Run.status == RUNNING)))
        time, leases = clock(s), s.scalars(select(Lease)).all()
        stale = {held.run_id for held in leases if is_stale(held, time)}
        orphans = running - {held.run_id for held in leases} | running & stale
        still = select(Run.id).where(Run.status == RUNNING, Run.id.in_(orphans)).order_by(Run.started)
        dead = list(s.scalars(still))
        for run_id in dead:
            close_interrupted(s, run_id)
        s.execute(delete(Lease).where(Lease.run_id.in_(stale)))
    return dead


def out_of_sight() -> dict[str, str]:
    """Runs that claim to be running elsewhere, where nobody here can see their process: run id -> Prefect's flow run id."""
    with session() as s:
        wanted = select(Run.id, Run.flow_run_id, Lease).join(Lease, Lease.run_id == Run.id)
        rows = s.execute(wanted.where(Run.status == RUNNING, Run.flow_run_id.is_not(None))).all()
    return {run_id: flow_run for run_id, flow_run, held in rows if _is_alive(held) is None}


def close(run_ids: list[str], why: str) -> None:
    """Close runs that someone else knows to have ended."""
    with session() as s:
        for run_id in run_ids:
            close_interrupted(s, run_id, why)
        s.execute(delete(Lease).where(Lease.run_id.in_(run_ids)))
