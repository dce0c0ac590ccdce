"""Shards in local files that are written while their values are computed, by rows of chunks."""

import os
import uuid
from math import prod
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import xxhash

from storage.boxes import Index, Region, cells, shared, size, within
from storage.shards import Shards
from storage.writes import ShardWrite


class Writing:
    """Replaces ``region``, which covers whole shards, part by part; readers see nothing of it before `finish`."""

    def __init__(self, shards: Shards, region: Region) -> None:
        scratch = np.empty(shards.chunk, shards.dtype)
        self._files = [_Growing(shards, index, cell, scratch) for index, cell in cells(region, shards.cell)]

    def put(self, part: Region, values: np.ndarray) -> None:
        """Write the next rows: whole rows of chunks, or the last ones, over the whole region's other axes."""
        values = np.broadcast_to(values, size(part))
        for file in self._files:
            if (rows := shared(part, file.cell)) is not None:
                file.add(rows, values[within(rows, part)])

    def finish(self) -> list[ShardWrite]:
        """Give the shards their names; a record of each."""
        for file in self._files:
            file.refuse_missing()
        return [file.finish() for file in self._files]

    def close(self) -> None:
        """Leave nothing half written."""
        for file in self._files:
            file.close()


class _Growing:
    """A shard under a name of its own, to which chunks are added in C order."""

    def __init__(self, shards: Shards, index: Index, cell: Region, scratch: np.ndarray) -> None:
        self.shards, self.cell, self.scratch = shards, cell, scratch
        self.name = f"{shards.name}/{shards.key(index)}"
        self.path = Path(shards.uri) / self.name
        self.partial = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.partial")
        self.file: Any = None
        self.places: list[tuple[int, int]] = []
        self.state = xxhash.xxh3_128()
        self.bytes = self.finite = self.values = 0

    def add(self, part: Region, values: np.ndarray) -> None:
        """Chunks of the rows ``part``."""
        chunk, shards = self.shards.chunk, self.shards
        row = (part[0].start - self.cell[0].start) // chunk[0]
        if len(self.places) != row * prod(shards.chunks[1:]) or (part[0].start - self.cell[0].start) % chunk[0]:
            raise ValueError(
                f"{self.path}: row {part[0].start} was given out of turn; write whole rows of chunks in order"
            )
        for inner in np.ndindex(-(-values.shape[0] // chunk[0]), *shards.chunks[1:]):
            whole, seen = self._chunk(values, inner)
            self.finite += _finite(seen)
            self.values += seen.size
            self._append(self._encoded(whole))
        if self.values == prod(size(self.cell)):
            self._end()

    def _append(self, stored: Any) -> None:
        self.places.append((self.bytes, len(stored)))
        self._write(stored)

    def _write(self, data: Any) -> None:
        if self.file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.partial.open("xb", buffering=0)
        rest = memoryview(data)
        while rest:  # one call of the system may take less
            rest = rest[self.file.write(rest) :]
        self.state.update(data)
        self.bytes += len(data)

    def _chunk(self, values: np.ndarray, inner: Index) -> tuple[np.ndarray, np.ndarray]:
        """A whole chunk, contiguous, and what of it lies in ``values``: at the array's end it reaches beyond them."""
        sides = zip(inner, self.shards.chunk, values.shape, strict=True)
        part = values[tuple(slice(min(i * c, n), min((i + 1) * c, n)) for i, c, n in sides)]
        if part.shape == self.scratch.shape and part.dtype == self.scratch.dtype and part.flags.c_contiguous:
            return part, part
        if part.shape != self.scratch.shape:
            self.scratch[...] = self.shards.fill
        self.scratch[tuple(slice(0, n) for n in part.shape)] = part
        return self.scratch, part

    def refuse_missing(self) -> None:
        """Refuse to end before all rows were given."""
        if self.values != prod(size(self.cell)):
            raise ValueError(
                f"{self.path}: {self.values} of {prod(size(self.cell))} values were given; write all of its rows"
            )

    def _end(self) -> None:
        """Close the file with the index; a region may have more shards than a process may have files open."""
        while len(self.places) < prod(self.shards.chunks):  # rows of chunks that lie beyond the array
            self.scratch[...] = self.shards.fill
            self._append(self._encoded(self.scratch))
        index = np.array(self.places, "<u8").tobytes()
        self._write(index + int(google_crc32c.value(index)).to_bytes(4, "little"))
        self.file.close()

    def finish(self) -> ShardWrite:
        """Give the shard its name."""
        os.replace(self.partial, self.path)
        return ShardWrite(self.shards.uri, self.name, self.state.hexdigest(), self.bytes, self.finite, self.values)

    def _encoded(self, chunk: np.ndarray) -> Any:
        blosc = self.shards.blosc
        return chunk.reshape(-1).view(np.uint8).data if blosc is None else blosc.encode(chunk)

    def close(self) -> None:
        """Leave nothing half written."""
        if self.file is not None:
            self.file.close()
            self.partial.unlink(missing_ok=True)


def _finite(values: np.ndarray) -> int:
    return int(np.count_nonzero(np.isfinite(values))) if values.dtype.kind == "f" else values.size
