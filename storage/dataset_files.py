"""The files beside a version's arrays: the index of its samples, checksums, statistics, and what is removed but still there."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from storage.stores import exists, files, join, read_bytes

if TYPE_CHECKING:
    import pandas as pd

    from storage.dataset import DatasetVersion

INDEX, STATS, MANIFEST = "index.parquet", "stats.json", "manifest.json"
CROISSANT, DATASHEET, CONTACT = "croissant.json", "datasheet.md", "contact.png"
DATA, EMBEDDING = "data.zarr", "embedding.zarr"
UNSUMMED = ("zarr.json", MANIFEST, CROISSANT)
"""Files without a checksum: attributes, the list of checksums itself, and what quotes that list's own."""


def sha256(content: bytes) -> str:
    """SHA-256 sum, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def index_bytes(index: "pd.DataFrame") -> bytes:
    """The index as a Parquet file; equal tables give equal bytes."""
    buffer = io.BytesIO()
    index.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def read_index(folder: str) -> "pd.DataFrame":
    """One row per sample of the version in ``folder``, by record."""
    import pandas as pd

    return pd.read_parquet(io.BytesIO(read_bytes(join(folder, INDEX))))


def read_manifest(folder: str) -> dict[str, Any]:
    """The manifest of the version in ``folder``."""
    return json.loads(read_bytes(join(folder, MANIFEST)))


def read_stats(folder: str) -> dict[str, Any]:
    """The statistics of the version in ``folder``."""
    return json.loads(read_bytes(join(folder, STATS)))


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """``value`` as a JSON file that a person can read."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def damaged(folder: str) -> list[str]:
    """Files of a version that are missing or differ from their checksums."""
    sums = read_manifest(folder)["files"]
    present = {name for name, _ in files(folder)}
    return [
        name
        for name, checksum in sums.items()
        if name not in present or sha256(read_bytes(join(folder, name))) != checksum
    ]


def facts_of(index: "pd.DataFrame") -> dict[str, Any]:
    """What identifies each sample in a comparison, by id."""
    from types import SimpleNamespace

    columns = (index[name].tolist() for name in ("id", "content", "label", "split", "group"))
    return {
        i: SimpleNamespace(content=c, label=lab, split=s, group=g) for i, c, lab, s, g in zip(*columns, strict=True)
    }


def compare(old: "DatasetVersion", new: "DatasetVersion") -> dict[str, Any]:
    """What changed between two versions of a dataset: samples, labels, groups, splits, statistics."""
    before, after = (facts_of(read_index(v.folder)) for v in (old, new))
    both = sorted(before.keys() & after.keys())
    moved = [i for i in both if before[i].split != after[i].split]
    return {
        "from": old.id,
        "to": new.id,
        "added": len(after.keys() - before.keys()),
        "removed": len(before.keys() - after.keys()),
        "changed": [i for i in both if before[i].content != after[i].content],
        "relabelled": [i for i in both if before[i].label != after[i].label],
        "moved_between_splits": moved,
        "splits": _two(before, after, "split"),
        "labels": _two(before, after, "label"),
        "groups": [len({f.group for f in facts.values()}) for facts in (before, after)],
        "mean_shift_in_std": _shift(read_stats(old.folder), read_stats(new.folder)),
        "added_ids": sorted(after.keys() - before.keys())[:20],
        "removed_ids": sorted(before.keys() - after.keys())[:20],
    }


def _two(before: Mapping[str, Any], after: Mapping[str, Any], field: str) -> dict[str, list[int]]:
    from collections import Counter

    counts = [Counter(getattr(f, field) for f in facts.values()) for facts in (before, after)]
    return {name: [c[name] for c in counts] for name in sorted({*counts[0], *counts[1]})}


def _shift(old: Mapping[str, Any], new: Mapping[str, Any]) -> float | None:
    """Largest change of a channel's mean, in its standard deviations."""
    moved = [
        abs(b - a) / s
        for a, b, s in zip(old["mean"], new["mean"], old["std"], strict=False)
        if a is not None and b is not None and s
    ]
    return max(moved, default=None)


def checksums(folder: str, done: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of every stored file in ``folder`` that counts; those in ``done`` are not read again."""
    names = [name for name, _ in files(folder) if name.rsplit("/", 1)[-1] not in UNSUMMED]
    return {name: done.get(name) or sha256(read_bytes(join(folder, name))) for name in names}


def shard_sums(sums: Mapping[str, str], arrays: Sequence[str]) -> dict[str, str]:
    """The checksums that make a version's identity: those of the shards of its arrays."""
    prefixes = tuple(f"{DATA}/{name}/" for name in arrays)
    return {name: checksum for name, checksum in sums.items() if name.startswith(prefixes)}


def is_version(folder: str) -> bool:
    """Whether a whole version lies in ``folder``."""
    return exists(join(folder, MANIFEST))
