"""Dedisperse through a tree on the CPU, one pixel at a time: neighbouring times are the lanes."""

import numpy as np

from tasks.array.compiled import jit
from tasks.search._formulas import CELL
from tasks.search.kernels._threads import shared
from tasks.search.kernels._trials_cpu import active_cells, as_series, best_of_cells, box_sizes, keep_best
from tasks.search.tree import Tree


def detect_tree(
    y: np.ndarray, tree: Tree, steps: np.ndarray, norm: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `detect` does for trials with the delays of ``tree``, made for passes of whole cells and the widest boxcar."""
    sizes = box_sizes(steps)
    shape = (norm.shape[2] // CELL, y.shape[2])
    best, code = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    window = int((tree.leaves[:, 2] + tree.leaves[:, 3]).max())
    cells = (tree.n + 1 - int(sizes.max())) // CELL
    n_row = -(-shape[0] // cells) * cells * CELL + window + 1
    parts = (tree.leaves, tree.merges, tree.leaf_ends, tree.merge_ends, tree.roots)
    series = as_series(y, first, n_row)
    shared(
        _detect_tree, series, *parts, np.array(tree.sizes), window, cells, steps, sizes, norm, active_cells(norm), best, code
    )  # fmt: skip
    return best, code


@jit
def _detect_tree(
    series: np.ndarray,
    leaves: np.ndarray,
    merges: np.ndarray,
    leaf_ends: np.ndarray,
    merge_ends: np.ndarray,
    roots: np.ndarray,
    buffers: np.ndarray,
    window: int,
    cells: int,
    steps: np.ndarray,
    sizes: np.ndarray,
    norm: np.ndarray,
    active: np.ndarray,
    best: np.ndarray,
    code: np.ndarray,
    worker: int,
    n_workers: int,
) -> None:
    n_cell, longest = best.shape[0], sizes.max()
    n_span = (n_cell + cells - 1) // cells
    even, odd = np.zeros(buffers[0], np.float32), np.zeros(buffers[1], np.float32)
    half = np.zeros((series.shape[1], window), np.float32)
    box = np.zeros((len(steps), cells * CELL + longest), np.float32)
    top, tag = np.zeros(cells * CELL, np.float32), np.zeros(cells * CELL, np.int32)
    for item in range(worker, series.shape[0] * n_span, n_workers):
        p, cell0 = item // n_span, item % n_span * cells
        top[:], tag[:] = 0, 0
        whole = series[p, :, cell0 * CELL :]
        for c in range(half.shape[0]):
            row, source = half[c], whole[c]
            for t in range(window):
                row[t] = np.float32(0.5) * (source[t] + source[t + 1])
        grow_rows(whole, half, leaves, merges, leaf_ends, merge_ends, even, odd)
        for dm in range(len(roots)):
            low, high = max(active[dm, 0], cell0), min(active[dm, 1], cell0 + cells)
            if low < high:
                n, skip = (high - low) * CELL + longest - 1, (low - cell0) * CELL
                out, a, b = box[0, :n], odd[roots[dm, 0] + skip :], odd[roots[dm, 1] + skip :]
                for t in range(n):
                    out[t] = a[t] + b[t]
                part = slice(skip, (high - cell0) * CELL)
                keep_best(box, n, steps, sizes, norm[dm], dm, low * CELL, top[part], tag[part])
        span = slice(cell0, min(n_cell, cell0 + cells))
        best_of_cells(top, tag, best[span, p], code[span, p])


@jit
def grow_rows(
    whole: np.ndarray,
    half: np.ndarray,
    leaves: np.ndarray,
    merges: np.ndarray,
    leaf_ends: np.ndarray,
    merge_ends: np.ndarray,
    even: np.ndarray,
    odd: np.ndarray,
) -> None:
    """Fill the buffers from the deepest rows to those of depth 1 (see `tree.Tree`).

    ``whole`` (channel, time) are the samples and ``half`` what stands between each and the next.
    """
    for i in range(len(leaf_ends) - 1):
        deep = (len(leaf_ends) - 1 - i) % 2 == 1
        out, below = (odd, even) if deep else (even, odd)
        for k in range(leaf_ends[i], leaf_ends[i + 1]):
            channel, between, base, length, address = leaves[k]
            row = half[channel, base:] if between else whole[channel, base:]
            target = out[address : address + length]
            for t in range(length):
                target[t] = row[t]
        for k in range(merge_ends[i], merge_ends[i + 1]):
            address, first, second, length = merges[k]
            target, a, b = out[address : address + length], below[first:], below[second:]
            for t in range(length):
                target[t] = a[t] + b[t]
