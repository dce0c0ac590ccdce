"""Runs: `recorded` opens a run's row, keeps it true while the flow works, and publishes all or nothing at the end.

with recorded("denoise", params) as run:
    if run.repeated:
        return run.summary
    noisy = run.use("source")
    clean = run.create("clean_cube", layout)
    ...                                  # stages fill the arrays, through the ledger
    run.record(psnr_db=41.2)
    run.publish(clean)
return run.summary
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from secrets import token_hex

from sqlalchemy import func, select

from storage import journal, lease, sources
from storage.areas import Area
from storage.cancel import cancelled_by_signal
from storage.database import patiently, session
from storage.digest import digest_json
from storage.errors import DatabaseError, NightloomError
from storage.identity import code
from storage.parameters import Parameters
from storage.recorded_run import RecordedRun
from storage.settings import settings
from storage.sources import Source
from storage.summary import RunSummary
from storage.tables import COMPLETED, Run

log = logging.getLogger("nightloom")
_active: ContextVar["RecordedRun | None"] = ContextVar("active", default=None)


def active() -> "RecordedRun | None":
    """The run that the current flow is recording, if any."""
    return _active.get()


@contextmanager
def recorded(flow: str, params: Parameters, *, deduplicate: bool = True, also: str = "") -> Iterator[RecordedRun]:
    """Record one run of ``flow``; a completed run of the same key is handed back with ``repeated`` set.

    ``also`` is anything beside parameters, inputs and code that decides the result (the ids a query selected).
    A flow that must always run (a night, a clean-up) passes ``deduplicate=False``.
    """
    run_id = token_hex(8)
    inputs = {role: sources.resolve(role, names) for role, names in params.inputs().items()}
    key = run_key(flow, params, inputs, also) if deduplicate else digest_json([flow, run_id])
    run = _wait_for_turn(run_id, flow, params, inputs, key)
    if run.repeated:
        log.info("%s: the same work was completed before, as run %s; nothing to do", flow, run.summary.run)
        yield run
        return
    token = _active.set(run)
    journal.keep(active)
    began = time.monotonic()
    try:
        with lease.kept_alive(key, run_id), cancelled_by_signal():
            patiently(run.open)
            journal.notes.info("%s: run %s began", flow, run_id)
            try:
                yield run
                run.complete()
            except BaseException as error:
                journal.notes.info(
                    "%s: run %s ended after %.1f s: %s", flow, run_id, time.monotonic() - began, type(error).__name__
                )
                run.fail(error)
                raise
            journal.notes.info("%s: run %s was completed after %.1f s", flow, run_id, time.monotonic() - began)
    finally:
        _active.reset(token)
        with suppress(DatabaseError):  # the lease of a process that is gone is taken over
            patiently(lambda: lease.release(key, run_id))


def run_key(flow: str, params: Parameters, inputs: dict[str, Source], also: str = "") -> str:
    """Idempotency key of this work on these inputs with the code of this process."""
    digests = {role: source.digest for role, source in inputs.items()} | ({"also": also} if also else {})
    return params.key(flow, digests, code().version)


def completed_run(flow: str, params: Parameters) -> RunSummary | None:
    """The summary of a completed run that did exactly this work, or None (also when ``force`` is set)."""
    if params.force:
        return None
    try:
        key = asked_key(flow, params)
    except (NightloomError, ValueError, OSError):
        return None  # the input cannot be used: the flow will say so, with everything around it
    return _completed(key)


def asked_key(flow: str, params: Parameters) -> str:
    """Key of the run that ``params`` ask for, with the inputs as they are now."""
    return run_key(flow, params, {role: sources.resolve(role, names) for role, names in params.inputs().items()})


def _completed(key: str) -> RunSummary | None:
    newest = select(Run).where(Run.key == key, Run.status == COMPLETED).order_by(Run.generation.desc()).limit(1)
    with session() as s:
        row = s.scalar(newest)
        intact = row is not None and not any(p.deleted for p in row.products)
    return RunSummary.model_validate(row.summary) if row is not None and intact else None


def _wait_for_turn(run_id: str, flow: str, params: Parameters, inputs: dict[str, Source], key: str) -> RecordedRun:
    """Take the key's lease, waiting for a live run that does the same work; its result is then ours too."""
    told, force = False, params.force
    while True:
        if not force and (summary := patiently(lambda: _completed(key))):
            run = RecordedRun(run_id, flow, params, inputs, key, 0, Area.nowhere(), repeated=True)
            run.summary = summary
            return run
        holder = patiently(lambda: lease.acquire(key, run_id))
        if holder is None:
            break
        if not told:
            log.info(
                "%s: run %s is doing the same work on %s; waiting for its result", flow, holder.run_id, holder.host
            )
            told = True
        time.sleep(0.5)
    if not force and patiently(lambda: _completed(key)):  # another run ended between our two looks
        patiently(lambda: lease.release(key, run_id))
        return _wait_for_turn(run_id, flow, params, inputs, key)
    generation = patiently(lambda: _generation(key))
    area = Area(settings().store, flow, key, generation)
    return RecordedRun(run_id, flow, params, inputs, key, generation, area, parent=active())


def _generation(key: str) -> int:
    """How many runs of this key were completed: a forced repetition makes new products beside the old ones."""
    with session() as s:
        return s.scalar(select(func.count()).where(Run.key == key, Run.status == COMPLETED)) or 0
