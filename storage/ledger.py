"""The ledger: which tiles of a run are done, so that a run started again does only what is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, select, update

from storage.database import now, patiently, session
from storage.digest import digest_bytes, digest_json
from storage.stores import exists, files, is_local, join, read_bytes
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

    def done(self, stage: str) -> list[TileDone]:
        """The tiles of ``stage`` whose shards are still stored as they were written."""
        rows = patiently(lambda: self._rows(stage))
        found = [TileDone(r.tile, r.record, [ShardWrite(**w) for w in r.writes], r.seconds, r.peak_bytes) for r in rows]
        stored = _sizes({w.uri for done in found for w in done.writes})
        return [done for done in found if all(_intact(w, stored[w.uri]) for w in done.writes)]

    def writes(self, uri: str) -> list[ShardWrite]:
        """Every recorded shard of the product at ``uri``."""
        return [ShardWrite(**w) for row in patiently(lambda: self._rows(None)) for w in row.writes if w["uri"] == uri]

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

    def _rows(self, stage: str | None) -> Sequence[TileRow]:
        wanted = select(TileRow).where(TileRow.key == self.key, TileRow.generation == self.generation)
        with session() as s:
            return s.scalars(wanted if stage is None else wanted.where(TileRow.stage == stage)).all()


def _merge(row: TileRow) -> None:
    with session() as s:
        s.merge(row)


def _intact(written: ShardWrite, sizes: dict[str, int]) -> bool:
    """Whether a shard is stored as it was written. After a power cut a file may have its size and not its content."""
    if sizes.get(written.file) != written.bytes:
        return False
    return not is_local(written.uri) or digest_bytes(read_bytes(join(written.uri, written.file))) == written.digest


def _sizes(uris: Iterable[str]) -> dict[str, dict[str, int]]:
    return {uri: dict(files(uri)) if exists(uri) else {} for uri in uris}
