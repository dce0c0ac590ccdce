"""Questions about what happened: runs, products, lineage, and the tables of the workloads, filtered by `--where`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, literal, or_, select
from sqlalchemy.orm import selectinload

from storage.database import Base, engine, session
from storage.errors import BadInputError, UnknownNameError
from storage.tables import Lineage, Metric, ProductRow, Run
from storage.where import Compare, compare, where

if TYPE_CHECKING:
    import pandas as pd


def runs(condition: str | None = None, *, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """The newest runs that meet ``condition``, newest first, one dictionary each."""
    wanted = select(Run).options(selectinload(Run.products)).order_by(Run.started.desc()).limit(limit).offset(offset)
    if condition:
        wanted = wanted.where(where(condition, run_field))
    with session() as s:
        return [_run_line(row) for row in s.scalars(wanted)]


def run(run_id: str) -> dict[str, Any]:
    """Everything about one run; ``run_id`` may be the beginning of an id."""
    row = _one(Run, run_id, "run", selectinload("*"))
    with session() as s:
        products = {p.id for p in row.products}
        parents = s.scalars(
            select(ProductRow)
            .join(Lineage, Lineage.parent_id == ProductRow.id)
            .where(Lineage.child_id.in_(products))
            .distinct()
        ).all()
    return _run_line(row) | {
        "params": row.params,
        "key": row.key,
        "commit": row.commit,
        "dirty": row.dirty,
        "code_version": row.code_version,
        "host": row.host,
        "trigger": row.trigger,
        "flow_run_id": row.flow_run_id,
        "error": row.error,
        "inputs": [_columns(i) for i in row.inputs],
        "stages": [_columns(i) for i in row.stages],
        "made_from": [_columns(p) for p in parents],
        "products": [_columns(p) for p in row.products],
        "summary": row.summary,
    }


def products(condition: str | None = None, *, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """The newest published products that meet ``condition``."""
    newest = ProductRow.published.desc()
    return table(ProductRow, condition, order=newest, limit=limit, offset=offset, only=ProductRow.deleted.is_(None))


def product(name: str) -> dict[str, Any]:
    """One product by id, beginning of an id, or URI."""
    from storage.sources import product_row

    row = product_row(name)
    if row is None:
        raise BadInputError(f"there is no product {name!r}; look at `nightloom products ls`")
    return _columns(row)


def lineage(*names: str, most: int = 100_000) -> list[tuple[str, str]]:
    """The (parent, child) pairs of product ids around the products ``names``, in both directions, nearest first up to ``most``."""
    start = {product(name)["id"] for name in names}
    edges: set[tuple[str, str]] = set()
    with session() as s:
        for here, there in ((Lineage.child_id, Lineage.parent_id), (Lineage.parent_id, Lineage.child_id)):
            front = start
            while front and len(edges) < most:
                rows = s.execute(select(Lineage.parent_id, Lineage.child_id).where(here.in_(front)).limit(most)).all()
                found = {(p, c) for p, c in rows} - edges
                edges |= found
                front = {p if there is Lineage.parent_id else c for p, c in found}
    return sorted(edges)


def table(
    row: type[Base],
    condition: str | None = None,
    *,
    order: Any = None,
    limit: int = 50,
    offset: int = 0,
    only: Any = None,
    frequent: bool = False,
) -> list[dict]:
    """Rows of any table that meet ``condition``, as dictionaries; ``frequent``: many do, so that following ``order`` finds
    some at once, whereas looking them all up and sorting them takes seconds."""
    wanted = select(row).limit(limit).offset(offset)
    if order is not None:
        wanted = wanted.order_by(order)
    if only is not None:
        wanted = wanted.where(only)
    if condition:
        met = where(condition, lambda name: _column_field(row, name))
        # PostgreSQL knows how frequent values are; SQLite must be told.
        likely = frequent and engine().dialect.name == "sqlite"
        wanted = wanted.where(func.likely(met) if likely else met)
    with session() as s:
        return [_columns(found) for found in s.scalars(wanted)]


def count(row: type[Base], condition: str | None = None, *, up_to: int = 10_000, only: Any = None) -> int:
    """How many rows meet ``condition``; counting ends at ``up_to``, so that a page of millions answers at once."""
    fields = run_field if row is Run else lambda name: _column_field(row, name)
    wanted = select(literal(1)).select_from(row).limit(up_to)
    if only is not None:
        wanted = wanted.where(only)
    if condition:
        wanted = wanted.where(where(condition, fields))
    with session() as s:
        return s.scalar(select(func.count()).select_from(wanted.subquery())) or 0


def frame(rows: Sequence[dict[str, Any]]) -> "pd.DataFrame":
    """Any answer of this module as a table for pandas."""
    import pandas as pd

    return pd.DataFrame(list(rows))


def run_field(name: str) -> Compare:
    """A column of ``run``, ``metric.<key>``, ``params.<name>`` or ``product.<column>``."""
    kind, _, rest = name.partition(".")
    if kind == "metric" and rest:
        # IN, not EXISTS: SQLite would walk the metric's index once per run.
        return lambda op, value: Run.id.in_(
            select(Metric.run_id).where(Metric.key == rest, compare(Metric.value, op, value))
        )
    if kind == "product" and rest:
        field = _column_field(ProductRow, rest)
        return lambda op, value: Run.id.in_(select(ProductRow.run_id).where(field(op, value)))
    if kind == "params" and rest:
        return lambda op, value: compare(_json(Run.params, rest.split("."), value), op, value)
    return _column_field(Run, "id" if name == "run" else name)


def _column_field(row: type[Base], name: str) -> Compare:
    columns = row.__table__.columns
    if name not in columns:
        raise UnknownNameError("field", name, [*columns.keys()])
    return lambda op, value: compare(columns[name], op, value)


def _json(column: Any, path: list[str], value: Any) -> Any:
    """A member of a JSON column where it has the value's type, else null: ``'auto' > 3`` is no error, and not true."""
    element = column[tuple(path)]
    if isinstance(value, bool):
        kinds, typed = ("boolean", "true", "false"), element.as_boolean()
    elif isinstance(value, (int, float)):
        kinds, typed = ("number", "integer", "real"), element.as_float()
    else:
        kinds, typed = ("string", "text"), element.as_string()
    if engine().dialect.name == "postgresql":
        kind = func.jsonb_typeof(element)
    else:
        kind = func.json_type(column, "$" + "".join(f'."{name}"' for name in path))
    return case((kind.in_(kinds), typed))


def _one(row: type[Any], wanted: str, what: str, *options: Any) -> Any:
    with session() as s:
        found = s.scalars(
            select(row).options(*options).where(or_(row.id == wanted, row.id.startswith(wanted))).limit(2)
        ).all()
    if len(found) != 1:
        found_what = "several begin" if found else "none begins"
        raise BadInputError(f"{found_what} with {wanted!r}; give the id of a {what} as `nightloom {what}s ls` shows it")
    return found[0]


def _run_line(row: Run) -> dict[str, Any]:
    summary = row.summary or {}
    return {
        "run": row.id,
        "flow": row.flow,
        "status": row.status,
        "started": row.started.isoformat(timespec="seconds"),
        "seconds": row.seconds,
        "products": [{"id": p.id, "name": p.name, "kind": p.kind, "uri": p.uri} for p in row.products],
        "metrics": summary.get("metrics", {}),
    }


def _columns(row: Base) -> dict[str, Any]:
    return {
        c.key: value.isoformat(timespec="seconds") if hasattr(value := getattr(row, c.key), "isoformat") else value
        for c in row.__table__.columns
    }


def compare_runs(first: str, second: str) -> list[dict[str, Any]]:
    """Where two runs differ: one line per parameter, fact or metric, with both values."""
    sides = [run(first), run(second)]
    flat = [_facts(side) for side in sides]
    names = [*flat[0], *(name for name in flat[1] if name not in flat[0])]
    return [
        {"what": name, sides[0]["run"]: flat[0].get(name), sides[1]["run"]: flat[1].get(name)}
        for name in names
        if flat[0].get(name) != flat[1].get(name)
    ]


def _facts(shown: dict[str, Any]) -> dict[str, Any]:
    facts = {name: shown[name] for name in ("flow", "status", "seconds", "commit", "code_version", "host")}
    facts |= {f"params.{name}": value for name, value in shown["params"].items()}
    facts |= {f"input.{i['role']}": i["digest"] for i in shown["inputs"]}
    return facts | {f"metric.{name}": value for name, value in shown["metrics"].items() if not isinstance(value, list)}


def lineage_lines(name: str) -> list[dict[str, str]]:
    """Lineage around a product, or around each product of a run, with kinds and addresses for people to read."""
    from storage.sources import product_row

    starts = [name] if product_row(name) else [p["id"] for p in run(name)["products"]]
    edges = sorted({edge for start in starts for edge in lineage(start)})
    return [{"from": _named(parent), "to": _named(child)} for parent, child in edges]


def _named(product_id: str) -> str:
    found = product(product_id)
    return f"{found['kind']} {product_id} {found['uri']}"
