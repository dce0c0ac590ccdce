"""1/sigma of every trial, from the weights of the samples it sums."""

import numpy as np

from tasks.array.compiled import jit
from tasks.search.kernels._tree_cpu import grow_rows
from tasks.search.kernels._trials_cpu import box_sizes
from tasks.search.tree import Tree


def normalise(
    u: np.ndarray,
    totals: np.ndarray,
    typical: np.ndarray,
    delays: np.ndarray,
    steps: np.ndarray,
    first: int,
    minimum: float,
    norm: np.ndarray,
    tree: Tree | None = None,
) -> None:
    """Fill ``norm`` (dm, width, start) with 1/sqrt(variance) of each trial's weighted sum, after baseline removal.

    ``u`` (time, channel) are the weights 1/sigma^2, zero where masked; ``totals`` (time, channel) their sums over the
    stretch whose mean level was subtracted from that sample; ``typical`` (channel,) the weight of an average sample. A
    trial with less than ``minimum`` of the information it would have at typical weights gets 0. All float64. With a
    ``tree`` the sums over channels are formed in it; its delays are then ``delays``.
    """
    n_start, sizes = norm.shape[2], box_sizes(steps)
    reach = int(delays.max()) // 2
    boxes = _box_sums(u, steps, sizes, first, n_start + reach + 2 + int(sizes.max()))
    spare = 0 if tree is None else tree.n + 1  # the last pass through the tree reads on
    for i, (*_, trial) in enumerate(steps):
        if trial >= 0:
            low, high = max(0, -first - int(sizes[i]) - 1), min(n_start + reach, len(u) - first)  # there are data
            terms = np.zeros((2, 2, u.shape[1], n_start + reach + spare))
            _fill_terms(boxes, totals, i, int(sizes[i]), first, low, high, terms)
            whole = (typical * (sizes[i] - 0.5 * (delays & 1))).sum(1) * minimum
            if tree is None:
                _sum_along(terms, delays, low, high, whole, norm[:, trial])
            else:
                even, odd = np.zeros(tree.sizes[0]), np.zeros(tree.sizes[1])
                parts = (tree.leaves, tree.merges, tree.leaf_ends, tree.merge_ends, tree.roots)
                _sum_tree(terms, tree.n, *parts, even, odd, whole, norm[:, trial])


@jit
def _box_sums(u: np.ndarray, steps: np.ndarray, sizes: np.ndarray, first: int, n_row: int) -> np.ndarray:
    n_channel = u.shape[1]
    boxes = np.zeros((len(steps), n_channel, n_row))
    for c in range(n_channel):
        for k in range(max(0, -first), min(n_row, len(u) - first)):
            boxes[0, c, k] = u[first + k, c]
        for i in range(1, len(steps)):
            for k in range(n_row - sizes[i] + 1):
                boxes[i, c, k] = boxes[steps[i, 0], c, k] + boxes[steps[i, 1], c, k + steps[i, 2]]
    return boxes


@jit
def _fill_terms(
    boxes: np.ndarray, totals: np.ndarray, i: int, size: int, first: int, low: int, high: int, terms: np.ndarray
) -> None:
    """What a channel adds to a trial's energy and loss, at whole and half samples: it does not depend on the DM."""
    for c in range(boxes.shape[1]):
        for j in range(low, high):
            total = totals[min(max(0, first + j), len(totals) - 1), c]
            mean = boxes[i, c, j]
            between = 0.5 * (mean + boxes[i, c, j + 1])
            terms[0, 0, c, j] = mean
            terms[0, 1, c, j] = between - 0.25 * (boxes[0, c, j] + boxes[0, c, j + size])
            terms[1, 0, c, j] = mean * mean / total if total > 0 else 0.0
            terms[1, 1, c, j] = between * between / total if total > 0 else 0.0


@jit
def _sum_along(
    terms: np.ndarray, delays: np.ndarray, low: int, high: int, enough: np.ndarray, norm: np.ndarray
) -> None:
    n_start = norm.shape[1]
    energy, lost = np.zeros(n_start), np.zeros(n_start)
    for dm in range(delays.shape[0]):
        energy[:], lost[:] = 0.0, 0.0
        for c in range(delays.shape[1]):
            odd, delay = delays[dm, c] & 1, delays[dm, c] // 2
            start, stop = max(0, low - delay), min(n_start, high - delay)
            _accumulate(energy, terms[0, odd, c], start, stop, delay)
            _accumulate(lost, terms[1, odd, c], start, stop, delay)
        _invert(energy, lost, enough[dm], norm[dm])


@jit
def _accumulate(total: np.ndarray, values: np.ndarray, start: int, stop: int, shift: int) -> None:
    if start < stop:
        target, source = total[start:stop], values[start + shift : stop + shift]
        for k in range(target.size):
            target[k] += source[k]


@jit
def _sum_tree(
    terms: np.ndarray,
    n: int,
    leaves: np.ndarray,
    merges: np.ndarray,
    leaf_ends: np.ndarray,
    merge_ends: np.ndarray,
    roots: np.ndarray,
    even: np.ndarray,
    odd: np.ndarray,
    enough: np.ndarray,
    norm: np.ndarray,
) -> None:
    sums = np.zeros((2, len(roots), n))
    for start in range(0, norm.shape[1], n):
        stop = min(norm.shape[1], start + n)
        for kind in range(2):
            whole, half = terms[kind, 0, :, start:], terms[kind, 1, :, start:]
            grow_rows(whole, half, leaves, merges, leaf_ends, merge_ends, even, odd)
            for dm in range(len(roots)):
                out, a, b = sums[kind, dm], odd[roots[dm, 0] :], odd[roots[dm, 1] :]
                for t in range(n):
                    out[t] = a[t] + b[t]
        for dm in range(len(roots)):
            _invert(sums[0, dm], sums[1, dm], enough[dm], norm[dm, start:stop])


@jit
def _invert(energy: np.ndarray, lost: np.ndarray, enough: float, norm: np.ndarray) -> None:
    for k in range(norm.size):
        variance = energy[k] - lost[k]
        usable = energy[k] >= enough and variance > 0.1 * energy[k]
        norm[k] = 1 / np.sqrt(variance) if usable else 0.0
