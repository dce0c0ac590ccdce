"""Compiled loops of the selections: farthest-first traversal and lazy greedy coverage."""

import numpy as np

from tasks.array.compiled import jit


@jit
def square_distance(a: np.ndarray, b: np.ndarray) -> np.float32:
    """Squared Euclidean distance; four partial sums, in a fixed order, so that the additions need not wait for each other."""
    s0 = s1 = s2 = s3 = np.float32(0)
    n = a.shape[0]
    whole = n - n % 4
    for j in range(0, whole, 4):
        d0, d1, d2, d3 = a[j] - b[j], a[j + 1] - b[j + 1], a[j + 2] - b[j + 2], a[j + 3] - b[j + 3]
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
    for j in range(whole, n):
        s0 += (a[j] - b[j]) * (a[j] - b[j])
    return (s0 + s1) + (s2 + s3)


@jit
def _nearer(
    x: np.ndarray,
    i: int,
    centres: np.ndarray,
    links: np.ndarray,
    n: int,
    near: np.ndarray,
    home: np.ndarray,
    seen: np.ndarray,
    floor: float,
) -> None:
    """Bring point ``i`` up to date with the first ``n`` centres, or until it is no farther than ``floor``."""
    while seen[i] < n and near[i] > floor:
        c = seen[i]
        seen[i] += 1
        # The triangle inequality: a centre twice as far from i's own as i is cannot be nearer to i.
        if home[i] >= 0 and links[home[i], c] >= np.float32(4.0001) * near[i]:
            continue
        d = square_distance(x[i], centres[c])
        if d < near[i]:
            near[i] = d
            home[i] = c


@jit
def farthest_first(x: np.ndarray, given: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Select ``k`` points, each the farthest from ``given`` and those before; return them and the squared distances then.

    A point's distance to a part of the centres is never too small, so a point whose stale distance is below that of
    one already brought up to date need not be touched: most points see few of the centres.
    """
    n, n_given = x.shape[0], given.shape[0]
    centres = np.empty((n_given + k, x.shape[1]), np.float32)
    centres[:n_given] = given
    links = np.empty((n_given + k, n_given + k), np.float32)
    for a in range(n_given):
        for b in range(a + 1):
            links[a, b] = links[b, a] = square_distance(given[a], given[b])
    near = np.full(n, np.inf, np.float32)
    home, seen = np.full(n, -1, np.int32), np.zeros(n, np.int32)
    chosen, reach = np.empty(k, np.int64), np.empty(k, np.float32)
    for step in range(k):
        m = n_given + step
        best = np.argmax(near)
        _nearer(x, int(best), centres, links, m, near, home, seen, -1.0)
        for i in range(n):
            if near[i] > near[best] or (near[i] == near[best] and i < best):
                _nearer(x, i, centres, links, m, near, home, seen, float(near[best]))
                if near[i] > near[best] or (near[i] == near[best] and i < best and seen[i] == m):
                    best = i
        chosen[step], reach[step] = best, near[best]
        centres[m] = x[best]
        for a in range(m + 1):
            links[a, m] = links[m, a] = square_distance(centres[a], centres[m])
    return chosen, reach


@jit
def _gain(neighbours: np.ndarray, similarity: np.ndarray, starts: np.ndarray, covered: np.ndarray, j: int) -> float:
    total = 0.0
    for e in range(starts[j], starts[j + 1]):
        more = similarity[e] - covered[neighbours[e]]
        if more > 0:
            total += more
    return total


@jit
def _sink(heap: np.ndarray, key: np.ndarray, at: int, size: int) -> None:
    """Restore a heap whose top is the largest key, the lowest number among equals."""
    while True:
        top, left = at, 2 * at + 1
        for child in (left, left + 1):
            if child < size:
                a, b = heap[child], heap[top]
                if key[a] > key[b] or (key[a] == key[b] and a < b):
                    top = child
        if top == at:
            return
        heap[at], heap[top] = heap[top], heap[at]
        at = top


@jit
def cover_greedily(
    neighbours: np.ndarray, similarity: np.ndarray, starts: np.ndarray, n_targets: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lazy greedy facility location: candidate ``j`` covers ``neighbours[starts[j]:starts[j + 1]]``; the picks and their gains."""
    n = starts.shape[0] - 1
    covered = np.zeros(n_targets, np.float64)
    key, fresh = np.empty(n, np.float64), np.zeros(n, np.int64)
    for j in range(n):
        key[j] = _gain(neighbours, similarity, starts, covered, j)
    heap, size = np.arange(n), n
    for at in range(n // 2 - 1, -1, -1):
        _sink(heap, key, at, size)
    chosen, gains = np.empty(k, np.int64), np.empty(k, np.float64)
    for step in range(k):
        while fresh[heap[0]] != step:
            top = heap[0]
            key[top] = _gain(neighbours, similarity, starts, covered, top)
            fresh[top] = step
            _sink(heap, key, 0, size)
        top = heap[0]
        chosen[step], gains[step] = top, key[top]
        for e in range(starts[top], starts[top + 1]):
            covered[neighbours[e]] = max(covered[neighbours[e]], similarity[e])
        size -= 1
        heap[0] = heap[size]
        _sink(heap, key, 0, size)
    return chosen, gains
