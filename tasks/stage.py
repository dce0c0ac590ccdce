"""Stages: a step mapped over tiles, with a ledger, few tiles in flight, retries, smaller pieces when memory runs out.

A step is a plain function ``step(tile, *args)`` that reads, computes, writes its core and returns a small record. On a
Dask cluster (the flow opens it) tiles run on its workers; without one they run here, one after the other.
"""

import json
import logging
import math
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, median_low
from typing import Any

from storage import runs
from storage.errors import NightloomError, TilesFailedError
from storage.experience import remembered_pieces
from storage.ledger import Journal, Ledger, TileDone
from storage.turns import turn
from storage.writes import assembled, collected
from tasks.array.tiling import Tile
from tasks.attempts import Attempt, begun, cut
from tasks.executors import Here, OnCluster
from tasks.progress import Progress

log = logging.getLogger("nightloom")

LASTING = (ValueError, TypeError, NightloomError)


@dataclass(frozen=True)
class StageReport:
    """What a stage did: the tiles' records in the order of the plan, and what it cost."""

    name: str
    records: list[Any]
    seconds: float
    reused: int
    retried: int
    split: int
    waited: float | None
    """Fraction of the stage in which its devices did not compute; None when it had nothing to do."""


@dataclass
class _Course:
    """What has happened so far in one stage. Of a tile only its record is kept, since there may be a million."""

    tile_shape: list[int] | None
    records: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)
    retried: int = 0
    split: int = 0
    bytes: int = 0
    peak_bytes: int = 0
    computed: float = 0.0
    devices: int = 1
    seconds: array = field(default_factory=lambda: array("d"))
    pieces: array = field(default_factory=lambda: array("H"))

    def add(self, done: TileDone, *, fresh: bool) -> None:
        """Take in a tile; what an earlier run did teaches nothing about the time of this one."""
        self.records[done.tile] = done.record
        self.bytes += sum(w.bytes for w in done.writes)
        self.peak_bytes = max(self.peak_bytes, done.peak_bytes)
        if fresh:
            self.seconds.append(done.seconds)
            self.computed += done.computed
            self.pieces.append(len(list(_records(done.record))))

    def waited(self, seconds: float) -> float | None:
        """Fraction of ``seconds`` in which the devices did not compute."""
        return max(0.0, 1 - self.computed / (seconds * self.devices)) if self.seconds and seconds else None


def run_stage(
    step: Callable[..., Any], plan: Sequence[Tile], *args: Any, name: str | None = None, splits: bool = True,
    footprint: Callable[[Tile], float] | None = None,
) -> StageReport:  # fmt: skip
    """Do ``step(tile, *args)`` for every tile of ``plan`` that the ledger lacks.

    Parameters
    ----------
    step : function
        Reads ``tile.read``, writes ``tile.core``, returns a record of plain numbers; repeating it changes nothing.
    plan : sequence of Tile
        Each with its own ``index``.
    args
        Small things that pickle: products, models, options.
    name : str
        What to call the stage; needed when a run maps the same step twice.
    splits : bool
        Whether a tile may be computed in pieces when memory runs out.
    footprint : function
        Bytes that the step needs for a tile, where it computes. Tiles that a worker's free memory cannot hold are computed in
        pieces from the start.

    Raises
    ------
    TilesFailedError
        After every other tile was done, if some failed for good; it names their indexes.
    """
    name, run, started = name or step.__name__, runs.active(), time.monotonic()
    ledger = run.ledger if run else None
    course = _Course([side.stop - side.start for side in plan[0].core] if plan else None)
    for done in ledger.done(name) if ledger else ():
        course.add(done, fresh=False)
    missing = [tile for tile in plan if label(tile) not in course.records]
    reused = len(plan) - len(missing)
    stage_id = ledger.open_stage(name, len(plan), reused) if ledger else None
    try:
        with Progress(name, total=len(plan), done=reused, listener=_artifact(name)) as progress:
            _do(step, args, missing, course, progress, name, ledger, splits, footprint)
        _raise_failures(name, course, len(plan))
    except BaseException as error:
        _close(ledger, stage_id, course, "failed", started, error)
        raise
    _close(ledger, stage_id, course, "completed", started)
    records = [record for tile in plan for record in _records(course.records[label(tile)])]
    seconds = time.monotonic() - started
    waited = course.waited(seconds)
    if waited is not None:
        log.debug("%s: the device waited %.0f %% of %.1f s", name, 100 * waited, seconds)
    return StageReport(name, records, seconds, reused, course.retried, course.split, waited)


def label(tile: Tile) -> str:
    """Name of a tile in ledger, log and errors: its index."""
    return "-".join(map(str, tile.index))


def _do(
    step: Callable[..., Any],
    args: tuple,
    missing: list[Tile],
    course: _Course,
    progress: Progress,
    name: str,
    ledger: Ledger | None,
    splits: bool,
    footprint: Callable[[Tile], float] | None,
) -> None:
    tiles, again, suspects = missing[::-1], [], []  # an attempt is made when its turn comes: a million would be heavy
    executor, journal = _executor(step, args), Journal(ledger, name) if ledger else None
    remembered, footprint = (_pieces(name, course.tile_shape), footprint) if splits else (1, None)
    try:
        while tiles or again or suspects or executor.busy:
            while (tiles or again) and executor.has_room:
                new = begun(tiles.pop(), footprint, executor.tile_memory, remembered) if not again else again.pop()
                executor.submit(new)
            if not executor.busy:
                executor.submit(suspects.pop())
            attempt, result = executor.next()
            key = label(attempt.tile)
            if isinstance(result, TileDone):
                course.add(result, fresh=True)
                executor.weigh(result.peak_bytes)
                if journal:
                    journal.add(result, more=executor.ready)
                progress.advance(sum(w.bytes for w in result.writes))
            elif after := attempt.after(result, splits=splits, lasting=LASTING):
                course.split += after.pieces > attempt.pieces
                course.retried += after.number > attempt.number
                log.warning("%s: tile %s is tried again in %d pieces after %r", name, key, after.pieces, result)
                (suspects if after.alone else again).append(after)
            else:
                course.failed[key] = result
                log.error("%s: tile %s failed for good: %s", name, key, result)
                progress.advance(0)
    finally:
        course.devices = executor.devices
        executor.close()
        if journal:
            journal.flush()


def _pieces(name: str, tile_shape: list[int] | None) -> int:
    """What an earlier run found: tiles that did not fit into memory whole are not tried whole again."""
    run = runs.active()
    return remembered_pieces(run.flow, name, tile_shape) if run and tile_shape else 1


def run_tile(attempt: Attempt, step: Callable[..., Any], args: tuple) -> TileDone:
    """Do one tile, on a worker; collect what it wrote."""
    start = time.perf_counter()
    with collected() as writes, turn() as mine:
        if attempt.pieces == 1:
            record = step(attempt.tile, *args)
        else:
            with assembled():
                record = {"pieces": [step(piece, *args) for piece in cut(attempt.tile, attempt.pieces)]}
    seconds = time.perf_counter() - start
    return TileDone(label(attempt.tile), _stored(record), tuple(writes), seconds, _peak_bytes(), mine.computed)


def _stored(record: Any) -> Any:
    """The record as the ledger will give it back, so that a resumed run continues with the very same values."""
    return json.loads(json.dumps(record, default=_plain))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(
        f"a step returned a {type(value).__name__} in its record; return numbers, texts, lists and dictionaries"
    )


def _records(record: Any) -> Iterator[Any]:
    """A tile's record, or those of its pieces."""
    if isinstance(record, dict) and "pieces" in record:
        yield from record["pieces"]
    else:
        yield record


def _peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _raise_failures(name: str, course: _Course, total: int) -> None:
    if course.failed:
        first = next(iter(course.failed.values()))
        raise TilesFailedError(
            f"{name}: {len(course.failed)} of {total} tiles failed for good ({', '.join(sorted(course.failed)[:20])}); the first said: {first}"
        ) from first


def _close(
    ledger: Ledger | None,
    stage_id: int | None,
    course: _Course,
    status: str,
    started: float,
    error: BaseException | None = None,
) -> None:
    if ledger is None or stage_id is None:
        return
    ledger.close_stage(
        stage_id,
        status=status,
        retried=course.retried,
        split=course.split,
        bytes=course.bytes,
        peak_bytes=course.peak_bytes,
        busy_seconds=sum(course.seconds),
        tile_shape=course.tile_shape,
        tile_seconds=median(course.seconds) if course.seconds else None,
        pieces=median_low(course.pieces) if course.pieces else 1,
        seconds=(seconds := time.monotonic() - started),
        waited=course.waited(seconds),
        error=str(error) if error else None,
    )


def _artifact(name: str) -> Callable[[float], None]:
    """What shows a percentage in the Prefect UI; nothing outside a Prefect run."""
    if "prefect" not in sys.modules:
        return lambda _: None
    from prefect.artifacts import create_progress_artifact, update_progress_artifact
    from prefect.context import FlowRunContext, TaskRunContext

    if not (TaskRunContext.get() or FlowRunContext.get()):
        return lambda _: None
    made: list[Any] = []

    def show(percent: float) -> None:
        try:
            if made:
                update_progress_artifact(made[0], percent)
            else:
                key = name.replace("_", "-").lower()
                made.append(create_progress_artifact(percent, key=key, description=f"{name}: tiles done"))
        except Exception as error:  # noqa: BLE001 - the night's work goes on while the server is away
            log.warning("no progress in the Prefect UI: %s", error)

    return show


def _executor(step: Callable[..., Any], args: tuple) -> Here | OnCluster:
    if "distributed" not in sys.modules:  # nobody opened a cluster; importing it would take half a second
        return Here(run_tile, step, args)
    import dask.config
    from dask.utils import parse_timedelta
    from distributed.client import default_client

    try:
        client = default_client()
    except ValueError:
        return Here(run_tile, step, args)
    # A cluster of this flow's own gets its workers from a queue, which may take hours; someone else's has them or lost them.
    patience = math.inf if client.cluster else parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
    return OnCluster(client, run_tile, step, args, patience=patience)
