"""Near-duplicates: all pairs of embeddings within a radius, by clustering first and comparing within and across borders.

Each point belongs to the nearest of some pivots. A point within ``radius`` of a member of another cluster must lie within
``radius`` of the plane halfway between the two pivots, so it visits only such clusters. That is exact, and cheap wherever
data is clustered. Where it is not (points all over a sphere), a border as wide as the radius takes in much of the space,
while the component of a small difference along one direction is far smaller than its length: the border is then made as
narrow as the work allows. Candidates are measured again, so the answer does not depend on the device's rounding.
"""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace, to_host

BORDERS = (1.0, 0.7, 0.5, 0.4)
"""Widths of the border to try, in radii: at 0.4 of the radius, 99.9 % of pairs in 64 dimensions are still found."""

WORK = 5000
"""Comparisons allowed per point before the border is narrowed."""

PRODUCTS = 1 << 20
"""Comparisons made at once: their results stay in the cache."""

BLOCK = 8192
"""Rows whose distances to all pivots are held at once."""

DIRECTIONS = 24
"""Directions along which pairs are compared before they are measured: a third of the products, and few pass in vain."""

PROBE = 1024
"""Rows on which the work is estimated."""


def near_duplicates(x: Any, radius: float, against: Any = None) -> tuple[Any, Any]:
    """All pairs of rows no farther apart than ``radius``, in the Euclidean sense.

    Parameters
    ----------
    x : (record, feature) float array
        Embeddings.
    radius : float
        Largest distance of a pair; for unit vectors, ``sqrt(2 * eps)`` is a cosine similarity of ``1 - eps``.
    against : (earlier, feature) float array, optional
        Look for pairs of a row of ``x`` and a row of this, instead of pairs within ``x``.

    Returns
    -------
    pairs : (pair, 2) int64 array
        Row numbers, in ascending order; within ``x`` the first is the smaller.
    distance : (pair,) float64 array
        Their distances.

    Raises
    ------
    ValueError
        If ``radius`` is negative or a value is not finite.

    References
    ----------
    Abbas et al., *SemDeDup* (2023), for clustering before comparing.
    """
    xp = namespace(x)
    x = xp.asarray(x, xp.float32)
    other = x if against is None else xp.asarray(against, xp.float32)
    if not radius >= 0:
        raise ValueError(f"the radius must not be negative, got {radius}")
    if not (xp.isfinite(x).all() and xp.isfinite(other).all()):
        raise ValueError("embeddings hold NaN or infinite values; gate such samples out first")
    if not len(x) or not len(other):
        return xp.zeros((0, 2), xp.int64), xp.zeros(0)
    candidates = _candidates(xp, x, other, float(radius), within=against is None)
    return _measure(xp, x, other, candidates, radius)


def _candidates(xp: Any, x: Any, other: Any, radius: float, *, within: bool) -> Any:
    """Pairs that may be within the radius, each once."""
    centre = other.mean(axis=0, dtype=xp.float64).astype(xp.float32)
    x, other = x - centre, other - centre
    pivots = other[_spread(len(other))]
    home = _nearest(xp, x, pivots)
    home_other = home if within else _nearest(xp, other, pivots)
    members = _by_cluster(xp, home_other, xp.arange(len(other)), len(pivots))
    sizes = xp.asarray([len(m) for m in members])
    border = _affordable(xp, x, home, pivots, sizes, radius)
    guests = _visits(xp, x, home, pivots, border * radius, onward=within)
    slack = 4e-6 * float(max((x * x).sum(axis=1).max(), (other * other).sum(axis=1).max()))
    axes = _axes(xp, other)
    left, right = _lifted(xp, x @ axes, other @ axes, radius**2 + slack)
    found = []
    for cluster, visitors in enumerate(guests):
        own = members[cluster]
        if not len(visitors) or not len(own):
            continue
        a, b = _close(xp, left[visitors], right[own])
        i, j = visitors[a], own[b]
        if within:  # guests come onward only, so only pairs at home are met twice
            once = (home[i] != cluster) | (i < j)
            i, j = xp.minimum(i, j)[once], xp.maximum(i, j)[once]
        found.append(xp.stack([i, j], axis=1))
    return xp.concatenate(found) if found else xp.zeros((0, 2), xp.int64)


def _spread(n: int) -> np.ndarray:
    """Row numbers of the pivots: a fixed sample, growing with the root of the number of points."""
    k = min(n, max(1, min(1024, int(n**0.5))))
    return np.sort(np.random.default_rng(0).choice(n, k, replace=False))


def _nearest(xp: Any, x: Any, pivots: Any) -> Any:
    half = (pivots * pivots).sum(axis=1) / 2
    return xp.concatenate([(x[i : i + BLOCK] @ pivots.T - half).argmax(axis=1) for i in range(0, len(x), BLOCK)])


def _margins(xp: Any, x: Any, home: Any, pivots: Any) -> Any:
    """Distance of each row to the plane between its own pivot and each other one; zero to its own."""
    half = (pivots * pivots).sum(axis=1) / 2
    score = x @ pivots.T - half
    gaps = xp.sqrt(xp.maximum(2 * (half[:, None] + half - pivots @ pivots.T), 1e-30))
    return (xp.take_along_axis(score, home[:, None], axis=1) - score) / gaps[home]


def _affordable(xp: Any, x: Any, home: Any, pivots: Any, sizes: Any, radius: float) -> float:
    rows = np.unique(np.linspace(0, len(x) - 1, PROBE).astype(np.int64))
    margins = _margins(xp, x[rows], home[rows], pivots)
    for border in BORDERS:
        if float((margins <= border * radius).astype(xp.float32).mean(axis=0) @ sizes.astype(xp.float32)) <= WORK:
            break
    return border


def _visits(xp: Any, x: Any, home: Any, pivots: Any, border: float, *, onward: bool) -> list[Any]:
    """Which rows each cluster must be compared with: its own, and those near its border (``onward``: from lower clusters)."""
    rows, clusters = [], []
    for start in range(0, len(x), BLOCK):
        block = slice(start, start + BLOCK)
        near = _margins(xp, x[block], home[block], pivots) <= border * (1 + 1e-5) + 1e-6
        if onward:
            near &= xp.arange(len(pivots)) >= home[block, None]
        at = xp.flatnonzero(near)
        rows.append(at // len(pivots) + start)
        clusters.append(at % len(pivots))
    return _by_cluster(xp, xp.concatenate(clusters), xp.concatenate(rows), len(pivots))


def _by_cluster(xp: Any, cluster: Any, rows: Any, n: int) -> list[Any]:
    order = xp.argsort(cluster, kind="stable")
    ends = to_host(xp.cumsum(xp.bincount(cluster, minlength=n)))
    return [rows[order[start:end]] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _axes(xp: Any, points: Any) -> Any:
    """The directions in which points differ most: what is farther apart there than the radius is farther apart at all."""
    spread = points.T @ points
    return xp.ascontiguousarray(xp.linalg.eigh(spread)[1][:, -DIRECTIONS:])


def _lifted(xp: Any, x: Any, other: Any, square: float) -> tuple[Any, Any]:
    """Rows with two features more, whose product is not negative where the squared distance is at most ``square``."""
    need = (other * other).sum(axis=1, keepdims=True) / 2 - xp.float32(square / 2)
    have = (x * x).sum(axis=1, keepdims=True) / 2
    left = xp.concatenate([x, xp.ones_like(have), -have], axis=1)
    return left, xp.concatenate([other, -need, xp.ones_like(need)], axis=1)


def _close(xp: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """Index pairs of lifted rows whose product is not negative."""
    step, turned, rows, columns = max(1, PRODUCTS // len(right)), right.T, [], []
    for start in range(0, len(left), step):
        at = xp.flatnonzero(left[start : start + step] @ turned >= 0)
        rows.append(at // len(right) + start)
        columns.append(at % len(right))
    return xp.concatenate(rows), xp.concatenate(columns)


def _measure(xp: Any, x: Any, other: Any, pairs: Any, radius: float) -> tuple[Any, Any]:
    """Candidates with their true distances; those within the radius, sorted."""
    distance = xp.concatenate(
        [xp.zeros(0)]
        + [
            xp.sqrt(((x[p[:, 0]].astype(xp.float64) - other[p[:, 1]]) ** 2).sum(axis=1))
            for p in (pairs[i : i + BLOCK] for i in range(0, len(pairs), BLOCK))
        ]
    )
    keep = distance <= radius
    pairs, distance = pairs[keep], distance[keep]
    order = xp.lexsort(xp.stack([pairs[:, 1], pairs[:, 0]]))
    return pairs[order], distance[order]
