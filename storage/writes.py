"""What the current task has written: a record per shard, and the assembly of a shard that had to be computed in pieces.

A worker collects records around one tile and sends them home, where they enter the ledger. When memory ran out, the
tile is computed in pieces; the pieces are gathered in host memory so that the shard is still written once, by one writer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import zarr

from storage.digest import digest_bytes
from storage.stores import join, read_bytes

if TYPE_CHECKING:
    from storage.product import Product, Region


@dataclass(frozen=True)
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


def note(uri: str, array: zarr.Array, region: "Region", values: np.ndarray) -> None:
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


@dataclass
class Assembly:
    """Pieces of regions, kept until the block that gathers them ends."""

    core: "Region"
    whole: "dict[Product, tuple[Region, np.ndarray]]" = field(default_factory=dict)

    def put(self, target: "Product", region: "Region", values: np.ndarray) -> None:
        """Keep ``values`` of ``region`` as a piece of the core's region of ``target``."""
        if target not in self.whole:
            outer = self._outer(region, target.shape)
            self.whole[target] = outer, np.empty([s.stop - s.start for s in outer], target.dtype)
        outer, buffer = self.whole[target]
        buffer[tuple(slice(s.start - o.start, s.stop - o.start) for s, o in zip(region, outer, strict=True))] = values

    def _outer(self, region: "Region", shape: tuple[int, ...]) -> "Region":
        """The core along the axes that it shares with ``region``; the region itself along the others."""
        return tuple(
            self.core[axis] if axis < len(self.core) and _inside(s, self.core[axis]) else s
            for axis, s in enumerate(region)
        )


def _inside(part: slice, whole: slice) -> bool:
    return whole.start <= part.start and part.stop <= whole.stop


def assembling() -> Assembly | None:
    """The assembly in progress, if any."""
    return _assembly.get()


@contextmanager
def assembled(core: "Region") -> Iterator[None]:
    """Gather every write inside the block; write each gathered region once, when the block ends well."""
    gathered = Assembly(core)
    token = _assembly.set(gathered)
    try:
        yield
    finally:
        _assembly.reset(token)
    for target, (region, values) in gathered.whole.items():
        target.write(region, values)
