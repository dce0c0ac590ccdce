"""How a version's arrays lie on disk: one sample per chunk, uncompressed, so that a training reader can map them.

A version holds all records of the one before it, in their places, and its own behind them. Shards that did not change
are hard links to the same bytes; only the last one, if it was not full, is written again.
"""

import json
import os
import shutil
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from storage.layout import Coordinate, Layout, Variable
from storage.mapped import shard_file
from storage.product import Product
from storage.publish import MANIFEST
from storage.stores import is_local, join, open_group, read_bytes, write_bytes
from storage.writes import ShardWrite, known

RECORD = "record"
SMALL_BYTES = 64 << 10
SHARD_BYTES = 64 << 20


class FieldLike(Protocol):
    """An array of a dataset without its first axis."""

    @property
    def dims(self) -> tuple[str, ...]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def attrs(self) -> Mapping[str, Any]: ...


def shard_records(n: int, fields: Mapping[str, FieldLike]) -> int:
    """Records in a shard: at most 64 MB of the largest array, and so few that rewriting one shard is no great part."""
    sample = max(prod(f.shape) * np.dtype(f.dtype).itemsize for f in fields.values())
    most = max(2, min(SHARD_BYTES // max(1, sample), max(8, n // 128)))
    return 1 << (int(most).bit_length() - 1)


def sample_bytes(fields: Mapping[str, FieldLike]) -> int:
    """Bytes of one sample in all its arrays."""
    return sum(prod(f.shape) * np.dtype(f.dtype).itemsize for f in fields.values())


def data(
    kind: str,
    fields: Mapping[str, FieldLike],
    constants: Mapping[str, Any],
    n: int,
    shard: int,
    flat: bool = True,
    **attrs: Any,
) -> Layout:
    """The records of a dataset; ``kind`` is the product's."""
    arrays = {name: _array(RECORD, field, n, shard, flat) for name, field in fields.items()}
    coords = {name: Coordinate(c.dims, np.asarray(c.values), c.attrs) for name, c in constants.items()}
    return Layout(kind, arrays, coords, {"Conventions": "CF-1.11", **attrs})


def is_flat(product: Product) -> bool:
    """Whether its shards lie side by side: those of the first datasets do not, and what grows from them follows."""
    key = next(array for _, array in open_group(product.uri).arrays() if array.shards).metadata.chunk_key_encoding
    return key.separator == "."


def embedding(n: int, n_feature: int, shard: int, flat: bool = True) -> Layout:
    """The embeddings of the records: what later versions are compared with. Not an array to train on, hence its axis."""
    dims, shape = ("entry", "feature"), (n, n_feature)
    described = Variable(dims, shape, "float32", (shard, n_feature), (max(1, shard // 2), n_feature), "raw", flat=flat)
    return Layout("dataset_embedding", {"embedding": described})


def survey(n_source: int, n_candidate: int, n_feature: int, n_fact: int) -> Layout:
    """Scratch: what is known of every candidate, one cell per source."""
    part = {
        "embedding": ("float32", (n_feature,)),
        "content": ("uint8", (16,)),
        "facts": ("float64", (n_fact,)),
        "usable": ("bool", ()),
    }
    return Layout(
        "survey", {name: _cells(n_source, (n_candidate, *shape), dtype) for name, (dtype, shape) in part.items()}
    )


def plan(origin: np.ndarray, place: np.ndarray) -> Layout:
    """Scratch: where each record comes from: a source's number or -1 for the parent version, and its place there."""
    origin, place = np.asarray(origin, np.int64), np.asarray(place, np.int64)
    coords = {"origin": Coordinate(("entry",), origin), "place": Coordinate(("entry", "number"), place)}
    return Layout("plan", {"none": _cells(1, (1,), "uint8")}, coords)


def _array(axis: str, field: FieldLike, n: int, shard: int, flat: bool) -> Variable:
    sample = prod(field.shape) * np.dtype(field.dtype).itemsize
    together = min(shard // 2, max(1, SMALL_BYTES // max(1, sample)))
    together = 1 << (together.bit_length() - 1)
    if sample * 4 > SMALL_BYTES:
        together = 1
    shape, cell, chunks = (n, *field.shape), (shard, *field.shape), (together, *field.shape)
    return Variable((axis, *field.dims), shape, field.dtype, cell, chunks, "raw", attrs=dict(field.attrs), flat=flat)


def _cells(n: int, shape: tuple[int, ...], dtype: str) -> Variable:
    whole, cell = (n, *shape), (1, *shape)
    return Variable(("cell", *(f"axis_{i}" for i in range(len(shape)))), whole, dtype, cell, cell, "lz4")


def link(parent: Product, child: Product, n_shard: int) -> int:
    """Give the first ``n_shard`` shards of every array of ``parent`` to ``child``, without copying them; return their bytes."""
    stored = json.loads(read_bytes(join(parent.uri, MANIFEST)))["shards"]
    total, records = 0, []
    for name, array in open_group(parent.uri).arrays():
        if name not in child or array.shards is None:
            continue
        values = prod(array.shards)
        for i in range(n_shard):
            file = f"{name}/{shard_file(array, i)}"
            size = _same_bytes(join(parent.uri, file), join(child.uri, file))
            records.append(ShardWrite(child.uri, file, stored[file], size, values, values))
            total += size
    known(records)
    return total


def _same_bytes(old: str, new: str) -> int:
    """Make ``new`` a hard link to ``old``, or a copy where there are no links; return the size."""
    if not is_local(old):
        content = read_bytes(old)
        write_bytes(new, content)
        return len(content)
    source, target = Path(old), Path(new)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
    return target.stat().st_size
