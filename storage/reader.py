"""Random batches for training, nearly as fast as a memory map: `ShardReader(uri)[indices]` is a dict of arrays.

It reads any Zarr v3 group whose arrays share a first axis called ``record``; no manifest, index or database is needed.
Checksums of the data are not looked at here, where they would cost more than the reading: see `nightloom datasets verify`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import EllipsisType
from typing import Any

import numpy as np
import zarr

from storage.batches import Schedule
from storage.errors import StoreError
from storage.mapped import DecodedArray, MappedArray, open_records
from storage.stores import is_local, open_group

RECORD = "record"

Index = int | slice | Sequence[int] | np.ndarray | EllipsisType


class ShardReader:
    """The records of a dataset, by number.

    Parameters
    ----------
    uri : str or path
        A Zarr group, local or ``s3://...``. Uncompressed shards on a local disk are memory-mapped; everything else
        is decoded through zarr, with the same result.
    variables : sequence of str, optional
        The arrays to read; by default all whose first axis is ``record``.
    within : range, optional
        The only records that will be asked for: shards without any of them are not even opened.
    """

    def __init__(self, uri: str | Path, variables: Sequence[str] | None = None, within: range | None = None) -> None:
        self.uri = str(uri).removeprefix("file://")
        self._wanted = None if variables is None else tuple(variables)
        self._within = within

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.uri, self._wanted, self._within)

    def __len__(self) -> int:
        return next(iter(self._arrays.values())).shape[0]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the arrays in a batch."""
        return tuple(self._arrays)

    @property
    def dims(self) -> Mapping[str, tuple[str | None, ...]]:
        """Names of each array's axes."""
        return {name: _dims(array) for name, array in self._arrays.items()}

    @property
    def mapped(self) -> tuple[str, ...]:
        """Names of the arrays that are memory-mapped; the others are decoded."""
        return tuple(name for name, records in self._records.items() if isinstance(records, MappedArray))

    def __getitem__(self, indices: Index) -> dict[str, np.ndarray]:
        """The records at ``indices`` as NumPy would index the first axis: repeats, negatives, slices, a mask.

        Raises
        ------
        IndexError
            If a record is not there.
        """
        if isinstance(indices, int | np.integer):
            return {name: values[0] for name, values in self.gather(self._numbers([indices])).items()}
        return self.gather(self._numbers(indices))

    def gather(self, indices: np.ndarray, crop: Mapping[str, slice] | None = None) -> dict[str, np.ndarray]:
        """The records at ``indices``; axes named in ``crop`` are cut, and only what remains is read."""
        try:
            return {name: r.gather(indices, self._cut(name, crop)) for name, r in self._records.items()}
        except IndexError as error:
            raise IndexError(
                f"record {_outside(indices, len(self))} was asked for, but {self.uri} holds {len(self)}"
            ) from error

    def cupy(self, indices: Index) -> dict[str, Any]:
        """The records at ``indices`` as CuPy arrays: gathered straight into pinned memory, and copied from there."""
        import cupy
        import cupyx

        rows, batch = self._numbers(indices), {}
        for name, records in self._records.items():
            array = self._arrays[name]
            staged = cupyx.empty_pinned((len(rows), *array.shape[1:]), array.dtype)
            if isinstance(records, MappedArray):
                records.gather_into(staged, rows)
            else:
                staged[...] = records.gather(rows)
            batch[name] = cupy.empty(staged.shape, staged.dtype)
            batch[name].set(staged)
        return batch

    def batches(self, schedule: Schedule, epoch: int = 0, *, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """The batches of one epoch, from step ``start``: where a training run stopped it goes on."""
        for step in range(start, schedule.steps):
            indices, crop = schedule.step(epoch, step)
            yield self.gather(indices, crop)

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array]:
        try:
            group = open_group(self.uri)
        except FileNotFoundError as error:
            raise StoreError(
                f"{self.uri} is not a Zarr group; give the address that `nightloom datasets ls` shows"
            ) from error
        found = self._choose(dict(sorted(group.arrays())))
        if missing := set(self._wanted or ()) - set(found):
            raise StoreError(
                f"{self.uri} holds no array called {min(missing)!r} along {RECORD!r}, only {sorted(found)}"
            )
        lengths = {name: array.shape[0] for name, array in found.items()}
        if len(set(lengths.values())) != 1:
            raise StoreError(
                f"{self.uri}: arrays that share the first axis {RECORD!r} were expected, found lengths {lengths}"
            )
        return found

    def _choose(self, arrays: dict[str, zarr.Array]) -> dict[str, zarr.Array]:
        """The wanted arrays; else those along ``record``; else, in a group without names for axes, all."""
        if self._wanted is not None:
            return {name: arrays[name] for name in self._wanted if name in arrays and arrays[name].ndim}
        along = {name: array for name, array in arrays.items() if array.ndim and _dims(array)[0] == RECORD}
        return along or {name: array for name, array in arrays.items() if array.ndim and _dims(array)[0] is None}

    @cached_property
    def _records(self) -> dict[str, MappedArray | DecodedArray]:
        folder = Path(self.uri) if is_local(self.uri) else None
        return {
            name: open_records(array, folder and folder / name, self._within) for name, array in self._arrays.items()
        }

    def _numbers(self, indices: Index) -> np.ndarray:
        numbers = self._all_numbers(indices)
        if (within := self._within) is not None and len(numbers):
            asked = numbers % len(self)
            if asked.min() < within.start or asked.max() >= within.stop:
                raise IndexError(f"records {asked.min()} to {asked.max()} were asked for, only {within} may be")
        return numbers

    def _all_numbers(self, indices: Index) -> np.ndarray:
        if isinstance(indices, slice | EllipsisType):
            return np.arange(len(self))[indices]
        numbers = np.asarray(indices)
        if numbers.dtype == bool:
            if numbers.shape != (len(self),):
                raise IndexError(
                    f"a mask of shape {numbers.shape} was given, expected ({len(self)},): one value for each record"
                )
            return np.flatnonzero(numbers)
        if numbers.size == 0:
            return np.zeros(0, np.int64)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise IndexError(f"record numbers must be a row of integers, got {numbers.dtype} of shape {numbers.shape}")
        return numbers.astype(np.int64, copy=False)

    def _cut(self, name: str, crop: Mapping[str, slice] | None) -> tuple[slice, ...]:
        if not crop:
            return ()
        return tuple(crop.get(dim or "", slice(None)) for dim in _dims(self._arrays[name])[1:])


def _dims(array: zarr.Array) -> tuple[str | None, ...]:
    names = getattr(array.metadata, "dimension_names", None)
    return tuple(names) if names else (None,) * array.ndim


def _outside(indices: np.ndarray, n: int) -> int:
    return int(indices[(indices >= n) | (indices < -n)][0])
