"""Where a dataset stands before a build: its recipe, its newest version with everything the next one goes on from."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import numpy as np

from storage import lease
from storage.database import patiently
from storage.dataset import Dataset, DatasetVersion, dataset, known_sources, stored_splits, versions
from storage.dataset_files import EMBEDDING, is_version, read_index, read_manifest, read_stats
from storage.digest import digest_json
from storage.errors import BadInputError
from storage.product import Product
from storage.reader import ShardReader
from storage.stores import join

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("nightloom")


@dataclass(frozen=True)
class Parent:
    """The newest version of a dataset."""

    row: DatasetVersion
    index: "pd.DataFrame"
    manifest: dict[str, Any]
    stats: dict[str, Any]

    @property
    def data(self) -> Product:
        """Its records."""
        return Product(self.row.uri, "")

    @property
    def embedding(self) -> Product:
        """The array of its embeddings."""
        return Product(join(self.row.folder, EMBEDDING), "embedding")

    @cached_property
    def embeddings(self) -> np.ndarray:
        """Its embeddings (record, feature)."""
        return ShardReader(self.embedding.uri, ["embedding"])[:]["embedding"]


@dataclass(frozen=True)
class State:
    """All that is known of a dataset; ``dataset`` and ``parent`` are None before the first build."""

    name: str
    dataset: Dataset | None
    parent: Parent | None
    splits: dict[str, str]
    sources: dict[str, str]

    @property
    def next_number(self) -> int:
        """Number of the version to build."""
        return self.parent.row.number + 1 if self.parent else 1


def state_of(name: str, recipe: Mapping[str, Any], recipe_hash: str) -> State:
    """Where the dataset called ``name`` stands.

    Raises
    ------
    BadInputError
        If it was built by another recipe: its samples would not be comparable.
    """
    made = dataset(name)
    if made is not None and made.recipe_hash != recipe_hash:
        differing = sorted(k for k in {*recipe, *made.recipe} if recipe.get(k) != made.recipe.get(k))
        was = ", ".join(f"{k} = {made.recipe.get(k)!r}" for k in differing)
        raise BadInputError(f"dataset {name!r} was built with {was}; use the same, or give this one another name")
    found = versions(name)
    return State(name, made, _parent(found[-1]) if found else None, stored_splits(name), known_sources(name))


def _parent(row: DatasetVersion) -> Parent:
    if not is_version(row.folder):
        raise BadInputError(
            f"{row.id} has vanished from {row.folder}, and the next version would be built upon it; bring it back, or build under another name"
        )
    return Parent(row, read_index(row.folder), read_manifest(row.folder), read_stats(row.folder))


@contextmanager
def only_builder(name: str) -> Iterator[None]:
    """Let one build of the dataset ``name`` happen at a time; another waits here until its result can be built upon."""
    key, token, told = digest_json(["dataset", name]), token_hex(8), False
    while (holder := patiently(lambda: lease.acquire(key, token))) is not None:
        if not told:
            log.info("dataset %s is being built on %s; waiting for that version", name, holder.host)
            told = True
        time.sleep(0.5)
    try:
        with lease.kept_alive(key, token):
            yield
    finally:
        patiently(lambda: lease.release(key, token))
