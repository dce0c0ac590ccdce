"""One build of a dataset: from the products that were selected to a version that is proven, described and published."""

import logging
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from storage import dataset_files as names
from storage import dataset_layout as layouts
from storage.database import now
from storage.dataset import Dataset, DatasetVersion, GateResult, GroupSplit, SourceRef
from storage.dataset_card import croissant, datasheet
from storage.dataset_sources import Offer, offers, refuse_damaged
from storage.dataset_state import State, state_of
from storage.errors import BadInputError
from storage.identity import code
from storage.reader import ShardReader
from storage.runs import RecordedRun
from storage.sources import product_row
from storage.summary import ProductSummary
from tasks.dataset import steps
from tasks.dataset.contact import contact_sheet
from tasks.dataset.gates import Gate, at_most, enough_per_class, no_leak, none_of, unique_ids
from tasks.dataset.kinds import kind_of
from tasks.dataset.samples import Kind
from tasks.dataset.selection import Pool, Rules, Selection
from tasks.dataset.splits import SplitPlan
from tasks.dataset.versions import recipe_hash, version_id

if TYPE_CHECKING:
    import pandas as pd

    from flows.dataset import DatasetParams

log = logging.getLogger("nightloom")

COMPACT = 0.1
"""Share of removed records above which a version is written afresh without them."""

PARENT = -1
SHOWN = 32
LICENSE = "unstated: that of the data it was made from"


class GatesFailedError(BadInputError):
    """A build whose samples do not hold what a dataset promises."""


@dataclass(frozen=True)
class Contents:
    """The records of the version to be: its index, embeddings, where each record comes from, what is kept but dead."""

    index: "pd.DataFrame"
    embedding: np.ndarray
    origin: np.ndarray
    place: np.ndarray
    content: list[str]
    training: np.ndarray
    tombstones: list[dict[str, Any]]
    kept_shards: int


class Build:
    """The build that a run makes."""

    def __init__(self, run: RecordedRun, params: "DatasetParams") -> None:
        self.run, self.params = run, params
        self.recipe = recipe_hash(params.recipe)
        self.skipped: list[dict[str, str]] = []

    @cached_property
    def state(self) -> State:
        """Where the dataset stands."""
        return state_of(self.params.dataset_name, self.params.recipe, self.recipe)

    @cached_property
    def kind(self) -> Kind:
        """How this kind of dataset is cut."""
        options = self.params.recipe
        return kind_of(self.params.kind, **options)

    def make(self) -> None:
        """Build and publish the next version, or hand back the newest one if nothing new came in."""
        new = self._new_sources()
        if not new:
            self._hand_back("nothing new to take samples from")
            return
        refuse_damaged(new)
        found = self._survey(new)
        chosen = steps.choose(found, self._earlier(), self.state.splits, self._rules())
        if not len(chosen.rows):
            self._hand_back(f"no new sample fits: {_reasons(chosen)}")
            self.run.add_rows(*self._source_rows(new, found, chosen))
            return
        contents = self._contents(new, found, chosen)
        self._hold(self._gates_before(contents, chosen))
        writing = self._layout(new, contents)
        proof = self._write(writing, contents)
        gates = self._gates_before(contents, chosen) + self._gates_after(contents, proof)
        self._hold(gates)
        self._publish(new, found, chosen, contents, writing, proof, gates)

    def _new_sources(self) -> list[Offer]:
        offered = offers(self.params.kind, self.params.selected, self.params.hand)
        if not offered and self.state.parent is None:
            condition = f" of runs that meet {self.params.where!r}" if self.params.where else ""
            raise BadInputError(
                f"no product{condition} can be made a {self.params.kind} dataset of; run the flow that makes them first"
            )
        known = set(self.state.sources.values())
        return self._alike([o for o in offered if o.digest not in known])

    def _alike(self, new: list[Offer]) -> list[Offer]:
        """Those whose samples have one shape and share the constants of the dataset; the others are noted."""
        kept = []
        forms = [self._form(o) for o in new]
        wanted = (
            self._stored_form() or Counter(f for f in forms if isinstance(f, tuple)).most_common(1)[0][0]
            if new
            else None
        )
        for offer, form in zip(new, forms, strict=True):
            if form == wanted:
                kept.append(offer)
            else:
                reason = form if isinstance(form, str) else "its bands, size or units are not those of the dataset"
                self.skipped.append({"uri": offer.uri, "reason": reason})
        return kept

    def _form(self, offer: Offer) -> tuple[Any, ...] | str:
        """What must be equal in all sources, as plain data; or why this source offers nothing."""
        try:
            self.kind.positions(offer)
        except ValueError as error:
            return str(error)
        fields = [(n, f.dims, f.shape, f.dtype, sorted(f.attrs.items())) for n, f in self.kind.schema(offer).items()]
        constants = [(n, tuple(np.asarray(c.values).ravel().tolist())) for n, c in self.kind.constants(offer).items()]
        return _frozen([fields, constants])

    def _stored_form(self) -> tuple[Any, ...] | None:
        if self.state.parent is None:
            return None
        form = self.state.parent.manifest["form"]
        return _frozen(form)

    def _survey(self, new: list[Offer]) -> steps.Survey:
        most = max(len(self.kind.positions(o)) for o in new)
        layout = layouts.survey(len(new), most, self._n_feature(new[0]), len(self.kind.facts))
        scratch = self.run.create("survey", layout)
        return steps.survey(new, self.kind, scratch, self.kind.facts, self.recipe)

    def _n_feature(self, offer: Offer) -> int:
        return self.kind.embed(self.kind.load(offer, self.kind.positions(offer)[:1])).shape[1]

    def _earlier(self) -> Pool:
        """What the dataset holds."""
        if self.state.parent is None:
            return Pool([], [], [], [], [], np.zeros((0, 1), np.float32), [])
        index = self.state.parent.index
        columns = {c: index[c].tolist() for c in ("id", "content", "label", "group", "stratum", "split")}
        embedding = self.state.parent.embedding.read()[index["record"].to_numpy()]
        return Pool(
            columns["id"],
            columns["content"],
            columns["label"],
            columns["group"],
            columns["stratum"],
            embedding,
            columns["split"],
        )

    def _rules(self) -> Rules:
        p = self.params
        plan = SplitPlan({"train": p.train, "val": p.val, "test": p.test}, salt=f"{p.dataset_name}:{p.seed}")
        return Rules(
            plan,
            p.radius,
            p.link_radius,
            getattr(self.kind, "apart", False),
            p.class_ratio,
            p.mixture,
            p.coreset,
            p.coreset_size,
            p.seed,
        )

    def _contents(self, new: list[Offer], found: steps.Survey, chosen: Selection) -> Contents:
        """Lay the new records behind the old ones; leave out the removed ones if they have become too many."""
        import pandas as pd

        fresh = self._new_rows(new, found, chosen)
        embedding = found.pool.embedding[chosen.rows]
        place = found.place[chosen.rows]
        parent = self.state.parent
        if parent is None:
            index = fresh.assign(record=np.arange(len(fresh)))
            return self._laid(index, embedding, found.source[chosen.rows], place, index["content"].tolist(), [], 0)
        old = parent.index[~parent.index["id"].isin(chosen.removed)]
        stones = parent.manifest["tombstones"] + [
            {"id": i, "record": int(r), "content": c, "version": self.state.next_number, "reason": "bridged two splits"}
            for i, r, c in parent.index.loc[
                parent.index["id"].isin(chosen.removed), ["id", "record", "content"]
            ].itertuples(index=False)
        ]
        records = np.arange(parent.row.records)
        content = _contents_by_record(parent, len(records))
        kept = parent.row.records // self._shard()
        if len(stones) > COMPACT * (len(records) + len(fresh)):
            records, kept, stones = old["record"].to_numpy(), 0, []
            content = old["content"].tolist()
            old = old.assign(record=np.arange(len(old)))
        fresh = fresh.assign(record=len(records) + np.arange(len(fresh)))
        whole = np.zeros((len(records), place.shape[1]), np.int64)
        whole[:, 0] = records
        return self._laid(
            pd.concat([old, fresh], ignore_index=True),
            np.concatenate([parent.embedding.read()[records], embedding]),
            np.concatenate([np.full(len(records), PARENT), found.source[chosen.rows]]),
            np.concatenate([whole, place]),
            content + fresh["content"].tolist(),
            stones,
            kept,
        )

    def _laid(
        self,
        index: "pd.DataFrame",
        embedding: np.ndarray,
        origin: np.ndarray,
        place: np.ndarray,
        content: list[str],
        stones: list[dict[str, Any]],
        kept: int,
    ) -> Contents:
        training = np.zeros(len(origin), bool)
        training[index.loc[index["split"] == "train", "record"].to_numpy()] = True
        return Contents(index, embedding.astype(np.float32), origin, place, content, training, stones, kept)

    def _new_rows(self, new: list[Offer], found: steps.Survey, chosen: Selection) -> "pd.DataFrame":
        import pandas as pd

        rows, pool = chosen.rows, found.pool.at(chosen.rows)
        source = [new[i] for i in found.source[rows]]
        place = {name: found.place[rows, i] for i, name in enumerate(self.kind.place)}
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
            "version": np.full(len(rows), self.state.next_number),
            "source": [s.id for s in source],
            "source_digest": [s.digest for s in source],
            "source_uri": [s.uri for s in source],
        }
        return pd.DataFrame({**columns, **place, **facts})

    def _shard(self) -> int:
        assert self.state.dataset is not None
        return self.state.dataset.shard

    def _layout(self, new: list[Offer], contents: Contents) -> steps.Writing:
        """Make the staged arrays; link what does not change."""
        fields, constants = self.kind.schema(new[0]), self.kind.constants(new[0])
        n = len(contents.origin)
        shard = self._shard() if self.state.dataset else layouts.shard_records(n, fields)
        folder = f"v{self.state.next_number:03d}"
        about = {"dataset": self.params.dataset_name, "version": self.state.next_number}
        data = self.run.create(f"{folder}/data", layouts.data("dataset", fields, constants, n, shard, **about))
        embedding = self.run.create(f"{folder}/embedding", layouts.embedding(n, contents.embedding.shape[1], shard))
        plan = self.run.create("plan", layouts.plan(contents.origin, contents.place))
        parent = self.state.parent
        if parent is not None:
            steps.link_shards(parent.data, data, contents.kept_shards, "link_data")
            steps.link_shards(parent.embedding, embedding, contents.kept_shards, "link_embedding")
        source = None if parent is None else parent.data
        return steps.Writing(self.kind, fields, new, plan, data, embedding, source, shard, contents.kept_shards)

    def _write(self, writing: steps.Writing, contents: Contents) -> steps.Proof:
        steps.write_shards(writing, contents.embedding)
        proof = steps.read_back(writing, contents.content, contents.training)
        parent = self.state.parent
        if parent is not None:
            known = parent.manifest["files"]
            kept = {file for file, _ in names.files(writing.data.uri)}
            linked = {f"{names.DATA}/{file}" for file in kept} - set(proof.sums)
            proof.sums.update({file: known[file] for file in linked if file in known})
            proof.moments.update({i: m for i, m in steps.shards_of(parent.stats).items() if i < contents.kept_shards})
            self._remeasure(writing, contents, proof)
        return proof

    def _remeasure(self, writing: steps.Writing, contents: Contents, proof: steps.Proof) -> None:
        """Linked shards in which a record was removed just now have other training moments."""
        stones = [s for s in contents.tombstones if s["version"] == self.state.next_number]
        for number in {
            s["record"] // writing.shard for s in stones if s["record"] < contents.kept_shards * writing.shard
        }:
            rows = np.arange(number * writing.shard, (number + 1) * writing.shard)
            proof.moments[number] = steps.training_moments(writing, rows[contents.training[rows]])

    def _gates_before(self, contents: Contents, chosen: Selection) -> list[Gate]:
        """What can be known before a byte is written."""
        index = contents.index
        ids = index["id"].tolist()
        return [
            unique_ids(ids),
            no_leak(ids, index["group"].tolist(), index["split"].tolist(), chosen.pairs),
            enough_per_class(index["label"].tolist(), self.params.min_per_class),
            none_of("group_key_missing", ids, (index["group"] == "").to_numpy()),
            *[
                at_most(name, ids, index[name].to_numpy(), limit)
                for name, limit in getattr(self.kind, "limits", {}).items()
            ],
        ]

    def _gates_after(self, contents: Contents, proof: steps.Proof) -> list[Gate]:
        """What reading back showed; records that are no longer in the index do not count."""
        record = contents.index["record"].to_numpy()
        ids = contents.index["id"].tolist()
        return [
            none_of("not_finite", ids, np.isin(record, proof.not_finite)),
            none_of("round_trip", ids, np.isin(record, proof.differing)),
        ]

    def _hold(self, gates: list[Gate]) -> None:
        """Fail the build if a gate failed, naming the offenders; the results are kept either way."""
        failed = [gate for gate in gates if not gate.passed]
        if failed:
            from storage.database import session

            with session() as s:
                for gate in gates:
                    s.merge(self._gate_row(gate))
            raise GatesFailedError(
                f"dataset {self.params.dataset_name} was not built: {'; '.join(map(str, failed))}; leave these out with `where`, or lower the bar"
            )

    def _gate_row(self, gate: Gate) -> GateResult:
        facts = asdict(gate) | {"offenders": list(gate.offenders)}
        finite = {k: v if not isinstance(v, float) or np.isfinite(v) else None for k, v in facts.items()}
        return GateResult(
            run_id=self.run.id, dataset=self.params.dataset_name, version=self.state.next_number, **finite
        )

    def _publish(
        self,
        new: list[Offer],
        found: steps.Survey,
        chosen: Selection,
        contents: Contents,
        writing: steps.Writing,
        proof: steps.Proof,
        gates: list[Gate],
    ) -> None:
        folder = f"v{self.state.next_number:03d}"
        source_rows = self._source_rows(new, found, chosen)
        staged = writing.data.uri.rsplit("/", 1)[0]
        sums = names.checksums(staged, proof.sums)
        vid = version_id(names.shard_sums(sums, list(writing.fields)), self.params.recipe)
        uri = self.run.area.public_name(f"{folder}/{names.DATA}")
        facts = self._facts(contents, chosen, vid, uri)
        stats = steps.statistics(proof.moments) | {"array": self.kind.main, "split": "train"}
        saved = {
            names.INDEX: names.index_bytes(contents.index),
            names.STATS: names.json_bytes(stats),
            names.CONTACT: self._contact(contents, writing),
            names.DATASHEET: datasheet(
                facts, contents.index, writing.fields, self._listed(source_rows), gates
            ).encode(),
        }
        sums |= {name: names.sha256(value) for name, value in saved.items()}
        saved[names.MANIFEST] = names.json_bytes(self._manifest(facts, new, contents, sums))
        quoted = {name: names.sha256(saved[name]) for name in (names.INDEX, names.MANIFEST)}
        saved[names.CROISSANT] = names.json_bytes(croissant(facts, contents.index, quoted))
        self.run.publish(writing.data)
        self.run.publish(writing.embedding)
        kinds = {names.CONTACT: "picture", names.DATASHEET: "report", names.INDEX: "table"}
        for name, value in saved.items():
            self.run.save(f"{folder}/{name}", value, kind=kinds.get(name, "description"))
        self._record(contents, chosen, gates, facts, source_rows, sum(map(len, saved.values())), writing)

    def _facts(self, contents: Contents, chosen: Selection, vid: str, uri: str) -> dict[str, Any]:
        number = self.state.next_number
        index = contents.index
        return {
            "id": f"{self.params.dataset_name}/v{number:03d}",
            "dataset": self.params.dataset_name,
            "kind": self.params.kind,
            "number": number,
            "parent": number - 1 or None,
            "version_id": vid,
            "uri": uri,
            "run": self.run.id,
            "code_version": code().version,
            "published": now().date().isoformat(),
            "license": LICENSE,
            "description": self.kind.__doc__.split("\n")[0] if self.kind.__doc__ else self.params.kind,
            "group_meaning": getattr(self.kind, "group_meaning", "what shares a source"),
            "added": int((index["version"] == number).sum()),
            "dead": len(contents.tombstones),
            "left_out": dict(chosen.left_out),
            "skipped": self.skipped,
            "gaps": self._gaps(index),
        }

    def _gaps(self, index: "pd.DataFrame") -> list[str]:
        present = set(index["split"])
        gaps = [f"No group fell into the {name} split yet." for name in ("train", "val", "test") if name not in present]
        if index["group"].nunique() < 10:
            gaps.append(f"Only {index['group'].nunique()} groups: scores on them say little about others.")
        return gaps + list(getattr(self.kind, "gaps", ())) or ["None known."]

    def _manifest(
        self, facts: dict[str, Any], new: list[Offer], contents: Contents, sums: dict[str, str]
    ) -> dict[str, Any]:
        about = {k: facts[k] for k in ("dataset", "kind", "number", "parent", "version_id", "run", "code_version")}
        form = self._stored_form() or self._form(new[0])
        more = {"recipe": self.params.recipe, "recipe_hash": self.recipe, "seed": self.params.seed, "form": form}
        return {
            **about,
            **more,
            "records": len(contents.origin),
            "tombstones": contents.tombstones,
            "files": dict(sorted(sums.items())),
        }

    def _contact(self, contents: Contents, writing: steps.Writing) -> bytes:
        record = contents.index["record"].to_numpy()
        rows = record[np.unique(np.linspace(0, len(record) - 1, SHOWN).astype(int))]
        return contact_sheet(self.kind.picture(ShardReader(writing.data.uri, list(writing.fields))[rows]))

    def _source_rows(self, new: list[Offer], found: steps.Survey, chosen: Selection) -> list[SourceRef]:
        offered, taken = Counter(found.source.tolist()), Counter(found.source[chosen.rows].tolist())
        about = {"dataset": self.params.dataset_name, "version": self.state.next_number}
        return [
            SourceRef(product_id=o.id, uri=o.uri, digest=o.digest, offered=offered[i], taken=taken[i], **about)
            for i, o in enumerate(new)
        ]

    def _listed(self, rows: list[SourceRef]) -> list[dict[str, Any]]:
        listed = [{"uri": r.uri, "new": True, "offered": r.offered, "taken": r.taken} for r in rows]
        parent = self.state.parent
        if parent is None:
            return listed
        counts = parent.index.groupby("source_uri").size()
        return listed + [{"uri": uri, "new": False, "offered": "", "taken": int(n)} for uri, n in counts.items()]

    def _record(
        self,
        contents: Contents,
        chosen: Selection,
        gates: list[Gate],
        facts: dict[str, Any],
        source_rows: list[SourceRef],
        size: int,
        writing: steps.Writing,
    ) -> None:
        """Rows of the database, metrics and the line that the run ends with."""
        index, name = contents.index, self.params.dataset_name
        strata = dict(zip(index["group"], index["stratum"], strict=True))
        splits, labels = (Counter(index[c].tolist()) for c in ("split", "label"))
        stored = sum(bytes_ for _, bytes_ in names.files(writing.data.uri)) + size
        version = DatasetVersion(
            **{k: facts[k] for k in ("id", "dataset", "kind", "number", "version_id", "parent", "uri", "added")},
            run_id=self.run.id,
            records=len(contents.origin),
            live=len(index),
            groups=index["group"].nunique(),
            bytes=stored,
            splits=dict(splits),
            labels=dict(labels),
            published=now(),
        )
        made = self.state.dataset or Dataset(
            name=name,
            kind=self.params.kind,
            recipe=self.params.recipe,
            recipe_hash=self.recipe,
            shard=writing.shard,
            created=now(),
        )
        about = {"dataset": name, "version": facts["number"]}
        groups = [
            GroupSplit(group_key=g, split=s, stratum=strata.get(g, ""), **about) for g, s in chosen.new_groups.items()
        ]
        self.run.add_rows(made, version, *source_rows, *groups, *(self._gate_row(g) for g in gates))
        self.run.record(
            n_samples=len(index), n_added=facts["added"], n_groups=index["group"].nunique(), n_removed=len(contents.tombstones),
            **{f"n_{split}": n for split, n in splits.items()},
        )  # fmt: skip
        self.run.report(
            dataset=facts["id"], version_id=facts["version_id"], left_out=dict(chosen.left_out), skipped=self.skipped
        )

    def _hand_back(self, why: str) -> None:
        """End with the newest version as it is."""
        parent = self.state.parent
        if parent is None:
            reasons = "".join(f"; {s['uri']}: {s['reason']}" for s in self.skipped[:5])
            raise BadInputError(
                f"dataset {self.params.dataset_name} was not built: {why}{reasons}; select other products with `where`"
            )
        log.info("dataset %s: %s; %s stands", self.params.dataset_name, why, parent.row.id)
        row = product_row(parent.row.uri)
        if row is not None:
            self.run.summary.products.append(ProductSummary(id=row.id, name=row.name, kind=row.kind, uri=row.uri))
        self.run.record(n_samples=parent.row.live, n_added=0, n_groups=parent.row.groups)
        self.run.report(dataset=parent.row.id, version_id=parent.row.version_id, skipped=self.skipped)


def _contents_by_record(parent: Any, n: int) -> list[str]:
    """Content hash of each record, those of removed ones among them."""
    content = [""] * n
    for record, value in zip(parent.index["record"].tolist(), parent.index["content"].tolist(), strict=True):
        content[record] = value
    for stone in parent.manifest["tombstones"]:
        content[stone["record"]] = stone["content"]
    return content


def _reasons(chosen: Selection) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in chosen.left_out.items()) or "there is no candidate"


def _frozen(value: Any) -> Any:
    """Lists as tuples, all the way down: what JSON gave back becomes comparable."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value
