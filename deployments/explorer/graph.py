"""The lineage of a run as a drawing: what it was made from on the left, what was made of it on the right."""

from typing import Any

MOST = 12
"""Boxes in a column; more are counted in the last one."""
BOX, GAP_X, GAP_Y = (210, 40), 70, 12


def lineage_graph(edges: set[tuple[str, str]], products: dict[str, dict[str, Any]], run_id: str) -> dict[str, Any]:
    """Boxes and lines of the products around a run.

    Parameters
    ----------
    edges : set of (parent id, child id)
    products : dict
        Rows by id; edges to others are left out.
    run_id : str
        The run whose products are marked.

    Returns
    -------
    dict
        ``boxes`` (x, y, name, kind, id, here), ``lines`` (x1, y1, x2, y2), ``width`` and ``height`` [px].
    """
    known = {(p, c) for p, c in edges if p in products and c in products}
    columns: dict[int, list[str]] = {}
    for id_, level in sorted(_levels(known, products).items(), key=lambda item: (item[1], products[item[0]]["name"])):
        columns.setdefault(level, []).append(id_)
    place: dict[str, tuple[int, int]] = {}
    boxes = []
    for x, level in enumerate(sorted(columns)):
        shown, hidden = columns[level][:MOST], columns[level][MOST:]
        for y, id_ in enumerate(shown):
            place[id_] = (x * (BOX[0] + GAP_X), y * (BOX[1] + GAP_Y))
            row = products[id_]
            facts = {"id": id_, "name": row["name"], "kind": row["kind"], "here": row["run_id"] == run_id}
            boxes.append(facts | {"x": place[id_][0], "y": place[id_][1]})
        if hidden:
            boxes.append(
                {"id": None, "name": f"and {len(hidden)} more", "kind": "", "here": False}
                | {"x": x * (BOX[0] + GAP_X), "y": len(shown) * (BOX[1] + GAP_Y)}
            )
    lines = [
        {
            "x1": place[p][0] + BOX[0],
            "y1": place[p][1] + BOX[1] // 2,
            "x2": place[c][0],
            "y2": place[c][1] + BOX[1] // 2,
        }
        for p, c in sorted(known)
        if p in place and c in place
    ]
    width = len(columns) * (BOX[0] + GAP_X) - GAP_X
    height = max((box["y"] for box in boxes), default=0) + BOX[1]
    return {"boxes": boxes, "lines": lines, "width": max(width, BOX[0]), "height": height}


def _levels(edges: set[tuple[str, str]], ids: Any) -> dict[str, int]:
    """How many steps from its first ancestor each product lies: parents always left of their children."""
    level = dict.fromkeys(ids, 0)
    for _ in range(len(level)):
        moved = [(c, level[p] + 1) for p, c in edges if level[c] <= level[p]]
        if not moved:
            break
        level |= dict(moved)
    return level
