"""What the pages show, as plain data: the JSON API returns these answers as they are."""

import os
from typing import Annotated, Any, Literal

from fastapi import HTTPException, Query
from pydantic import BaseModel, Field

from deployments.explorer.graph import lineage_graph
from storage import labels, query
from storage.errors import BadInputError
from storage.listing import listing, listing_names
from storage.tables import ProductRow, Run

LARGEST_PAGE = 50
RELATIVES = 300
"""Products around a run or a product that are shown."""
MOST_PICTURES = 5000
"""Pictures of the runs of one page that are looked through."""
COUNTED = 10_000
"""Rows are counted up to here; beyond, a page says "more than"."""

Where = Annotated[str, Query(description="filter, as in `nightloom runs ls --where`", max_length=2000)]
Page = Annotated[int, Query(ge=1, le=100_000, description="page, from 1")]
Size = Annotated[int, Query(ge=1, le=10_000, description="rows per page")]
Label = Annotated[Literal["", "accept", "reject", "none"], Query(description="only rows that people decided on so")]
STATUSES = ("completed", "failed", "running", "cancelled", "interrupted")


class Decision(BaseModel):
    """What somebody decided about a row."""

    verdict: labels.Verdict
    who: str = Field(
        min_length=1, max_length=100, description="name of the person who decides", pattern=r"^[^\x00-\x1f]+$"
    )


def overview() -> dict[str, Any]:
    """What happened lately."""
    latest = [_without_series(run) for run in query.runs(limit=12)]
    pictures = query.products("kind = 'picture'", limit=8)
    counts = {status: query.count(Run, f"status = '{status}'", up_to=COUNTED) for status in STATUSES}
    return {"counts": counts, "rows": latest, "pictures": pictures, "tables": sorted(listing_names())}


def runs(where: Where = "", flow: str = "", status: str = "", page: Page = 1, size: Size = 50) -> dict[str, Any]:
    """Runs, newest first; ``where`` filters by any column, ``metric.<name>``, ``params.<name>`` or ``product.<column>``."""
    from flows._catalogue import flow_names

    condition = _joined(where, flow=flow, status=status)
    rows = [_without_series(run) for run in query.runs(condition, limit=size, offset=(page - 1) * size)]
    return {
        "rows": rows,
        "flows": flow_names(),
        "statuses": STATUSES,
        "asked": {"where": where, "flow": flow, "status": status},
    } | paging(query.count(Run, condition, up_to=COUNTED), page, size)


def run(run_id: str) -> dict[str, Any]:
    """One run: parameters, stages, metrics, inputs, products, what its products were used for, and its error."""
    found = _one(lambda: query.run(run_id))
    made = {p["id"] for p in found["products"]}
    edges = query.lineage(*sorted(made)[:50], most=RELATIVES) if made else []
    used_by = query.products(_ids(sorted({child for parent, child in edges if parent in made})), limit=50)
    around = {id_ for edge in edges for id_ in edge} | made
    nodes = {p["id"]: p for p in query.products(_ids(sorted(around)), limit=RELATIVES)}
    graph = lineage_graph(set(edges), nodes, found["run"])
    link = os.environ.get("NIGHTLOOM_PREFECT_UI")
    page = f"{link}/runs/flow-run/{found['flow_run_id']}" if link and found["flow_run_id"] else None
    return found | {"used_by": used_by, "prefect": page, "timeline": _timeline(found), "graph": graph}


def compare(run: Annotated[list[str], Query(min_length=2, max_length=8, description="ids of runs")]) -> dict[str, Any]:
    """Runs side by side: parameters, facts and metrics; what differs is marked."""
    sides = [_one(lambda id_=id_: query.run(id_)) for id_ in run]
    facts = [_facts(side) for side in sides]
    names = list(dict.fromkeys(name for side in facts for name in side))
    lines = [{"what": name, "values": [side.get(name) for side in facts]} for name in names]
    for line in lines:
        line["differs"] = any(value != line["values"][0] for value in line["values"])
    flat = [{"what": line["what"]} | dict(zip(run, line["values"], strict=True)) for line in lines]
    return {"runs": [_without_series(side) for side in sides], "lines": lines, "rows": flat}


def products(where: Where = "", kind: str = "", page: Page = 1, size: Size = 50) -> dict[str, Any]:
    """Published products, newest first."""
    condition = _joined(where, kind=kind)
    rows = query.products(condition, limit=size, offset=(page - 1) * size)
    total = query.count(ProductRow, condition, up_to=COUNTED)
    return {"rows": rows, "asked": {"where": where, "kind": kind}} | paging(total, page, size)


def product(product_id: str) -> dict[str, Any]:
    """One product: what it is, from what and by which run it was made, and what was made from it."""
    from deployments.explorer import pictures

    row = _one(lambda: query.product(product_id))
    edges = query.lineage(row["id"], most=RELATIVES)
    around = {id_ for edge in edges for id_ in edge} | {row["id"]}
    nodes = {p["id"]: p for p in query.products(_ids(sorted(around)), limit=500)}
    beside = query.products(f"run_id = '{row['run_id']}' and kind = 'picture'", limit=20)
    return {
        "product": row,
        "parents": [nodes[p] for p, c in edges if c == row["id"] and p in nodes],
        "children": [nodes[c] for p, c in edges if p == row["id"] and c in nodes],
        "pictures": beside,
        "arrays": pictures.arrays(row["uri"]),
    }


def table(
    name: str, where: Where = "", sort: str = "", label: Label = "", page: Page = 1, size: Size = 50
) -> dict[str, Any]:
    """Rows of a workload's table (candidates, grasps, datasets, …), best or newest first.

    ``sort`` is a column, with ``-`` for descending; ``label`` is what people decided: accept, reject, or none.
    """
    asked = _listing(name)
    columns = asked.row.__table__.columns
    key = sort.lstrip("-") or asked.order
    if key not in columns:
        raise BadInputError(f"{name} has no column {key!r}; it has {', '.join(columns.keys())}")
    order = columns[key].asc() if sort and not sort.startswith("-") else columns[key].desc()
    only = labels.labelled(name, columns["id"], label) if label else None
    total = query.count(asked.row, where or None, up_to=COUNTED, only=only)
    part = {"limit": size, "offset": (page - 1) * size, "only": only, "frequent": total >= COUNTED}
    rows = query.table(asked.row, where or None, order=order, **part)
    decided = labels.labels(name, [str(row["id"]) for row in rows])
    shown = _pictures_of(name, rows[:LARGEST_PAGE])
    return {
        "name": name,
        "columns": asked.columns,
        "example": f"{asked.order} > …",
        "pictured": bool(shown),
        "rows": [row | {"label": decided.get(str(row["id"])), "picture": shown.get(str(row["id"]))} for row in rows],
        "asked": {"where": where, "sort": sort, "label": label},
    } | paging(total, page, size)


def _pictures_of(name: str, rows: list[dict[str, Any]]) -> dict[str, str]:
    """The picture that shows a row, by id: ``candidate_007.png`` for candidate number 7 of a run, else one of its run."""
    runs = {row["run_id"] for row in rows if row.get("run_id")}
    one = ProductRow.__table__.columns
    only = one["run_id"].in_(runs) & (one["kind"] == "picture") & one["deleted"].is_(None)
    found = query.table(ProductRow, limit=MOST_PICTURES, only=only) if runs else []
    by_name = {(p["run_id"], p["name"]): p["id"] for p in found}
    by_run = {p["run_id"]: p["id"] for p in found}
    shown = {}
    for row in rows:
        file = f"{name.removesuffix('s')}_{row['number']:03d}.png" if "number" in row else None
        picture = by_name.get((row.get("run_id"), file)) if file else by_run.get(row.get("run_id"))
        if picture:
            shown[str(row["id"])] = picture
    return shown


def decide(name: str, row_id: str, decision: Decision) -> dict[str, Any]:
    """Accept or reject a row, or take that back (clear); who and when is kept."""
    asked = _listing(name)
    if not query.count(asked.row, only=asked.row.__table__.columns["id"] == row_id):
        raise HTTPException(404, f"{name} has no row {row_id!r}")
    return labels.decide(name, row_id, decision.verdict, decision.who)


def _listing(name: str) -> Any:
    if name not in listing_names():
        known = ", ".join(sorted(listing_names())) or "none yet"
        raise HTTPException(404, f"there is no table {name!r}; there are {known}")
    return listing(name)


def _one(ask: Any) -> dict[str, Any]:
    """One thing by id; what does not exist is a page that was not found, not a bad request."""
    try:
        return ask()
    except BadInputError as error:
        raise HTTPException(404, str(error)) from error


def _joined(where: str, **equal: str) -> str | None:
    for value in equal.values():
        if "'" in value:
            raise BadInputError(f"{value!r} is no name; choose one from the list")
    parts = [f"({where})"] if where.strip() else []
    return " and ".join([*parts, *(f"{name} = '{value}'" for name, value in equal.items() if value)]) or None


def _ids(ids: list[str]) -> str:
    return " or ".join(f"id = '{id_}'" for id_ in ids[:RELATIVES]) or "id = ''"


def paging(total: int, page: int, size: int) -> dict[str, Any]:
    pages = max(1, -(-total // size))
    return {"total": total, "more": total >= COUNTED, "page": page, "pages": pages, "size": size}


def _without_series(run: dict[str, Any]) -> dict[str, Any]:
    return run | {"metrics": {k: v for k, v in run["metrics"].items() if not isinstance(v, list)}}


def _facts(run: dict[str, Any]) -> dict[str, Any]:
    facts = {name: run[name] for name in ("flow", "status", "started", "seconds", "code_version", "host", "trigger")}
    facts |= {f"params.{name}": value for name, value in run["params"].items()}
    facts |= {f"input.{i['role']}": i["digest"] for i in run["inputs"]}
    return facts | {f"metric.{k}": v for k, v in run["metrics"].items() if not isinstance(v, list)}


def _timeline(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Each stage with its place in the run, as fractions of the run's time."""
    from datetime import datetime

    if not run["stages"]:
        return []
    begin = datetime.fromisoformat(run["started"])
    starts = [(datetime.fromisoformat(s["started"]) - begin).total_seconds() for s in run["stages"]]
    whole = (
        max([run["seconds"] or 0.0, *(b + (s["seconds"] or 0.0) for b, s in zip(starts, run["stages"], strict=True))])
        or 1.0
    )
    return [
        {"begin": max(0.0, b) / whole, "width": (s["seconds"] or 0.0) / whole, **s}
        for b, s in zip(starts, run["stages"], strict=True)
    ]
