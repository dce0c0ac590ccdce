"""The ledger: which tiles of a run are done, so that a run started again does only what is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, select

from storage.database import now, patiently, session
from storage.digest import digest_json
from storage.stores import exists, files
from storage.tables import Stage, TileRow
from storage.writes import ShardWrite


@dataclass(frozen=True)
class TileDone:
    """What came of one tile: its small record, the shards it wrote, what it cost."""

    tile: str
    record: Any
    writes: Sequence[ShardWrite]
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Ledger:
    """The ledger rows of one key and generation; ``run_id`` signs the rows that this run adds."""

    key: str
    generation: int
    run_id: str

    def add(self, stage: str, done: TileDone) -> None:
        """Write one tile's row; a repeated tile replaces its row."""
        row = TileRow(
            key=self.key,
            generation=self.generation,
            stage=stage,
            tile=done.tile,
            run_id=self.run_id,
            digest=digest_json([w.digest for w in done.writes]),
            seconds=done.seconds,
            peak_bytes=done.peak_bytes,
            writes=[asdict(w) for w in done.writes],
            record=done.record,
            finished=now(),
        )
        patiently(lambda: _merge(row))

    def done(self, stage: str) -> dict[str, TileDone]:
        """The tiles of ``stage`` whose shards are still stored as they were written."""
        rows = patiently(lambda: self._rows(stage))
        stored = _sizes({w["uri"] for row in rows for w in row.writes})
        return {
            row.tile: TileDone(row.tile, row.record, [ShardWrite(**w) for w in row.writes], row.seconds, row.peak_bytes)
            for row in rows
            if all(stored[w["uri"]].get(w["file"]) == w["bytes"] for w in row.writes)
        }

    def writes(self, uri: str) -> list[ShardWrite]:
        """Every recorded shard of the product at ``uri``."""
        return [ShardWrite(**w) for row in patiently(lambda: self._rows(None)) for w in row.writes if w["uri"] == uri]

    def forget(self) -> None:
        """Drop every row: what they describe has been published or removed."""
        with session() as s:
            s.execute(delete(TileRow).where(TileRow.key == self.key, TileRow.generation == self.generation))

    def open_stage(self, name: str, n_tiles: int, reused: int) -> int:
        """Record that a stage began; return its id."""
        row = Stage(run_id=self.run_id, name=name, status="running", tiles=n_tiles, reused=reused, started=now())
        with session() as s:
            s.add(row)
            s.flush()
            return row.id

    def close_stage(self, stage_id: int, **changes: Any) -> None:
        """Record how a stage ended."""
        with session() as s:
            row = s.get_one(Stage, stage_id)
            for name, value in changes.items():
                setattr(row, name, value)
            row.seconds = (now() - row.started).total_seconds()

    def _rows(self, stage: str | None) -> Sequence[TileRow]:
        wanted = select(TileRow).where(TileRow.key == self.key, TileRow.generation == self.generation)
        with session() as s:
            return s.scalars(wanted if stage is None else wanted.where(TileRow.stage == stage)).all()


def _merge(row: TileRow) -> None:
    with session() as s:
        s.merge(row)


def _sizes(uris: Iterable[str]) -> dict[str, dict[str, int]]:
    return {uri: dict(files(uri)) if exists(uri) else {} for uri in uris}
