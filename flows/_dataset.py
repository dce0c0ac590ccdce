"""One build of a dataset: from the products that were selected to a version that is proven, described and published."""

import logging
from collections import Counter
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from flows._dataset_card import Made, publish, source_rows
from storage import dataset_files as names
from storage import dataset_layout as layouts
from storage.database import session
from storage.dataset import GateResult, drawn_so_far
from storage.dataset_samples import Duplicate, duplicate_rows
from storage.dataset_sources import Offer, offers, refuse_damaged
from storage.dataset_state import State, state_of
from storage.errors import BadInputError
from storage.runs import RecordedRun
from storage.sources import product_row
from storage.summary import ProductSummary
from tasks.dataset import steps
from tasks.dataset.contents import Contents, Fresh, Previous, Survey, first, grown, new_rows
from tasks.dataset.gates import Gate, at_most, enough_per_class, no_leak, none_of, unique_ids
from tasks.dataset.kinds import kind_of
from tasks.dataset.samples import Kind
from tasks.dataset.selection import Pool, Rules, Selection
from tasks.dataset.splits import SplitPlan
from tasks.dataset.versions import recipe_hash

if TYPE_CHECKING:
    from flows.dataset import DatasetParams

log = logging.getLogger("nightloom")


class GatesFailedError(BadInputError):
    """A build whose samples do not hold what a dataset promises."""


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
        if not chosen.rows:
            self._hand_back(f"no new sample fits: {_reasons(chosen)}")
            name, number = self.params.dataset_name, self.state.next_number
            self.run.add_rows(*source_rows(name, number, new, found, chosen))
            self.run.add_new_rows(Duplicate, duplicate_rows(name, number, chosen.duplicates))
            return
        contents = self._contents(new, found, chosen)
        before = self._gates_before(contents, chosen)
        self._hold(before)
        writing = self._layout(new, contents)
        proof = self._write(writing, contents)
        gates = before + self._gates_after(contents, proof)
        self._hold(gates)
        form = self._stored_form() or self._form(new[0])
        made = Made(
            self.params, self.state, self.kind, new, found, chosen, contents, writing, proof, gates, self.skipped, form
        )
        publish(self.run, made)
        self.run.add_rows(*map(self._gate_row, gates))

    def _new_sources(self) -> list[Offer]:
        known = set(self.state.sources.values())
        unknown = [row for row in self.params.selected if row.digest not in known]
        offered = offers(self.params.kind, unknown, self.params.hand)
        if not offered and self.state.parent is None:
            condition = f" of runs that meet {self.params.where!r}" if self.params.where else ""
            raise BadInputError(
                f"no product{condition} can be made a {self.params.kind} dataset of; run the flow that makes them first"
            )
        return self._numbered(self._alike(offered))

    def _numbered(self, new: list[Offer]) -> list[Offer]:
        """The same, each knowing at which index its simulated draws begin: behind those of all sources before it."""
        start, numbered = drawn_so_far(self.params.dataset_name), []
        for offer in new:
            numbered.append(replace(offer, attrs={**offer.attrs, "drawn": start}))
            start += len(self.kind.positions(offer))
        return numbered

    def _alike(self, new: list[Offer]) -> list[Offer]:
        """Those whose samples have the form of the dataset, or at first the commonest form; the others are noted."""
        forms = [self._form(o) for o in new]
        common = Counter(f for f in forms if not isinstance(f, str)).most_common(1)
        wanted = self._stored_form() or (common[0][0] if common else None)
        for offer, form in zip(new, forms, strict=True):
            if form != wanted:
                other = "its bands, sizes or units are not those of the dataset; give it a dataset of another name"
                self.skipped.append({"uri": offer.uri, "reason": form if isinstance(form, str) else other})
        return [offer for offer, form in zip(new, forms, strict=True) if form == wanted]

    def _form(self, offer: Offer) -> tuple[Any, ...] | str:
        """What must be equal in all sources, as plain data; or why this source offers nothing."""
        try:
            if not len(self.kind.positions(offer)):
                return "it holds no sample"
        except ValueError as error:
            return str(error)
        fields = [(n, f.dims, f.shape, f.dtype, sorted(f.attrs.items())) for n, f in self.kind.schema(offer).items()]
        constants = [(n, np.asarray(c.values).ravel().tolist()) for n, c in self.kind.constants(offer).items()]
        return _frozen([fields, constants])

    def _stored_form(self) -> tuple[Any, ...] | None:
        return None if self.state.parent is None else _frozen(self.state.parent.manifest["form"])

    def _survey(self, new: list[Offer]) -> Survey:
        most = max(len(self.kind.positions(o)) for o in new)
        one = self.kind.load(new[0], self.kind.positions(new[0])[:1])
        layout = layouts.survey(len(new), most, self.kind.embed(one).shape[1], len(self.kind.facts))
        scratch = self.run.create("survey", layout)
        return steps.survey(new, self.kind, scratch, self.kind.facts, self.recipe)

    def _earlier(self) -> Pool:
        """What the dataset holds."""
        if self.state.parent is None:
            return Pool([], [], [], [], [], np.zeros((0, 1), np.float32), [])
        index = self.state.parent.index
        ids, content, labels, groups, strata, splits = (
            index[c].tolist() for c in ("id", "content", "label", "group", "stratum", "split")
        )
        embedding = self.state.parent.embeddings[index["record"].to_numpy()]
        return Pool(ids, content, labels, groups, strata, embedding, splits)

    def _rules(self) -> Rules:
        p = self.params
        return Rules(
            plan=SplitPlan({"train": p.train, "val": p.val, "test": p.test}, salt=f"{p.dataset_name}:{p.seed}"),
            radius=p.radius,
            link_radius=p.link_radius,
            apart=getattr(self.kind, "apart", False),
            class_ratio=p.class_ratio,
            mixture=p.mixture,
            coreset=p.coreset,
            coreset_size=p.coreset_size,
            seed=p.seed,
        )

    def _contents(self, new: list[Offer], found: Survey, chosen: Selection) -> Contents:
        rows = np.array(chosen.rows)
        embedding = found.pool.embedding[rows].astype(np.float32)
        table = new_rows(found, chosen, new, self.kind.place, self.state.next_number)
        fresh = Fresh(table, embedding, found.source[rows], found.place[rows])
        parent, made = self.state.parent, self.state.dataset
        if parent is None or made is None:
            return first(fresh)
        previous = Previous(parent.index, parent.embeddings, parent.manifest["tombstones"], parent.row.records)
        return grown(previous, fresh, chosen.removed, self.state.next_number, made.shard)

    def _layout(self, new: list[Offer], contents: Contents) -> steps.Writing:
        """Make the staged arrays; link what does not change."""
        fields, constants = self.kind.schema(new[0]), self.kind.constants(new[0])
        n, number, parent = len(contents.origin), self.state.next_number, self.state.parent
        shard = self.state.dataset.shard if self.state.dataset else layouts.shard_records(n, fields)
        flat = parent is None or layouts.is_flat(parent.data)
        about = {"dataset": self.params.dataset_name, "version": number, "flat": flat}
        data = self.run.create(f"v{number:03d}/data", layouts.data("dataset", fields, constants, n, shard, **about))
        embedding = self.run.create(
            f"v{number:03d}/embedding", layouts.embedding(n, contents.embedding.shape[1], shard, flat)
        )
        plan = self.run.create("plan", layouts.plan(contents.origin, contents.place))
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
            stored = {f"{names.DATA}/{file}" for file, _ in names.files(writing.data.uri)} - set(proof.sums)
            proof.sums.update({file: known for file, known in parent.manifest["files"].items() if file in stored})
            kept = {i: m for i, m in steps.shards_of(parent.stats).items() if i < contents.kept_shards}
            proof.moments.update(kept | self._remeasured(writing, contents))
        return proof

    def _remeasured(self, writing: steps.Writing, contents: Contents) -> dict[int, Any]:
        """Training moments of the linked shards in which a record was removed just now."""
        stones = [s["record"] // writing.shard for s in contents.tombstones if s["version"] == self.state.next_number]
        moments = {}
        for number in sorted({i for i in stones if i < contents.kept_shards}):
            rows = np.arange(number * writing.shard, (number + 1) * writing.shard)
            moments[number] = steps.training_moments(writing, rows[contents.training[rows]])
        return moments

    def _gates_before(self, contents: Contents, chosen: Selection) -> list[Gate]:
        """What can be known before a byte is written."""
        index = contents.index
        ids = index["id"].tolist()
        limits = getattr(self.kind, "limits", {})
        return [
            unique_ids(ids),
            no_leak(ids, index["group"].tolist(), index["split"].tolist(), chosen.pairs),
            enough_per_class(index["label"].tolist(), self.params.min_per_class, self.params.classes),
            none_of("group_key_missing", ids, (index["group"] == "").to_numpy()),
            *(at_most(name, ids, index[name].to_numpy(), limit) for name, limit in limits.items()),
        ]

    def _gates_after(self, contents: Contents, proof: steps.Proof) -> list[Gate]:
        """What reading back showed; records that are no longer in the index do not count."""
        record, ids = contents.index["record"].to_numpy(), contents.index["id"].tolist()
        return [
            none_of("not_finite", ids, np.isin(record, proof.not_finite)),
            none_of("round_trip", ids, np.isin(record, proof.differing)),
        ]

    def _hold(self, gates: list[Gate]) -> None:
        """Fail the build if a gate failed, naming the offenders; the results are kept either way."""
        failed = [gate for gate in gates if not gate.passed]
        if failed:
            with session() as s:
                for gate in gates:
                    s.merge(self._gate_row(gate))
            raise GatesFailedError(
                f"dataset {self.params.dataset_name} was not built: {'; '.join(map(str, failed))}; "
                "leave these out with `where`, or lower the bar"
            )

    def _gate_row(self, gate: Gate) -> GateResult:
        found, limit = (v if np.isfinite(v) else None for v in (gate.found, gate.limit))
        about = {"run_id": self.run.id, "dataset": self.params.dataset_name, "version": self.state.next_number}
        facts = {"name": gate.name, "passed": gate.passed, "offenders": list(gate.offenders)}
        return GateResult(**about, **facts, found=found, limit=limit)

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


def _reasons(chosen: Selection) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in chosen.left_out.items()) or "there is no candidate"


def _frozen(value: Any) -> Any:
    """Lists as tuples, all the way down: what JSON gave back becomes comparable."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value
