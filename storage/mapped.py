"""One array's records, gathered straight from memory-mapped Zarr v3 shards, or decoded through zarr where that cannot be.

An uncompressed sample lies in its shard as it lies in memory, so reading it needs only its address. All addresses of an
array go into one table, and a single NumPy view whose rows begin at *every* multiple of the item size spans all the maps:
a batch is then one fancy index, whatever shards its samples come from. Going shard by shard costs up to half the speed
for small samples, because each shard's part of a batch is only a few rows.
"""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from numpy.lib.stride_tricks import as_strided

from storage.errors import StoreError
from storage.shards import MISSING, parsed_index, plain, sharding

MOST_MAPS = 20_000
"""A process may hold 65 530 maps by default on Linux; a group has several arrays."""

HELD_BYTES = 64 << 20
"""Arrays that must be decoded and are not larger than this are decoded once and kept."""


class CannotMapError(Exception):
    """This array's samples do not lie in files as they lie in memory."""


class DecodedArray:
    """Records read through zarr, for whatever cannot be mapped; a small array is read once and kept."""

    def __init__(self, array: zarr.Array) -> None:
        self._array = array
        self._held: np.ndarray | None = None

    def gather(self, indices: np.ndarray, crop: Sequence[slice] = ()) -> np.ndarray:
        """The records at ``indices``, in that order; ``crop`` cuts the axes after the first."""
        if self._array.nbytes <= HELD_BYTES:
            if self._held is None:
                self._held = np.asarray(self._array[...])
            return self._held[(slice(None), *crop)][indices]
        n = self._array.shape[0]
        if ((indices < -n) | (indices >= n)).any():
            raise IndexError
        unique, order = np.unique(indices % max(1, n), return_inverse=True)
        return np.asarray(self._array.oindex[(unique, *crop)])[order]


class MappedArray:
    """Records of an array in uncompressed shards on a local disk."""

    def __init__(self, array: zarr.Array, folder: Path, within: range | None = None) -> None:
        layout = _ShardLayout.of(array)
        wanted = within or range(array.shape[0])
        shards = range(wanted.start // layout.per_shard, -(-wanted.stop // layout.per_shard))
        maps = [
            layout.open(folder / array.metadata.encode_chunk_key((i,) + (0,) * (array.ndim - 1)))
            if i in shards
            else None
            for i in range(layout.n_shards)
        ]
        sample = np.full(array.shape[1:], array.fill_value, array.dtype)
        blank = mmap.mmap(-1, max(1, sample.nbytes))
        blank.write(sample.tobytes())
        addresses = _addresses(maps, layout, array.shape[0], _address(blank))
        base = int(addresses.min())
        unit = array.dtype.itemsize if not ((addresses - base) % array.dtype.itemsize).any() else 1
        self._rows = (addresses - base) // unit
        self._view = _view(base, (int(self._rows.max()) + 1, *array.shape[1:]), array.dtype, unit, owner=[maps, blank])

    def gather(self, indices: np.ndarray, crop: Sequence[slice] = ()) -> np.ndarray:
        """The records at ``indices``, in that order, as a new array; ``crop`` cuts the axes after the first."""
        view = self._view[(slice(None), *crop)] if crop else self._view
        return view[self._rows[indices]]

    def gather_into(self, out: np.ndarray, indices: np.ndarray) -> None:
        """Copy the records at ``indices`` into ``out`` (pinned memory, say) without an array in between."""
        for i, row in enumerate(self._rows[indices]):
            out[i] = self._view[row]


def shard_file(array: zarr.Array, number: int) -> str:
    """Name of the file, within the array's folder, that holds shard ``number`` along the first axis."""
    return array.metadata.encode_chunk_key((number,) + (0,) * (array.ndim - 1))


def open_records(array: zarr.Array, folder: Path | None, within: range | None = None) -> MappedArray | DecodedArray:
    """The records of ``array``, only those ``within`` if that is given; ``folder`` is where its files are on a local disk."""
    if folder is not None and array.shape[0]:
        try:
            return MappedArray(array, folder, within)
        except CannotMapError:
            pass
    return DecodedArray(array)


@dataclass(frozen=True)
class _ShardLayout:
    """How an array's records lie in its shards."""

    n_shards: int
    per_shard: int
    per_chunk: int
    sample_bytes: int
    index_first: bool

    @classmethod
    def of(cls, array: zarr.Array) -> "_ShardLayout":
        """The layout of ``array``; CannotMapError unless whole uncompressed samples lie side by side."""
        codec = sharding(array.metadata)
        if codec is None or not plain(codec.codecs, array.dtype):
            raise CannotMapError
        if array.shards is None or array.shards[1:] != array.shape[1:] or array.chunks[1:] != array.shape[1:]:
            raise CannotMapError
        n_shards = -(-array.shape[0] // array.shards[0])
        sample_bytes = int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize
        if n_shards > MOST_MAPS or sample_bytes == 0:
            raise CannotMapError
        return cls(n_shards, array.shards[0], array.chunks[0], sample_bytes, codec.index_location.value == "start")

    @property
    def n_chunks(self) -> int:
        """Chunks in one shard."""
        return self.per_shard // self.per_chunk

    def open(self, path: Path) -> tuple[mmap.mmap, np.ndarray] | None:
        """The map of a shard and the offset of each of its chunks; None for a shard that was never written."""
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except FileNotFoundError:
            return None
        except ValueError as error:  # an empty file cannot be mapped
            raise StoreError(f"{path} is empty; a shard with its index was expected; build or copy it again") from error
        index = self._index(mapped, path)
        offsets, lengths = index[:, 0], index[:, 1]
        present = offsets != MISSING
        wrong = present & ((lengths != self.per_chunk * self.sample_bytes) | (offsets + lengths > len(mapped)))
        if wrong.any():
            raise StoreError(
                f"{path} is cut short or damaged: its index points outside the file; build or copy it again"
            )
        return mapped, offsets

    def _index(self, mapped: mmap.mmap, path: Path) -> np.ndarray:
        size = 16 * self.n_chunks
        start = 0 if self.index_first else len(mapped) - size - 4
        return parsed_index(mapped[max(0, start) : max(0, start) + size + 4], size + 4, path)


def _address(mapped: mmap.mmap) -> int:
    return np.frombuffer(mapped, np.uint8).__array_interface__["data"][0]


def _addresses(
    maps: Sequence[tuple[mmap.mmap, np.ndarray] | None], layout: _ShardLayout, n: int, blank: int
) -> np.ndarray:
    """Where in memory each record begins; records that were never written begin at ``blank``, the fill value."""
    within = np.arange(layout.per_chunk, dtype=np.int64) * layout.sample_bytes

    def shards() -> Iterator[np.ndarray]:
        for shard in maps:
            if shard is None:
                yield np.full(layout.per_shard, blank, np.int64)
                continue
            mapped, offsets = shard
            present = (offsets != MISSING)[:, None]
            at = _address(mapped) + np.where(present[:, 0], offsets, 0).astype(np.int64)[:, None] + within
            yield np.where(present, at, blank).ravel()

    return np.concatenate(list(shards()))[:n]


class _Memory:
    """Raw memory that NumPy may look at; it keeps the maps open for as long as a view of them lives."""

    def __init__(self, address: int, dtype: np.dtype, owner: object) -> None:
        self.owner = owner
        self.__array_interface__ = {"data": (address, True), "shape": (1,), "typestr": dtype.str, "version": 3}


def _view(base: int, shape: tuple[int, ...], dtype: np.dtype, unit: int, owner: object) -> np.ndarray:
    """Overlapping rows of samples, one beginning at every ``unit`` bytes after ``base``.

    Only rows in the address table are ever read; those between them may be no memory at all.
    """
    within = tuple(int(np.prod(shape[i + 1 :], dtype=np.int64)) * dtype.itemsize for i in range(1, len(shape)))
    try:
        return as_strided(np.asarray(_Memory(base, dtype, owner)), shape, (unit, *within), writeable=False)
    except ValueError as error:  # the maps lie so far apart that the view would have more than 2**63 bytes
        raise CannotMapError from error
