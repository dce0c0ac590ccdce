"""Publishing: a finished staging area is validated, gets its manifest, and only then its public name."""

import json
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import zarr

from storage.digest import digest_bytes, digest_json
from storage.errors import InvalidProductError, StoreError
from storage.stores import (
    exists,
    files,
    flush,
    is_local,
    join,
    move,
    open_group,
    open_store,
    read_bytes,
    remove,
    write_bytes,
)
from storage.writes import ShardWrite

MANIFEST = "manifest.json"


def seal(uri: str, written: Iterable[ShardWrite], attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the group at ``uri``, add ``attrs``, consolidate its metadata and write its manifest; return the manifest.

    Raises
    ------
    InvalidProductError
        If a recorded shard is missing or has another size than when it was written, or a shard was never written.
    """
    known = {w.file: w for w in written if w.uri == uri}
    _refuse_holes(uri, known)
    group = zarr.open_group(open_store(uri), mode="r+")
    group.attrs.update(dict(attrs))
    with (
        warnings.catch_warnings()
    ):  # consolidated metadata is young in Zarr v3, but xarray opens a group faster with it
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(group.store)
    shards = {}
    for file, size in files(uri):
        if file.endswith("zarr.json") or file == MANIFEST:
            continue
        if file.endswith(".partial"):  # what a writer that was killed left half written, under a name of its own
            remove(join(uri, file))
            continue
        recorded = known.get(file)
        if recorded is not None and recorded.bytes != size:
            raise InvalidProductError(
                f"{uri}/{file} holds {size} bytes, {recorded.bytes} were written; run the flow again"
            )
        shards[file] = recorded.digest if recorded else digest_bytes(read_bytes(join(uri, file)))
    manifest = {
        "digest": digest_json(shards),
        "bytes": sum(size for _, size in files(uri)),
        "finite_fraction": _finite_fraction(known.values()),
        "shards": shards,
    }
    write_bytes(join(uri, MANIFEST), json.dumps(manifest, indent=1).encode())
    flush(uri)
    return manifest


def _refuse_holes(uri: str, known: Mapping[str, ShardWrite]) -> None:
    """Every shard of every array must be there; a hole would be read as zeros."""
    present = {file for file, _ in files(uri)}
    for name, array in open_group(uri).arrays():
        wanted = {f"{name}/{array.metadata.encode_chunk_key(i)}" for i in _shard_indexes(array)}
        missing = sorted((wanted | {f for f in known if f.startswith(f"{name}/")}) - present)
        if missing:
            raise InvalidProductError(
                f"{uri}: {len(missing)} of {len(wanted)} shards of {name!r} are missing, first {missing[0]}; run the flow again"
            )


def _shard_indexes(array: zarr.Array) -> Iterable[tuple[int, ...]]:
    from itertools import product

    cell = array.shards or array.chunks
    return product(*(range(-(-n // c)) for n, c in zip(array.shape, cell, strict=True)))


def _finite_fraction(written: Iterable[ShardWrite]) -> float | None:
    records = list(written)
    values = sum(w.values for w in records)
    return sum(w.finite for w in records) / values if values else None


def release(staged: str, public: str) -> None:
    """Give the sealed product its public name; on an object store it has it already."""
    if staged != public and is_local(staged):
        move(staged, public)


def verify(uri: str) -> list[str]:
    """Names of the shards at ``uri`` that are missing or differ from the manifest; empty when all is well."""
    if not exists(join(uri, MANIFEST)):
        raise StoreError(f"{uri} has no manifest; only published products can be verified")
    manifest = json.loads(read_bytes(join(uri, MANIFEST)))
    present = {file for file, _ in files(uri)}
    return [
        file
        for file, digest in manifest["shards"].items()
        if file not in present or digest_bytes(read_bytes(join(uri, file))) != digest
    ]
