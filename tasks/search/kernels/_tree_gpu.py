"""Dedisperse through a tree on the GPU: one thread per value of a row, depth by depth, the additions of the CPU."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.search._formulas import CELL
from tasks.search.kernels._launch import F0, HALF, launch, on_device
from tasks.search.kernels._trials_cpu import box_sizes
from tasks.search.tree import Tree

BUFFER_BYTES = 1 << 30
"""What the rows of all pixels at work may take together."""


def detect_tree(y: Any, tree: Tree, steps: np.ndarray, norm: Any, first: int) -> tuple[Any, Any]:
    """See `_cpu.detect_tree`."""
    xp = namespace(y)
    sizes = box_sizes(steps)
    shape = (norm.shape[2] // CELL, y.shape[2])
    best, code = xp.zeros(shape, np.float32), xp.zeros(shape, np.int32)
    active = (norm > 0).any(1).reshape(norm.shape[0], -1, CELL).any(2)
    leaves, merges, *trials = on_device(xp, tree.leaves, tree.merges, tree.roots, steps, sizes, norm, active)
    cells = (tree.n + 1 - int(sizes.max())) // CELL
    kernel = _keep_best(len(steps), CELL + int(sizes.max()))
    n_pixel = max(1, min(shape[1], BUFFER_BYTES // (4 * sum(tree.sizes))))
    buffers = [xp.zeros((size, n_pixel), np.float32) for size in tree.sizes]
    for pixel in range(0, shape[1], n_pixel):
        part = xp.ascontiguousarray(y[:, :, pixel : pixel + n_pixel])
        for cell in range(0, shape[0], cells):
            _fill_rows(tree, leaves, merges, part, first + cell * CELL, buffers)
            n_cell = min(cells, shape[0] - cell)
            place = (np.int32(cell), np.int32(n_cell), np.int32(pixel), np.int32(part.shape[2]))
            launch(kernel, n_cell * part.shape[2], buffers[1], *trials, *place, best, code)
    return best, code


def _fill_rows(tree: Tree, leaves: Any, merges: Any, y: Any, start: int, buffers: list[Any]) -> None:
    depths = len(tree.leaf_ends) - 1
    for i in range(depths):
        out, below = buffers[(depths - i) % 2], buffers[(depths - i + 1) % 2]
        for kernel, rows, ends, source in (
            (_leaf_rows, leaves, tree.leaf_ends, y),
            (_merge_rows, merges, tree.merge_ends, below),
        ):
            n = int(ends[i + 1] - ends[i])
            if n:
                longest = int(rows[ends[i] : ends[i + 1], 3].max())
                size = (np.int32(ends[i]), np.int32(n), np.int32(longest), np.int32(y.shape[2]), np.int32(start))
                launch(kernel, n * longest * y.shape[2], source, rows, *size, out)


@cuda.jit
def _leaf_rows(y, leaves, begin, n, longest, n_pixel, start, out):
    item = cuda.grid(1)
    pixel, t, row = item % n_pixel, item // n_pixel % longest, item // n_pixel // longest
    if row < n and t < leaves[begin + row, 3]:
        c, at = leaves[begin + row, 0], start + leaves[begin + row, 2] + t
        value = _sample(y, at, c, pixel)
        if leaves[begin + row, 1]:
            value = HALF * (value + _sample(y, at + 1, c, pixel))
        out[leaves[begin + row, 4] + t, pixel] = value


@cuda.jit(device=True)
def _sample(y, t, c, pixel):
    if t < 0 or t >= y.shape[0]:
        return F0
    return y[t, c, pixel]


@cuda.jit
def _merge_rows(below, merges, begin, n, longest, n_pixel, start, out):
    item = cuda.grid(1)
    pixel, t, row = item % n_pixel, item // n_pixel % longest, item // n_pixel // longest
    if row < n and t < merges[begin + row, 3]:
        a, b = merges[begin + row, 1] + t, merges[begin + row, 2] + t
        out[merges[begin + row, 0] + t, pixel] = below[a, pixel] + below[b, pixel]


@cache
def _keep_best(n_box: int, n_sum: int) -> Callable[..., None]:
    """The kernel for this many boxcars and sums: local arrays need sizes known when they are compiled."""

    @cuda.jit
    def kernel(rows, roots, steps, sizes, norm, active, first_cell, n_cell, first_pixel, n_pixel, best, code):
        item = cuda.grid(1)
        if item >= n_cell * n_pixel:
            return
        nearby, pixel = item // n_pixel, item % n_pixel
        cell = first_cell + nearby
        box = cuda.local.array((n_box, n_sum), np.float32)
        top, tag = F0, np.int32(0)
        for dm in range(roots.shape[0]):
            if not active[dm, cell]:
                continue
            a, b = roots[dm, 0] + nearby * CELL, roots[dm, 1] + nearby * CELL
            for k in range(n_sum - 1):
                box[0, k] = rows[a + k, pixel] + rows[b + k, pixel]
            for i in range(n_box):
                if i > 0:
                    one, two, shift = steps[i, 0], steps[i, 1], steps[i, 2]
                    for k in range(n_sum - sizes[i]):
                        box[i, k] = box[one, k] + box[two, k + shift]
                trial = steps[i, 3]
                if trial >= 0:
                    for k in range(CELL):
                        value = box[i, k] * norm[dm, trial, cell * CELL + k]
                        if value > top:
                            top = value
                            tag = np.int32((dm * norm.shape[1] + trial) * CELL + k)
        best[cell, first_pixel + pixel] = top
        code[cell, first_pixel + pixel] = tag

    return kernel
