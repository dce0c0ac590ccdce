"""Layouts: what a product's arrays look like, described apart from making them.

The rule behind every number: one shard is one tile's core, so that each shard has one writer; inside it chunks of 1-4 MB
keep both a spectrum and a band cheap to read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np

CHUNK_BYTES = 4 << 20
Codec = Literal["zstd", "lz4", "raw"]


@dataclass(frozen=True)
class Variable:
    """One array: ``cell`` is the region that one writer owns (a shard, or one chunk when it is small).

    ``flat`` puts its shards side by side into one folder, which is better for many that are linked and listed.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    cell: tuple[int, ...]
    chunks: tuple[int, ...]
    codec: Codec
    fill_value: Any = 0
    attrs: Mapping[str, Any] = field(default_factory=dict)
    flat: bool = False


@dataclass(frozen=True)
class Coordinate:
    """Values along dimensions, small enough to be written whole when the product is made."""

    dims: tuple[str, ...]
    values: np.ndarray
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """A Zarr group: its kind, its arrays, their coordinates. The first variable is the main one."""

    kind: str
    variables: Mapping[str, Variable]
    coords: Mapping[str, Coordinate] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> str:
        """Name of the main variable."""
        return next(iter(self.variables))


def variable(
    dims: Sequence[str],
    shape: Sequence[int],
    dtype: Any,
    cell: Sequence[int] | None = None,
    *,
    codec: Codec | None = None,
    fill_value: Any = 0,
    **attrs: Any,
) -> Variable:
    """Describe an array; ``cell`` (default: all of it) is rounded up so that chunks of at most 4 MB divide it.

    ``codec``: by default the one that costs least for its size, lz4 for floats and booleans, zstd for integers.
    """
    shape, kind = tuple(int(n) for n in shape), np.dtype(dtype)
    wanted = tuple(min(max(1, int(c)), max(1, n)) for c, n in zip(cell or shape, shape, strict=True))
    chunks = _chunks(wanted, kind.itemsize)
    rounded = tuple(-(-c // k) * k for c, k in zip(wanted, chunks, strict=True))
    return Variable(tuple(dims), shape, kind.name, rounded, chunks, codec or _codec(kind), fill_value, attrs)


def _codec(kind: np.dtype) -> Codec:
    """The low bits of measured floats are noise, which zstd cannot shorten either; counts it makes a few per cent smaller."""
    return "zstd" if kind.kind in "iu" else "lz4"


def _chunks(cell: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Halve the longest axis until a chunk fits; the last axis (a spectrum, a row) is kept whole as long as it can be."""
    chunks = list(cell)
    while prod(chunks) * itemsize > CHUNK_BYTES:
        leading = chunks[:-1] if max(chunks[:-1], default=1) > 1 else chunks
        axis = leading.index(max(leading))
        chunks[axis] = -(-chunks[axis] // 2)
    return tuple(chunks)
