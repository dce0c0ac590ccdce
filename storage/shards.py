"""Shards in local files, one chunk after the other through buffers that stay in the cache.

zarr-python holds a shard three to five times while it reads or writes one; asking the system for all those pages anew with every
tile took longer than encoding and decoding. It still does whatever `Shards.of` declines; either reads what the other wrote,
though chunks lie in C order here, so that a shard can be written while it is computed, and in Morton order there.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import google_crc32c
import numpy as np
import zarr
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec
from zarr.core.metadata import ArrayV3Metadata

from storage.boxes import Index, Region, cells, moved, size, within
from storage.errors import StoreError

MISSING = 2**64 - 1
"""What a shard's index holds for a chunk that was never written."""

SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


@dataclass(frozen=True)
class Shards:
    """How an array's chunks lie in its files."""

    uri: str
    name: str
    key: Callable[[Index], str]
    dtype: np.dtype
    cell: Index
    chunk: Index
    fill: Any
    blosc: Blosc | None

    @classmethod
    def of(cls, uri: str, array: zarr.Array) -> "Shards | None":
        """The shards of an array of the local group ``uri``; None where zarr-python must read and write it."""
        metadata = array.metadata
        codec = sharding(metadata)
        if codec is None or not isinstance(metadata, ArrayV3Metadata) or codec.index_location.value != "end":
            return None
        first, *others = codec.codecs
        blosc = [_blosc(c) for c in others if isinstance(c, BloscCodec)]
        if not plain([first], array.dtype) or len(others) > 1 or len(blosc) != len(others):
            return None
        return cls(
            uri, array.path, metadata.encode_chunk_key, array.dtype, array.shards or (), array.chunks, array.fill_value,
            blosc[0] if blosc else None,
        )  # fmt: skip

    @property
    def chunks(self) -> Index:
        """Number of chunks in a shard along each axis."""
        return tuple(cell // chunk for cell, chunk in zip(self.cell, self.chunk, strict=True))

    def read(self, region: Region) -> np.ndarray:
        """The values of ``region``."""
        found = np.empty(size(region), self.dtype)
        scratch = np.empty(self.chunk, self.dtype)
        for stored, number, part in self._touched(region):
            target = found[within(part, region)]
            if stored is None:
                target[...] = self.fill
            elif target.shape == self.chunk and target.flags.c_contiguous:
                self._decode(stored, target)
            else:
                self._decode(stored, scratch)
                corner = [i * c for i, c in zip(number, self.chunk, strict=True)]
                target[...] = scratch[moved(part, corner)]
        return found

    def _touched(self, region: Region) -> "Iterator[tuple[_Stored | None, Index, Region]]":
        """Where every chunk lies of which ``region`` needs anything, its number along each axis, and the part needed."""
        for index, part_of_shard in cells(region, self.cell):
            path = Path(self.uri) / self.name / self.key(index)
            first = tuple(i * n for i, n in zip(index, self.chunks, strict=True))
            with _opened(path) as file:
                places = None if file is None else self._places(file, path)
                for number, part in cells(part_of_shard, self.chunk):
                    inner = tuple(i - n for i, n in zip(number, first, strict=True))
                    offset, length = (MISSING, 0) if places is None else places[inner].tolist()
                    yield (
                        None if file is None or offset == MISSING else _Stored(file, path, offset, length),
                        number,
                        part,
                    )

    def _places(self, file: int, path: Path) -> np.ndarray:
        """Offset and length (chunk…, 2) of every chunk."""
        length = 16 * prod(self.chunks) + 4
        end = os.fstat(file).st_size
        return parsed_index(os.pread(file, length, max(0, end - length)), length, path).reshape(*self.chunks, 2)

    def _decode(self, stored: "_Stored", out: np.ndarray) -> None:
        """One chunk into ``out``, which is contiguous."""
        if self.blosc is not None:
            _decompress(self.blosc, stored, out)
        elif stored.length == out.nbytes:
            stored.read_into(out.reshape(-1).view(np.uint8))
        else:
            stored.refuse()


@dataclass(frozen=True)
class _Stored:
    """One chunk's bytes in an open file."""

    file: int
    path: Path
    offset: int
    length: int

    def read(self) -> bytes:
        found = os.pread(self.file, self.length, self.offset)
        if len(found) != self.length:
            self.refuse()
        return found

    def read_into(self, out: np.ndarray) -> None:
        if os.preadv(self.file, [out.data], self.offset) != self.length:
            self.refuse()

    def refuse(self) -> NoReturn:
        raise StoreError(
            f"{self.path} is cut short or damaged: a chunk of {self.length} bytes at {self.offset} is not what its index says; "
            "build or copy it again"
        )


def _decompress(blosc: Blosc, stored: _Stored, out: np.ndarray) -> None:
    """Bytes 4 to 8 of a compressed chunk tell its size: a smaller one would leave the last chunk's values in ``out``."""
    data = stored.read()
    if int.from_bytes(data[4:8], "little") != out.nbytes:
        stored.refuse()
    try:
        blosc.decode(data, out)
    except RuntimeError:
        stored.refuse()


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """The descriptor of a file; None where there is none."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield file
    finally:
        os.close(file)


def sharding(metadata: Any) -> ShardingCodec | None:
    """The sharding codec of an array with nothing else around it, whose index is stored plainly; else None."""
    codecs = metadata.codecs if isinstance(metadata, ArrayV3Metadata) else ()
    if len(codecs) != 1 or not isinstance(codec := codecs[0], ShardingCodec):
        return None
    index = codec.index_codecs
    checked = len(index) == 2 and plain(index[:1], np.dtype("<u8")) and isinstance(index[1], Crc32cCodec)
    return codec if checked else None


def plain(codecs: Any, dtype: np.dtype) -> bool:
    """Whether these codecs leave the bytes of memory as they are."""
    if len(codecs) != 1 or not isinstance(codec := codecs[0], BytesCodec) or dtype.kind not in "biufc":
        return False
    return dtype.itemsize == 1 or (codec.endian is not None and codec.endian.value == "little" and dtype.isnative)


def parsed_index(raw: bytes, size: int, path: Path) -> np.ndarray:
    """Offset and length (chunk, 2) from the ``size`` bytes of a shard's index with its checksum."""
    if len(raw) != size or google_crc32c.value(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise StoreError(f"{path}: the shard's index does not match its checksum; build or copy the file again")
    return np.frombuffer(raw[:-4], "<u8").reshape(-1, 2)


def _blosc(codec: BloscCodec) -> Blosc:
    shuffle = SHUFFLES[codec.shuffle.value]  # pyright: ignore[reportOptionalMemberAccess] - set once it belongs to an array
    return Blosc(codec.cname.value, codec.clevel, shuffle, codec.blocksize, codec.typesize)
