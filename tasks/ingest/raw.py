"""Arrays that lie plainly in a file, mapped for the length of one read; and a way to get there from compressed ones."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from tasks.ingest.header import Unreadable

MAPPED_BYTES = 64 << 20
"""How much of a file one map may cover [bytes]."""


@dataclass(frozen=True)
class RawArray:
    """A C-ordered array at ``offset`` bytes into a file.

    The file is mapped anew for each read, a few rows of its first axis at a time: every page that a living map has
    touched counts as memory of the worker, and a tile of a band-sequential file touches pages all over it.
    """

    path: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int = 0

    def __getitem__(self, region: Any) -> np.ndarray:
        region = region if isinstance(region, tuple) else (region,)
        if isinstance(region[0], int):
            return np.array(self._mapped(region[0], region[0] + 1)[(0, *region[1:])])
        start, stop, _ = region[0].indices(self.shape[0])
        out = np.empty(np.broadcast_to(np.int8(0), self.shape)[region].shape, self.dtype)
        rows = max(1, MAPPED_BYTES // max(1, self._row_bytes))
        for a in range(start, stop, rows):
            b = min(a + rows, stop)
            out[a - start : b - start] = self._mapped(a, b)[(slice(None), *region[1:])]
        return out

    @property
    def _row_bytes(self) -> int:
        return prod(self.shape[1:]) * self.dtype.itemsize

    def _mapped(self, start: int, stop: int) -> np.memmap:
        """Rows ``start`` to ``stop`` of the first axis."""
        begin = self.offset + start * self._row_bytes
        return np.memmap(self.path, self.dtype, "r", begin, (stop - start, *self.shape[1:]))

    @property
    def end(self) -> int:
        """Byte after the last value."""
        return self.offset + prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class SpooledArray:
    """An array that can only be unpacked from its beginning: each process unpacks it once, to an unnamed file.

    ``unpack(path, name, file)`` writes its values in C order. Memory stays small whatever the size; the space is
    given back when the process ends or another file takes the place.
    """

    path: str
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    unpack: Callable[[str, str, IO[bytes]], None]

    def __getitem__(self, region: Any) -> np.ndarray:
        stat = Path(self.path).stat()
        file = _spool(self, stat.st_mtime_ns, stat.st_size)
        return np.array(np.memmap(file, self.dtype, "r", 0, self.shape)[region])

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Reversed:
    """An array of Fortran order, seen in the order its program states: the axes of ``array`` from last to first."""

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)[::-1]

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    def __getitem__(self, region: Any) -> np.ndarray:
        region = region if isinstance(region, tuple) else (region,)
        return self.array[region[::-1]].T


@lru_cache(maxsize=4)
def _spool(array: SpooledArray, mtime_ns: int, size: int) -> IO[bytes]:
    """The unpacked file; the time and size of the original are part of the key, so a changed file is read anew."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if array.nbytes > free:
        raise Unreadable(
            f"unpacking {array.name} takes {array.nbytes} bytes, but {tempfile.gettempdir()} has {free} free; "
            "set TMPDIR to a larger disk, or save it uncompressed"
        )
    file = tempfile.TemporaryFile()  # noqa: SIM115  lives on in the cache
    array.unpack(array.path, array.name, file)
    file.flush()
    written = file.tell()
    if written != array.nbytes:
        raise Unreadable(f"{array.name} unpacks to {written} bytes, expected {array.nbytes}; the file is damaged")
    return file


def check_size(array: RawArray, what: str, exact: bool = False) -> None:
    """Refuse a file too short for ``array``, or with ``exact`` of any other size than it ends at."""
    found = Path(array.path).stat().st_size
    shape = "×".join(map(str, array.shape))
    if found < array.end:
        raise Unreadable(
            f"{what} describes {shape} values of {array.dtype} ending at byte {array.end}, but the file holds only "
            f"{found} bytes; it is truncated or the description is wrong: copy it again or correct it"
        )
    if exact and found > array.end:
        raise Unreadable(
            f"{what} describes {shape} values of {array.dtype} ending at byte {array.end}, but the file holds {found} "
            "bytes; correct the size, data type or offset in the description"
        )
