"""The stages of dataset construction: survey the candidates, write the shards, read every sample back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from prefect import task

from storage import dataset_layout as layouts
from storage.dataset_files import DATA, sha256
from storage.mapped import shard_file
from storage.product import Product
from storage.reader import ShardReader
from storage.stores import join, open_group, read_bytes
from tasks.array.namespace import to_device, to_host
from tasks.array.tiling import Tile, tiles
from tasks.dataset.content import content_hashes
from tasks.dataset.contents import Survey
from tasks.dataset.moments import Moments, merge, moments
from tasks.dataset.samples import Field, Kind, Samples, Source
from tasks.dataset.selection import Pool, Rules, Selection, select
from tasks.dataset.versions import sample_id
from tasks.stage import StageReport, run_stage

LONGEST = 200
"""Characters of a group key."""

BATCH = 256
"""Candidates read at once."""


@task
def survey(sources: Sequence[Source], kind: Kind, scratch: Product, names: Sequence[str], recipe: str) -> Survey:
    """Look at every candidate of every source once: hash, embedding, facts, fitness."""
    report = run_stage(survey_source, tiles((len(sources),), (1,)), sources, kind, scratch, names, splits=False)
    return _gather(report, sources, kind, scratch, names, recipe)


def survey_source(
    tile: Tile, sources: Sequence[Source], kind: Kind, scratch: Product, names: Sequence[str]
) -> dict[str, Any]:
    """Survey one source into its cell; labels and groups, which are texts, travel in the record."""
    source = sources[tile.core[0].start]
    places = kind.positions(source)
    cell = {
        name: np.zeros(scratch[name].shape[1:], scratch[name].dtype)
        for name in ("embedding", "content", "facts", "usable")
    }
    labels: list[str] = []
    groups: list[str] = []
    for start in range(0, len(places), BATCH):
        rows, part = slice(start, start + BATCH), places[start : start + BATCH]
        found = kind.load(source, part)
        hashes = _hashes(found.arrays)
        cell["content"][rows][: len(part)] = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, 16)
        cell["embedding"][rows][: len(part)] = to_host(kind.embed(_on_device(found)))
        cell["facts"][rows][: len(part)] = np.stack([found.facts[name] for name in names], axis=-1)
        cell["usable"][rows][: len(part)] = found.usable
        labels += found.labels
        groups += map(_bounded, kind.groups(source, part, found))
    for name, values in cell.items():
        scratch[name].write((tile.core[0], *(slice(0, n) for n in values.shape)), values[None])
    return {"n": len(places), "labels": _short(labels), "groups": _short(groups)}


def _on_device(samples: Samples) -> Samples:
    """The samples with their arrays where embeddings are computed."""
    return replace(samples, arrays={name: to_device(values) for name, values in samples.arrays.items()})


def _bounded(group: str) -> str:
    """A group key that fits a database column: the end of a long one is hashed."""
    return group if len(group) <= LONGEST else f"{group[:160]}#{blake2b(group.encode(), digest_size=16).hexdigest()}"


def _short(texts: list[str]) -> list[str]:
    """One text for all, if they are the same."""
    return texts[:1] if len(set(texts)) == 1 else texts


def _gather(
    report: StageReport, sources: Sequence[Source], kind: Kind, scratch: Product, names: Sequence[str], recipe: str
) -> Survey:
    counts = [record["n"] for record in report.records]
    cells = {name: scratch[name].read() for name in ("embedding", "content", "facts", "usable")}
    flat = {
        name: np.concatenate([c[:n] for c, n in zip(values, counts, strict=True)]) for name, values in cells.items()
    }
    places = [kind.positions(s) for s in sources]
    number = np.repeat(np.arange(len(sources)), counts)
    pool = Pool(
        ids=[sample_id(s.digest, p, recipe) for s, ps in zip(sources, places, strict=True) for p in ps.tolist()],
        content=[bytes(row).hex() for row in flat["content"]],
        labels=_long(report.records, "labels"),
        groups=_long(report.records, "groups"),
        strata=[sources[i].stratum for i in number.tolist()],
        embedding=flat["embedding"],
    )
    facts = {name: flat["facts"][:, i] for i, name in enumerate(names)}
    return Survey(pool, flat["usable"].astype(bool), facts, number, np.concatenate(places))


def _long(records: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return [text for r in records for text in (r[name] * r["n"] if len(r[name]) == 1 else r[name])]


@task
def choose(found: Survey, earlier: Pool, stored: Mapping[str, str], rules: Rules) -> Selection:
    """Decide which candidates enter, and into which split."""
    return select(found.pool, found.usable, earlier, stored, rules)


@task
def link_shards(parent: Product, data: Product, n_shard: int, name: str) -> int:
    """Take over the shards that do not change; return their bytes."""
    if n_shard == 0:
        return 0
    return sum(run_stage(link_tile, tiles((1,), (1,)), parent, data, n_shard, name=name, splits=False).records)


def link_tile(tile: Tile, parent: Product, data: Product, n_shard: int) -> int:
    """All links are made at once: a link costs less than a tile."""
    return layouts.link(parent, data, n_shard)


@dataclass(frozen=True)
class Writing:
    """What the writing of shards needs to know."""

    kind: Kind
    fields: Mapping[str, Field]
    sources: Sequence[Source]
    plan: Product
    data: Product
    embedding: Product
    parent: Product | None
    shard: int
    first: int
    """The first shard to write; those before are linked."""

    def tiles(self) -> list[Tile]:
        """One tile per shard that is to be written."""
        return tiles((self.data.shape[0],), (self.shard,))[self.first :]


@task
def write_shards(writing: Writing, embedding: np.ndarray) -> StageReport:
    """Write the samples, shard by shard; embeddings, which the driver holds, are written by it."""
    report = run_stage(write_shard, writing.tiles(), writing)
    for tile in writing.tiles():
        rows = tile.core[0]
        writing.embedding.write((rows, slice(0, embedding.shape[1])), embedding[rows.start : rows.stop])
    return report


def write_shard(tile: Tile, writing: Writing) -> dict[str, Any]:
    """Read the samples of one shard from where they come from, and write them."""
    rows = tile.core[0]
    origin, place = (writing.plan[name].read()[rows] for name in ("origin", "place"))
    arrays = {name: np.zeros((len(origin), *f.shape), f.dtype) for name, f in writing.fields.items()}
    for number in np.unique(origin):
        mine = np.flatnonzero(origin == number)
        for start in range(0, len(mine), BATCH):
            part = mine[start : start + BATCH]
            for name, values in _samples(writing, int(number), place[part]).items():
                arrays[name][part] = values
    for name, values in arrays.items():
        writing.data[name].write((rows, *(slice(0, n) for n in values.shape[1:])), values)
    return {"n": len(origin)}


def _samples(writing: Writing, number: int, place: np.ndarray) -> Mapping[str, np.ndarray]:
    if number >= 0:
        return writing.kind.load(writing.sources[number], place).arrays
    assert writing.parent is not None
    records = place[:, 0]
    within = range(int(records.min()), int(records.max()) + 1)
    return ShardReader(writing.parent.uri, list(writing.fields), within)[records]


@dataclass(frozen=True)
class Proof:
    """What reading everything back gave: per shard, checksums, samples that differ, training moments."""

    sums: dict[str, str]
    differing: list[int]
    not_finite: list[int]
    moments: dict[int, Moments]


@task
def read_back(writing: Writing, content: Sequence[str], training: np.ndarray) -> Proof:
    """Read every written shard as a training run will; compare each sample with what was surveyed."""
    plan = writing.tiles()
    expected = [list(content[t.core[0]]) for t in plan]
    used = [np.flatnonzero(training[t.core[0]]).tolist() for t in plan]
    report = run_stage(read_shard, plan, writing, _by_tile(plan, expected), _by_tile(plan, used), splits=False)
    proof = Proof({}, [], [], {})
    for tile, record in zip(plan, report.records, strict=True):
        proof.sums.update(record["sums"])
        proof.differing.extend(record["differing"])
        proof.not_finite.extend(record["not_finite"])
        proof.moments[tile.index[0]] = unpacked(record["moments"])
    return proof


def _by_tile(plan: Sequence[Tile], values: Sequence[Any]) -> dict[int, Any]:
    return {tile.index[0]: value for tile, value in zip(plan, values, strict=True)}


def read_shard(
    tile: Tile, writing: Writing, content: Mapping[int, list[str]], used: Mapping[int, list[int]]
) -> dict[str, Any]:
    """Checksums, differing samples and training moments of one shard."""
    rows, number = tile.core[0], tile.index[0]
    batch = ShardReader(writing.data.uri, list(writing.fields), range(rows.start, rows.stop))[rows]
    wrong = [i for i, (a, b) in enumerate(zip(_hashes(batch), content[number], strict=True)) if a != b]
    bad = [i for i in range(len(content[number])) if not all(np.isfinite(v[i]).all() for v in batch.values())]
    found = _moments(writing.kind, batch[writing.kind.main][used[number]])
    return {
        "sums": {f"{DATA}/{name}": checksum for name, checksum in _sums(writing, number).items()},
        "differing": [rows.start + i for i in wrong],
        "not_finite": [rows.start + i for i in bad],
        "moments": packed(found),
    }


def _sums(writing: Writing, number: int) -> dict[str, str]:
    arrays = dict(open_group(writing.data.uri).arrays())
    files = [f"{name}/{shard_file(arrays[name], number)}" for name in writing.fields]
    return {file: sha256(read_bytes(join(writing.data.uri, file))) for file in files}


def _hashes(arrays: Mapping[str, np.ndarray]) -> list[str]:
    return content_hashes([arrays[name] for name in sorted(arrays)])


def training_moments(writing: Writing, records: np.ndarray) -> Moments:
    """Moments of these records."""
    return _moments(writing.kind, ShardReader(writing.data.uri, [writing.kind.main])[records][writing.kind.main])


def _moments(kind: Kind, values: np.ndarray) -> Moments:
    return moments(values if kind.channels else values[..., None])


def packed(m: Moments) -> list[list[float]]:
    """Moments as plain numbers, bit for bit."""
    return [np.asarray(part, np.float64).tolist() for part in (m.count, m.mean, m.m2, m.low, m.high)]


def unpacked(rows: Sequence[Sequence[float]]) -> Moments:
    """The moments that `packed` packed."""
    return Moments(*(np.array(row, np.float64) for row in rows))


def statistics(by_shard: Mapping[int, Moments]) -> dict[str, Any]:
    """Statistics of all shards in their order, with each shard's own, from which the next version goes on."""
    total = merge(by_shard[i] for i in sorted(by_shard))
    shown = {"count": total.count, "mean": total.mean, "std": total.std, "min": total.low, "max": total.high}
    seen = np.asarray(total.count) > 0
    plain = {
        name: [float(v) if ok else None for v, ok in zip(values, seen, strict=True)] for name, values in shown.items()
    }
    return {**plain, "shards": {str(i): json.dumps(packed(m)) for i, m in sorted(by_shard.items())}}


def shards_of(stats: Mapping[str, Any]) -> dict[int, Moments]:
    """The moments of each shard, from a version's statistics."""
    return {int(i): unpacked(json.loads(text)) for i, text in stats["shards"].items()}
