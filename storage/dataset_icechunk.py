"""A dataset that grows in one Icechunk repository: each version is a commit with a tag, readers go back to any of them.

Icechunk adds transactions and time travel to Zarr; a commit writes only what changed. On a local disk it is not safe
for two committers, hence one lease for each repository.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import zarr

from storage.dataset_files import DATA, read_index, read_manifest
from storage.dataset_state import only_builder
from storage.errors import BadInputError
from storage.mapped import shard_file
from storage.stores import is_local, join, open_group

if TYPE_CHECKING:
    import icechunk
    import pandas as pd

BRANCH = "main"
TOGETHER_BYTES = 1 << 20
"""Bytes of one chunk: small samples lie together, or the repository would hold a file for each."""


def commit(folder: str, target: str) -> str:
    """Bring the repository at ``target`` to the version in ``folder``; return the tag that readers open.

    Raises
    ------
    BadInputError
        If the repository holds another dataset, or a later version of this one.
    """
    manifest = read_manifest(folder)
    tag = f"v{manifest['number']:03d}"
    with only_builder(f"icechunk {target}"):
        repository = _library().Repository.open_or_create(_storage(target))
        if tag not in repository.list_tags():
            repository.create_tag(tag, _snapshot(repository, folder, manifest, target))
    _refuse_another(dict(opened(target, tag).attrs), manifest, target)
    return tag


def opened(target: str, tag: str) -> zarr.Group:
    """The version called ``tag`` in the repository at ``target``, to be read."""
    session = _library().Repository.open(_storage(target)).readonly_session(tag=tag)
    return zarr.open_group(session.store, mode="r")


def _snapshot(repository: "icechunk.Repository", folder: str, manifest: Mapping[str, Any], target: str) -> str:
    """The snapshot that holds this version: a new commit, or one whose process was killed before it set the tag."""
    session = repository.writable_session(BRANCH)
    root = zarr.open_group(session.store, mode="a")
    _refuse_another(dict(root.attrs), manifest, target)
    if root.attrs.get("version_id") == manifest["version_id"]:
        return session.snapshot_id
    _write_changes(root, folder, manifest)
    return session.commit(f"{manifest['dataset']} version {manifest['number']}: {manifest['version_id']}")


def _refuse_another(attrs: Mapping[str, Any], manifest: Mapping[str, Any], target: str) -> None:
    name, number = attrs.get("dataset", manifest["dataset"]), attrs.get("number", 0)
    if name != manifest["dataset"] or number > manifest["number"]:
        raise BadInputError(
            f"{target} holds {name} up to version {number}, and version {manifest['number']} of {manifest['dataset']} "
            "cannot follow it; name another folder"
        )
    if number == manifest["number"] and attrs["version_id"] != manifest["version_id"]:
        raise BadInputError(f"{target} holds another version {number} of {name}; name another folder")


def _write_changes(root: zarr.Group, folder: str, manifest: Mapping[str, Any]) -> None:
    """Copy the shards whose checksums differ from those the repository was last given, and all that is small."""
    source, known = open_group(join(folder, DATA)), _given(root)
    sums = {name: sha for name, sha in manifest["files"].items() if name.startswith(f"{DATA}/")}
    for name, array in source.arrays():
        if array.shards is None:
            _replace(root, name, np.asarray(array[...]), array)
            continue
        copy, shard = _same_array(root, name, array, array.shards[0]), array.shards[0]
        for i, start in enumerate(range(0, array.shape[0], shard)):
            file = f"{DATA}/{name}/{shard_file(array, i)}"
            if known.get(file) != sums[file]:
                copy[start : start + shard] = array[start : start + shard]
    _write_index(root, read_index(folder), manifest["records"])
    root.attrs.update({k: manifest[k] for k in ("dataset", "kind", "number", "version_id")} | {"shards": sums})


def _given(root: zarr.Group) -> Mapping[str, str]:
    """Checksums of the shards that the repository was last given, by file name."""
    return cast("Mapping[str, str]", root.attrs.asdict().get("shards", {}))


def _same_array(root: zarr.Group, name: str, array: zarr.Array, shard: int) -> zarr.Array:
    """The repository's array of this name, as long as ``array``; its chunks hold about a megabyte."""
    if name in root:
        copy = root[name]
        assert isinstance(copy, zarr.Array)
        copy.resize(array.shape)
        return copy
    sample = int(np.prod(array.shape[1:])) * array.dtype.itemsize
    chunks = (max(1, min(shard, TOGETHER_BYTES // max(1, sample))), *array.shape[1:])
    return root.create_array(
        name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=chunks,
        dimension_names=array.metadata.dimension_names,
        attributes=dict(array.attrs),
    )


def _write_index(root: zarr.Group, index: "pd.DataFrame", records: int) -> None:
    """Split and label of every record as CF flags; a record that was removed has flag -1."""
    for column in ("split", "label"):
        names = sorted(index[column].unique())
        flags = np.full(records, -1, np.int16)
        flags[index["record"].to_numpy()] = index[column].map(names.index).to_numpy()
        attrs = {"flag_values": list(range(len(names))), "flag_meanings": " ".join("_".join(n.split()) for n in names)}
        _replace(root, f"{column}_flag", flags, None, dimension_names=("record",), attributes=attrs)


def _replace(root: zarr.Group, name: str, values: np.ndarray, like: zarr.Array | None, **described: Any) -> None:
    if like is not None:
        described = {"dimension_names": like.metadata.dimension_names, "attributes": dict(like.attrs)}
    root.create_array(name, data=values, chunks=tuple(max(1, n) for n in values.shape), overwrite=True, **described)


def _storage(target: str) -> "icechunk.Storage":
    if is_local(target):
        return _library().local_filesystem_storage(target)
    bucket, _, prefix = target.removeprefix("s3://").partition("/")
    return _library().s3_storage(bucket=bucket, prefix=prefix, from_env=True)


def _library() -> Any:
    try:
        import icechunk
    except ImportError as error:
        raise BadInputError(
            "icechunk is not installed, and this export needs it: pip install 'nightloom[icechunk]'"
        ) from error
    icechunk.set_logs_filter("error")  # it warns of two committers, which the lease keeps apart
    return icechunk
