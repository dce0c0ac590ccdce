"""Version ids: what makes two versions the same."""

import hashlib
import json
from collections.abc import Mapping, Sequence
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


def sample_id(source: str, place: Sequence[int], recipe: str) -> str:
    """Id of a sample: the hash of its source's digest, its place there, and the recipe that cut it."""
    text = json.dumps([source, [int(p) for p in place], recipe])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
