"""Version ids and differences: what makes two versions the same, and what changed between two that are not."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def recipe_hash(recipe: Mapping[str, Any]) -> str:
    """Hash of a recipe's plain data, whatever the order of its keys."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def version_id(shards: Mapping[str, str], recipe: Mapping[str, Any]) -> str:
    """Id of a version: the hash of its shards' names and SHA-256 sums, and of its recipe; no times, no attributes."""
    digest = hashlib.sha256(recipe_hash(recipe).encode())
    for name, checksum in sorted(shards.items()):
        digest.update(f"\n{checksum}  {name}".encode())
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class SampleFacts:
    """What identifies a sample in a comparison."""

    content: str
    label: str
    split: str
    group: str


@dataclass(frozen=True)
class Difference:
    """What changed from one version to another, by sample id."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    relabelled: tuple[str, ...]
    moved: tuple[str, ...]
    labels: Mapping[str, tuple[int, int]]
    splits: Mapping[str, tuple[int, int]]
    groups: tuple[int, int]


def difference(old: Mapping[str, SampleFacts], new: Mapping[str, SampleFacts]) -> Difference:
    """Compare two versions sample by sample; ``moved`` (to another split) is empty unless something is very wrong."""
    both = sorted(old.keys() & new.keys())
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(i for i in both if old[i].content != new[i].content),
        relabelled=tuple(i for i in both if old[i].label != new[i].label),
        moved=tuple(i for i in both if old[i].split != new[i].split),
        labels=_counts(old, new, "label"),
        splits=_counts(old, new, "split"),
        groups=(len({f.group for f in old.values()}), len({f.group for f in new.values()})),
    )


def _counts(old: Mapping[str, SampleFacts], new: Mapping[str, SampleFacts], field: str) -> dict[str, tuple[int, int]]:
    before, after = (Counter(getattr(f, field) for f in facts.values()) for facts in (old, new))
    return {name: (before[name], after[name]) for name in sorted({*before, *after})}
