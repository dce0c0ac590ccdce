"""Digests of bytes: which content a file, a folder or a value has."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xxhash

BLOCK = 1 << 22


def digest_bytes(*parts: bytes | memoryview) -> str:
    """Digest of the parts, in order (xxh3: it guards against accidents, not against an adversary)."""
    state = xxhash.xxh3_128()
    for part in parts:
        state.update(part)
    return state.hexdigest()


def digest_files(paths: Iterable[Path]) -> tuple[str, int]:
    """Digest and size of the content of ``paths``; a folder counts with all its files and their names inside it."""
    state, size = xxhash.xxh3_128(), 0
    for path in sorted(paths):
        members = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for member in members:
            if path.is_dir():
                state.update(str(member.relative_to(path)).encode())
            with member.open("rb") as file:
                while block := file.read(BLOCK):
                    state.update(block)
                    size += len(block)
    return state.hexdigest(), size


def digest_json(value: Any) -> str:
    """Digest of plain data, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
