"""What a finished build publishes: the arrays, the files that describe them, the rows of the database."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from storage import dataset_files as names
from storage.database import now
from storage.dataset import Dataset, DatasetVersion, GroupSplit, SourceRef
from storage.dataset_card import croissant, datasheet
from storage.dataset_samples import Duplicate, Sample, duplicate_rows, sample_rows, written_up_to
from storage.dataset_sources import Offer
from storage.dataset_state import State
from storage.identity import code
from storage.reader import ShardReader
from storage.runs import RecordedRun
from tasks.dataset import steps
from tasks.dataset.contact import contact_sheet
from tasks.dataset.contents import Contents, Survey
from tasks.dataset.gates import Gate
from tasks.dataset.samples import Kind
from tasks.dataset.selection import Selection
from tasks.dataset.versions import recipe_hash, version_id

if TYPE_CHECKING:
    from flows.dataset import DatasetParams

SHOWN = 32
"""Samples on the contact sheet."""

FEW_GROUPS = 10
LICENSE = "unstated: that of the data it was made from"
PRODUCT_KINDS = {names.CONTACT: "picture", names.DATASHEET: "report", names.INDEX: "table"}


@dataclass(frozen=True)
class Made:
    """Everything that a build made and knows."""

    params: "DatasetParams"
    state: State
    kind: Kind
    new: list[Offer]
    found: Survey
    chosen: Selection
    contents: Contents
    writing: steps.Writing
    proof: steps.Proof
    gates: list[Gate]
    skipped: list[dict[str, str]]
    form: Any

    @property
    def number(self) -> int:
        """The version's number."""
        return self.state.next_number

    @property
    def folder(self) -> str:
        """Name of the version's folder."""
        return f"v{self.number:03d}"


def publish(run: RecordedRun, made: Made) -> None:
    """Write what describes the version, queue all of it for publication, record it."""
    sums = names.checksums(made.writing.data.uri.rsplit("/", 1)[0], made.proof.sums)
    identity = version_id(names.shard_sums(sums, list(made.writing.fields)), made.params.recipe)
    facts = _facts(run, made, identity)
    sources = source_rows(made.params.dataset_name, made.number, made.new, made.found, made.chosen)
    files = _files(made, facts, sums, sources)
    run.publish(made.writing.data)
    run.publish(made.writing.embedding)
    for name, content in files.items():
        run.save(f"{made.folder}/{name}", content, kind=PRODUCT_KINDS.get(name, "description"))
    _record(run, made, facts, sources, sum(map(len, files.values())))


def source_rows(dataset: str, number: int, new: list[Offer], found: Survey, chosen: Selection) -> list[SourceRef]:
    """One row per new source: how much it offered, how much was taken."""
    offered = Counter(found.source.tolist())
    taken = Counter(found.source[np.array(chosen.rows, int)].tolist())
    about = {"dataset": dataset, "version": number}
    return [
        SourceRef(product_id=o.id, uri=o.uri, digest=o.digest, offered=offered[i], taken=taken[i], **about)
        for i, o in enumerate(new)
    ]


def _facts(run: RecordedRun, made: Made, identity: str) -> dict[str, Any]:
    """What the descriptions and the row of the version share."""
    index = made.contents.index
    return {
        "id": f"{made.params.dataset_name}/{made.folder}",
        "dataset": made.params.dataset_name,
        "kind": made.params.kind,
        "number": made.number,
        "parent": made.number - 1 or None,
        "version_id": identity,
        "uri": run.area.public_name(f"{made.folder}/{names.DATA}"),
        "run": run.id,
        "code_version": code().version,
        "published": now().date().isoformat(),
        "license": LICENSE,
        "description": (type(made.kind).__doc__ or made.params.kind).split("\n")[0],
        "group_meaning": getattr(made.kind, "group_meaning", "what shares a source"),
        "added": int((index["version"] == made.number).sum()),
        "dead": len(made.contents.tombstones),
        "left_out": dict(made.chosen.left_out),
        "skipped": made.skipped,
        "gaps": _gaps(made),
    }


def _gaps(made: Made) -> list[str]:
    index = made.contents.index
    n_group, present = index["group"].nunique(), set(index["split"])
    gaps = [f"No group fell into the {name} split yet." for name in ("train", "val", "test") if name not in present]
    if n_group < FEW_GROUPS:
        gaps.append(f"Only {n_group} groups: scores on them say little about others.")
    return [*gaps, *getattr(made.kind, "gaps", ())] or ["None known."]


def _files(made: Made, facts: dict[str, Any], sums: dict[str, str], sources: list[SourceRef]) -> dict[str, bytes]:
    """Index, statistics, pictures and texts; the manifest sums them all, and Croissant quotes the manifest."""
    index = made.contents.index
    stats = steps.statistics(made.proof.moments) | {"array": made.kind.main, "split": "train"}
    files = {
        names.INDEX: names.index_bytes(index),
        names.STATS: names.json_bytes(stats),
        names.CONTACT: _contact(made),
        names.DATASHEET: datasheet(facts, index, made.writing.fields, _listed(made, sources), made.gates).encode(),
    }
    sums = sums | {name: names.sha256(content) for name, content in files.items()}
    files[names.MANIFEST] = names.json_bytes(_manifest(made, facts, sums))
    quoted = {name: names.sha256(files[name]) for name in (names.INDEX, names.MANIFEST)}
    return files | {names.CROISSANT: names.json_bytes(croissant(facts, index, quoted))}


def _manifest(made: Made, facts: dict[str, Any], sums: dict[str, str]) -> dict[str, Any]:
    shared = ("dataset", "kind", "number", "parent", "version_id", "run", "code_version")
    return {
        **{name: facts[name] for name in shared},
        "recipe": made.params.recipe,
        "recipe_hash": recipe_hash(made.params.recipe),
        "seed": made.params.seed,
        "form": made.form,
        "records": len(made.contents.origin),
        "tombstones": made.contents.tombstones,
        "files": dict(sorted(sums.items())),
    }


def _contact(made: Made) -> bytes:
    record = made.contents.index["record"].to_numpy()
    rows = record[np.unique(np.linspace(0, len(record) - 1, SHOWN).astype(int))]
    return contact_sheet(made.kind.picture(ShardReader(made.writing.data.uri, list(made.writing.fields))[rows]))


def _listed(made: Made, sources: list[SourceRef]) -> list[dict[str, Any]]:
    """All sources of the version, new and old, for the datasheet."""
    listed = [{"uri": r.uri, "new": True, "offered": r.offered, "taken": r.taken} for r in sources]
    parent = made.state.parent
    old = Counter(parent.index["source_uri"].tolist()) if parent else Counter()
    return listed + [{"uri": uri, "new": False, "offered": "", "taken": n} for uri, n in sorted(old.items())]


def _record(run: RecordedRun, made: Made, facts: dict[str, Any], sources: list[SourceRef], extra_bytes: int) -> None:
    """Rows of the database, metrics, and the line that the run ends with."""
    index, name = made.contents.index, made.params.dataset_name
    splits, labels = (Counter(index[c].tolist()) for c in ("split", "label"))
    shared = ("id", "dataset", "kind", "number", "version_id", "parent", "uri", "added")
    version = DatasetVersion(
        **{column: facts[column] for column in shared},
        run_id=run.id,
        records=len(made.contents.origin),
        live=len(index),
        groups=index["group"].nunique(),
        bytes=sum(size for _, size in names.files(made.writing.data.uri)) + extra_bytes,
        splits=dict(splits),
        labels=dict(labels),
        published=now(),
    )
    recipe = {"recipe": made.params.recipe, "recipe_hash": recipe_hash(made.params.recipe)}
    dataset = made.state.dataset or Dataset(
        name=name, kind=made.params.kind, shard=made.writing.shard, created=now(), **recipe
    )
    run.add_rows(dataset, version, *sources, *_group_rows(made), *_removed(made))
    run.add_new_rows(Sample, sample_rows(name, index[index["version"] > written_up_to(name)]))
    run.add_new_rows(Duplicate, duplicate_rows(name, made.number, made.chosen.duplicates))
    run.record(n_samples=len(index), n_added=facts["added"], n_groups=version.groups, n_removed=facts["dead"])
    run.record(**{f"n_{split}": n for split, n in sorted(splits.items())})
    run.report(dataset=facts["id"], version_id=facts["version_id"], left_out=facts["left_out"], skipped=made.skipped)


def _removed(made: Made) -> list[Sample]:
    """The rows of the samples that this version left out."""
    if made.state.parent is None:
        return []
    index = made.state.parent.index
    gone = index[index["id"].isin(made.chosen.removed)]
    return [Sample(**row) for row in sample_rows(made.params.dataset_name, gone, made.number)]


def _group_rows(made: Made) -> list[GroupSplit]:
    index = made.contents.index
    strata = dict(zip(index["group"].tolist(), index["stratum"].tolist(), strict=True))
    about = {"dataset": made.params.dataset_name, "version": made.number}
    return [
        GroupSplit(group_key=group, split=split, stratum=strata.get(group, ""), **about)
        for group, split in made.chosen.new_groups.items()
    ]
