"""What the current task has written: a record per shard, and the assembly of a shard that had to be computed in pieces.

A worker collects records around one tile and sends them home, where they enter the ledger. When memory ran out, the
tile is computed in pieces; the pieces are gathered in host memory so that the shard is still written once, by one writer.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import zarr

from storage.boxes import Region
from storage.digest import digest_bytes
from storage.errors import BadPiecesError
from storage.stores import join, read_bytes

if TYPE_CHECKING:
    from storage.product import Product


@dataclass(frozen=True, slots=True)
class ShardWrite:
    """One stored shard: its file inside the product, the digest and size of its bytes, how many values are finite."""

    uri: str
    file: str
    digest: str
    bytes: int
    finite: int
    values: int


_records: ContextVar[list[ShardWrite] | None] = ContextVar("records", default=None)
_assembly: ContextVar["Assembly | None"] = ContextVar("assembly", default=None)


@contextmanager
def collected() -> Iterator[list[ShardWrite]]:
    """Collect a record of every shard written inside the block."""
    records: list[ShardWrite] = []
    token = _records.set(records)
    try:
        yield records
    finally:
        _records.reset(token)


def note(uri: str, array: zarr.Array, region: Region, values: np.ndarray) -> None:
    """Record the shards of ``array`` that ``region`` covers, from the bytes now stored."""
    records = _records.get()
    if records is None:
        return
    values = np.broadcast_to(values, [s.stop - s.start for s in region])
    cell = array.shards or array.chunks
    for index in product(*(range(s.start // c, -(-s.stop // c)) for s, c in zip(region, cell, strict=True))):
        file = f"{array.path}/{array.metadata.encode_chunk_key(index)}"
        stored = read_bytes(join(uri, file))
        inside = tuple(
            slice(max(0, i * c - s.start), (i + 1) * c - s.start) for i, c, s in zip(index, cell, region, strict=True)
        )
        part = values[inside]
        finite = int(np.isfinite(part).sum()) if part.dtype.kind == "f" else part.size
        records.append(ShardWrite(uri, file, digest_bytes(stored), len(stored), finite, part.size))


def known(records: Iterable[ShardWrite]) -> None:
    """Record shards of which all is known: they were just encoded here, or linked, and recorded when they were written."""
    collecting, found = _records.get(), list(records)
    if collecting is not None:
        collecting.extend(found)


@dataclass(frozen=True)
class _Piece:
    region: Region
    values: np.ndarray


@dataclass
class Assembly:
    """Pieces of regions, kept in memory until the block that gathers them ends."""

    pieces: "dict[Product, list[_Piece]]" = field(default_factory=dict)

    def put(self, target: "Product", region: Region, values: np.ndarray) -> None:
        """Keep ``values`` of ``region``."""
        kept = np.empty([s.stop - s.start for s in region], target.dtype)
        kept[...] = values
        self.pieces.setdefault(target, []).append(_Piece(region, kept))

    def whole(self, target: "Product") -> _Piece:
        """The region that the pieces of ``target`` cover together, once each."""
        parts = self.pieces[target]
        if len(parts) == 1:
            return parts.pop()
        outer = tuple(
            slice(min(s.start for s in sides), max(s.stop for s in sides))
            for sides in zip(*(p.region for p in parts), strict=True)
        )
        if sum(p.values.size for p in parts) != prod(s.stop - s.start for s in outer):
            raise BadPiecesError(
                f"{target.uri}/{target.variable}: {len(parts)} pieces of a tile overlap or leave a gap, each value was expected once; "
                "map this step with splits=False"
            )
        buffer = np.empty([s.stop - s.start for s in outer], target.dtype)
        while parts:  # one after the other, so that the pieces' memory is given back on the way
            part = parts.pop()
            buffer[
                tuple(slice(s.start - o.start, s.stop - o.start) for s, o in zip(part.region, outer, strict=True))
            ] = part.values
        return _Piece(outer, buffer)


def assembling() -> Assembly | None:
    """The assembly in progress, if any."""
    return _assembly.get()


@contextmanager
def assembled() -> Iterator[None]:
    """Gather every write inside the block; write each gathered region once, when the block ends well."""
    gathered = Assembly()
    token = _assembly.set(gathered)
    try:
        yield
    finally:
        _assembly.reset(token)
    for target in list(gathered.pieces):
        whole = gathered.whole(target)
        target.write(whole.region, whole.values)
