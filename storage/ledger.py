"""The ledger: which tiles of a run are done, so that a run started again does only what is missing."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select, tuple_, update

from storage.database import now, patiently, session
from storage.digest import digest_bytes, digest_json
from storage.stores import exists, files, is_local, join, read_bytes
from storage.tables import Stage, TileRow
from storage.writes import ShardWrite

ROWS = 500
"""Rows in one statement."""
PAGE = 5000
SECONDS = 0.25


@dataclass(frozen=True)
class TileDone:
    """What came of one tile: its small record, the shards it wrote, what it cost; ``computed`` is its time on the device."""

    tile: str
    record: Any
    writes: Sequence[ShardWrite]
    seconds: float
    peak_bytes: int
    computed: float = 0.0


@dataclass(frozen=True)
class Ledger:
    """The ledger rows of one key and generation; ``run_id`` signs the rows that this run adds."""

    key: str
    generation: int
    run_id: str

    def add(self, stage: str, *done: TileDone) -> None:
        """Write a row for each tile, in one transaction; a repeated tile replaces its row."""
        rows = [self._row(stage, tile) for tile in done]
        mine = TileRow.key == self.key, TileRow.generation == self.generation, TileRow.stage == stage

        def replace() -> None:
            with session() as s:
                for part in (rows[i : i + ROWS] for i in range(0, len(rows), ROWS)):
                    s.execute(delete(TileRow).where(*mine, TileRow.tile.in_([row["tile"] for row in part])))
                    s.execute(insert(TileRow), part)

        patiently(replace)

    def _row(self, stage: str, done: TileDone) -> dict[str, Any]:
        return {
            "key": self.key,
            "generation": self.generation,
            "stage": stage,
            "tile": done.tile,
            "run_id": self.run_id,
            "digest": digest_json([w.digest for w in done.writes]),
            "seconds": done.seconds,
            "peak_bytes": done.peak_bytes,
            "writes": [asdict(w) for w in done.writes],
            "record": done.record,
            "finished": now(),
        }

    def done(self, stage: str) -> Iterator[TileDone]:
        """The tiles of ``stage`` whose shards are still stored as they were written."""
        stored: dict[str, dict[str, int]] = {}
        for row in self._rows(TileRow.stage == stage):
            writes = [_write(w) for w in row.writes]
            for uri in {w.uri for w in writes} - stored.keys():
                stored[uri] = dict(files(uri)) if exists(uri) else {}
            if all(_intact(w, stored[w.uri]) for w in writes):
                yield TileDone(row.tile, row.record, writes, row.seconds, row.peak_bytes)

    def writes(self, uri: str) -> Iterator[ShardWrite]:
        """Every recorded shard of the product at ``uri``."""
        for row in self._rows():
            yield from (_write(w) for w in row.writes if w["uri"] == uri)

    def forget(self) -> None:
        """Drop every row: what they describe has been published or removed."""

        def drop() -> None:
            with session() as s:
                s.execute(delete(TileRow).where(TileRow.key == self.key, TileRow.generation == self.generation))

        patiently(drop)

    def open_stage(self, name: str, n_tiles: int, reused: int) -> int:
        """Record that a stage began; return its id."""

        def insert() -> int:
            row = Stage(run_id=self.run_id, name=name, status="running", tiles=n_tiles, reused=reused, started=now())
            with session() as s:
                s.add(row)
                s.flush()
                return row.id

        return patiently(insert)

    def close_stage(self, stage_id: int, **changes: Any) -> None:
        """Record how a stage ended."""

        def change() -> None:
            with session() as s:
                s.execute(update(Stage).where(Stage.id == stage_id).values(**changes))

        patiently(change)

    def _rows(self, *conditions: Any) -> Iterator[Any]:
        """Rows in the order of stage and tile; a page at a time, because there may be a million."""
        columns = TileRow.stage, TileRow.tile, TileRow.record, TileRow.writes, TileRow.seconds, TileRow.peak_bytes
        mine = TileRow.key == self.key, TileRow.generation == self.generation, *conditions
        wanted = select(*columns).where(*mine).order_by(TileRow.stage, TileRow.tile).limit(PAGE)
        page: Sequence[Any] = patiently(lambda: _all(wanted))
        while page:
            yield from page
            after = tuple_(TileRow.stage, TileRow.tile) > tuple_(page[-1].stage, page[-1].tile)
            page = patiently(lambda: _all(wanted.where(after))) if len(page) == PAGE else ()  # noqa: B023 - called at once


@dataclass
class Journal:
    """Finished tiles on their way into the ledger: written at once when nothing else waits, together when results pile up.

    A driver that is killed loses at most `SECONDS` of finished tiles, which are then computed again, to the same bytes.
    """

    ledger: Ledger
    stage: str
    waiting: list[TileDone] = field(default_factory=list)
    written: float = field(default_factory=time.monotonic)

    def add(self, done: TileDone, *, more: bool) -> None:
        """Take in one tile; ``more`` says that another one has finished too."""
        self.waiting.append(done)
        if not more or time.monotonic() - self.written > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self.waiting:
            self.ledger.add(self.stage, *self.waiting)
        self.waiting.clear()
        self.written = time.monotonic()


def _all(wanted: Any) -> Sequence[Any]:
    with session() as s:
        return s.execute(wanted).all()


def _write(stored: dict[str, Any]) -> ShardWrite:
    """A shard as it was recorded; a product's many shards share one text for its address."""
    named: dict[str, Any] = stored | {"uri": sys.intern(stored["uri"])}
    return ShardWrite(**named)


def _intact(written: ShardWrite, sizes: dict[str, int]) -> bool:
    """Whether a shard is stored as it was written. After a power cut a file may have its size and not its content."""
    if sizes.get(written.file) != written.bytes:
        return False
    return not is_local(written.uri) or digest_bytes(read_bytes(join(written.uri, written.file))) == written.digest
