"""The records of a version to be: those of its parent in their places, the new ones behind, the removed ones left lying."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tasks.dataset.samples import Source
from tasks.dataset.selection import Pool, Selection

PARENT = -1
"""Origin of a record that is taken over from the parent version."""

COMPACT = 0.1
"""Share of removed records above which a version is written afresh without them."""


@dataclass(frozen=True)
class Survey:
    """What is known of all candidates: the pool, whether they are fit, their facts, source numbers and places."""

    pool: Pool
    usable: np.ndarray
    facts: dict[str, np.ndarray]
    source: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Fresh:
    """New samples: rows for the index, embeddings, which source each comes from and its place there."""

    rows: pd.DataFrame
    embedding: np.ndarray
    origin: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Previous:
    """The parent version: its index, the embeddings of all its records, what was removed from it before."""

    index: pd.DataFrame
    embedding: np.ndarray
    tombstones: Sequence[dict[str, Any]]
    records: int


@dataclass(frozen=True)
class Contents:
    """All records in their order, with everything that decides what is written.

    ``index`` has a row per living record; ``place`` is a record's number in the parent where ``origin`` is `PARENT`.
    ``kept_shards`` of the parent need not be written.
    """

    index: pd.DataFrame
    embedding: np.ndarray
    origin: np.ndarray
    place: np.ndarray
    content: list[str]
    tombstones: list[dict[str, Any]]
    kept_shards: int

    @property
    def training(self) -> np.ndarray:
        """Whether each record is a living training sample."""
        used = np.zeros(len(self.origin), bool)
        used[self.index.loc[self.index["split"] == "train", "record"].to_numpy()] = True
        return used


def new_rows(
    found: Survey, chosen: Selection, sources: Sequence[Source], place: Sequence[str], version: int
) -> pd.DataFrame:
    """Rows of the index for the samples that were ``chosen``; ``place`` names the axes of a place in a source."""
    rows = np.array(chosen.rows)
    pool, source = found.pool.at(rows), [sources[i] for i in found.source[rows].tolist()]
    facts = {name: values[rows] for name, values in found.facts.items()}
    simulated = facts.pop("simulated", np.array([bool(s.attrs.get("simulated")) for s in source]))
    columns = {
        "id": pool.ids,
        "record": np.zeros(len(rows), np.int64),
        "split": chosen.splits,
        "label": pool.labels,
        "group": pool.groups,
        "stratum": pool.strata,
        "weight": chosen.weights,
        "simulated": simulated.astype(bool),
        "content": pool.content,
        "version": np.full(len(rows), version),
        "source": [s.id for s in source],
        "source_digest": [s.digest for s in source],
        "source_uri": [s.uri for s in source],
    }
    places = {name: found.place[rows, i] for i, name in enumerate(place)}
    return pd.DataFrame({**columns, **places, **facts})


def first(fresh: Fresh) -> Contents:
    """The contents of a first version."""
    index = fresh.rows.assign(record=np.arange(len(fresh.rows)))
    return Contents(index, fresh.embedding, fresh.origin, fresh.place, index["content"].tolist(), [], 0)


def grown(previous: Previous, fresh: Fresh, removed: set[str], number: int, shard: int) -> Contents:
    """The contents of version ``number``: ``fresh`` behind ``previous``, without the samples ``removed``."""
    gone = previous.index["id"].isin(removed)
    stones = [*previous.tombstones, *_stones(previous.index[gone], number)]
    alive = previous.index[~gone]
    records, content = np.arange(previous.records), _by_record(previous)
    kept = previous.records // shard
    if len(stones) > COMPACT * (previous.records + len(fresh.rows)):
        records, content, stones, kept = alive["record"].to_numpy(), alive["content"].tolist(), [], 0
        alive = alive.assign(record=np.arange(len(alive)))
    added = fresh.rows.assign(record=len(records) + np.arange(len(fresh.rows)))
    place = np.zeros((len(records), fresh.place.shape[1]), np.int64)
    place[:, 0] = records
    return Contents(
        index=pd.concat([alive, added], ignore_index=True),
        embedding=np.concatenate([previous.embedding[records], fresh.embedding]),
        origin=np.concatenate([np.full(len(records), PARENT), fresh.origin]),
        place=np.concatenate([place, fresh.place]),
        content=content + added["content"].tolist(),
        tombstones=stones,
        kept_shards=kept,
    )


def _stones(gone: pd.DataFrame, number: int) -> list[dict[str, Any]]:
    facts = zip(gone["id"].tolist(), gone["record"].tolist(), gone["content"].tolist(), strict=True)
    return [
        {"id": i, "record": r, "content": c, "version": number, "reason": "bridged two splits"} for i, r, c in facts
    ]


def _by_record(previous: Previous) -> list[str]:
    """Content hash of each record, those of removed ones among them."""
    content = [""] * previous.records
    for record, value in zip(previous.index["record"].tolist(), previous.index["content"].tolist(), strict=True):
        content[record] = value
    for stone in previous.tombstones:
        content[stone["record"]] = stone["content"]
    return content
