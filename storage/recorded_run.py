"""The open run: what a flow may ask of it and tell it while it works, and how its row is closed."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert

from storage import lease
from storage.areas import Area
from storage.database import now, patiently, session
from storage.digest import digest_json
from storage.errors import BadInputError, DatabaseError, NightloomError
from storage.identity import code, devices, environment, flow_run_id, this_process, through_server
from storage.layout import Layout
from storage.ledger import Ledger
from storage.parameters import Parameters
from storage.product import Product
from storage.sources import Source
from storage.summary import ProductSummary, RunSummary, finite, plain
from storage.tables import CANCELLED, COMPLETED, FAILED, RUNNING, Environment, Input, Lineage, Metric, ProductRow, Run

log = logging.getLogger("nightloom")


@dataclass
class RecordedRun:
    """The open run: where its inputs are, where its products go, what it measured."""

    id: str
    flow: str
    params: Parameters
    inputs: dict[str, Source]
    key: str
    generation: int
    area: Area
    parent: "RecordedRun | None" = None
    summary: RunSummary = field(init=False)
    repeated: bool = False
    _started: float = field(default_factory=time.monotonic)
    _rows: list[ProductRow] = field(default_factory=list)
    _domain_rows: list[Any] = field(default_factory=list)
    _new_rows: list[tuple[type[Any], list[dict[str, Any]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.summary = RunSummary(run=self.id, flow=self.flow, status=RUNNING)

    @property
    def ledger(self) -> Ledger:
        """The tiles done by this run and by those it takes up."""
        return Ledger(self.key, self.generation, self.id)

    def use(self, role: str = "source", variable: str | None = None) -> Product:
        """The product given as input ``role``; ``variable`` defaults to its main one."""
        source = self.inputs[role]
        if source.product_id is None:
            raise BadInputError(
                f"{source.uri} is a file, a product was expected; ingest it first: nightloom run ingest -p source={source.uri}"
            )
        product = Product(source.uri)
        return product[variable or product.group_attrs.get("main", "cube")]

    def create(self, name: str, layout: Layout) -> Product:
        """A product to fill, called ``name``; the one that an interrupted run left is taken up as it is."""
        return self.area.product(name, layout)

    def record(self, **metrics: Any) -> None:
        """Note what was measured: numbers, or series of numbers."""
        self.summary.metrics |= {key: plain(value) for key, value in metrics.items()}

    def report(self, **facts: Any) -> None:
        """Add plain facts to the summary beside its fixed fields."""
        for name, value in facts.items():
            setattr(self.summary, name, finite(value))

    def add_rows(self, *rows: Any) -> None:
        """Rows of a workload's own tables, stored in the transaction that publishes the run."""
        self._domain_rows += rows

    def add_new_rows(self, table: type[Any], rows: list[dict[str, Any]]) -> None:
        """The same for many rows that cannot be there yet: they are inserted at once, none is looked for."""
        if rows:
            self._new_rows.append((table, rows))

    def publish(self, product: Product, *, name: str | None = None) -> str:
        """Validate ``product`` and queue it for publication when the run ends; return its id."""
        provenance = {
            "run": self.id,
            "flow": self.flow,
            "inputs": {role: {"uri": s.uri, "digest": s.digest} for role, s in self.inputs.items()},
            "code_version": code().version,
            "commit": code().commit,
            "parameters": self.params.canonical(),
            "main": product.variable,
        }
        manifest = self.area.seal(product, self.ledger.writes(product.uri), provenance)
        facts = {"shape": list(product.shape), "dims": list(product.dims), "dtype": str(product.dtype)}
        kind = product.group_attrs["kind"]
        return self._queue(name or kind, kind, self.area.public(product.uri), manifest, facts)

    def save(self, name: str, data: bytes, *, kind: str) -> str:
        """Publish a file (a picture, a table, a report) beside the arrays; return its public address."""
        manifest = self.area.save(name, data)
        uri = self.area.public_name(name)
        self._queue(name.rsplit("/", 1)[-1], kind, uri, manifest, {})
        return uri

    def include(self, child: RunSummary) -> None:
        """List the products of another run in this one's summary."""
        known = {p.id for p in self.summary.products}
        self.summary.products += [p for p in child.products if p.id not in known]

    def _queue(self, name: str, kind: str, uri: str, manifest: dict[str, Any], facts: dict[str, Any]) -> str:
        row = ProductRow(
            id=digest_json([uri, manifest["digest"], self.id])[:16],
            run_id=self.id,
            position=len(self._rows),
            name=name,
            kind=kind,
            uri=uri,
            digest=manifest["digest"],
            bytes=manifest["bytes"],
            attrs={"finite_fraction": manifest.get("finite_fraction")},
            published=now(),
            **facts,
        )
        self._rows.append(row)
        self.summary.products.append(ProductSummary(id=row.id, name=name, kind=kind, uri=uri))
        return row.id

    def open(self) -> None:
        """Insert the run's row."""
        row = Run(
            id=self.id,
            flow=self.flow,
            key=self.key,
            generation=self.generation,
            status=RUNNING,
            params=self.params.model_dump(mode="json"),
            seed=getattr(self.params, "seed", None),
            commit=code().commit,
            dirty=code().dirty,
            code_version=code().version,
            environment_id=environment()["id"],
            host=this_process().host,
            devices=devices(),
            flow_run_id=flow_run_id(),
            trigger="server" if through_server() else "command",
            parent_id=self.parent.id if self.parent else None,
            started=now(),
            inputs=[Input(role=s.role, uri=s.uri, digest=s.digest, bytes=s.bytes) for s in self.inputs.values()],
        )
        with session() as s:
            s.merge(Environment(**environment()))
            s.add(row)

    def complete(self) -> None:
        """Publish: public names first, then one transaction that makes rows, metrics and status true together."""
        patiently(self._require_lease)
        self.area.release()
        patiently(self._commit_completed)
        try:
            self.ledger.forget()
            self.area.discard({row.uri for row in self._rows})
        except (NightloomError, OSError) as error:  # the work is published; maintenance clears away the rest
            log.warning("%s: what run %s left behind could not be removed yet: %s", self.flow, self.id, error)

    def _require_lease(self) -> None:
        with session() as s:
            lease.require(s, self.key, self.id)

    def _commit_completed(self) -> None:
        self._end(COMPLETED)
        parents = {s.product_id for s in self.inputs.values() if s.product_id}
        with session() as s:
            if s.get_one(Run, self.id).status == COMPLETED:
                return  # committed before, though the connection broke before we heard of it
            lease.require(s, self.key, self.id)
            for row in self._rows:
                s.merge(row)
            s.flush()
            # A dataset has thousands of parents; the children are new, so there is no row to look for.
            links = [{"child_id": row.id, "parent_id": parent} for row in self._rows for parent in sorted(parents)]
            if links:
                s.execute(insert(Lineage), links)
            for row in self._domain_rows:
                s.merge(row)
            for table, rows in self._new_rows:
                s.execute(insert(table), rows)
            for metric in _metric_rows(self.id, self.summary.metrics):
                s.add(metric)
            self._update(s.get_one(Run, self.id))

    def fail(self, error: BaseException) -> None:
        """Close the run's row after an error or a cancellation; nothing is published."""

        def commit() -> None:
            with session() as s:
                row = s.get_one(Run, self.id)
                if row.status != RUNNING:
                    return  # completed a moment before, or closed by the one who took over
                self._end(FAILED if isinstance(error, Exception) else CANCELLED)
                self.summary.products.clear()
                self._update(row)
                row.error = str(error) or type(error).__name__

        try:
            patiently(commit)
        except DatabaseError as second:  # the first error is what a person must see; the reconciler closes the row
            log.error("%s: the end of run %s could not be written down: %s", self.flow, self.id, second)

    def _end(self, status: str) -> None:
        self.summary.status = status
        self.summary.seconds = round(time.monotonic() - self._started, 3)

    def _update(self, row: Run) -> None:
        row.status, row.ended, row.seconds = self.summary.status, now(), self.summary.seconds
        row.summary = self.summary.model_dump(mode="json")


def _metric_rows(run_id: str, metrics: dict[str, Any]) -> Iterator[Metric]:
    for key, value in metrics.items():
        unit = _unit(key)
        for position, number in enumerate(value) if isinstance(value, list) else [(-1, value)]:
            if number is not None:
                yield Metric(run_id=run_id, key=key, position=position, value=number, unit=unit)


def _unit(key: str) -> str | None:
    """The unit that a metric's name ends in, as in ``psnr_db``."""
    units = {"db": "dB", "deg": "deg", "mm": "mm", "s": "s", "mb": "MB", "nm": "nm"}
    return units.get(key.rsplit("_", 1)[-1]) if "_" in key else None
