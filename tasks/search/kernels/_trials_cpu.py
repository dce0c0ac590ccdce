"""What the CPU kernels of all ways to dedisperse share: boxcars, cells with data, pixels as rows of time."""

import numpy as np

from tasks.array.compiled import jit
from tasks.search._formulas import CELL


def as_series(y: np.ndarray, first: int, n_row: int) -> np.ndarray:
    """``y`` as (pixel, channel, time) from sample ``first`` on, zero outside the data."""
    out = np.zeros((y.shape[2], y.shape[1], n_row), np.float32)
    start, stop = max(0, -first), min(n_row, len(y) - first)
    if start < stop:
        out[:, :, start:stop] = y[first + start : first + stop].transpose(2, 1, 0)
    return out


def active_cells(norm: np.ndarray) -> np.ndarray:
    """First and last + 1 cell of each DM that holds a trial with enough data."""
    active = (norm.max(1) > 0).reshape(norm.shape[0], -1, CELL).max(2)
    first, last = active.argmax(1), active.shape[1] - active[:, ::-1].argmax(1)
    return np.where(active.max(1)[:, None], np.stack([first, last], 1), 0).astype(np.int64)


def box_sizes(steps: np.ndarray) -> np.ndarray:
    sizes = np.ones(len(steps), np.int32)
    for i in range(1, len(steps)):
        sizes[i] = sizes[steps[i, 0]] + sizes[steps[i, 1]]
    return sizes


@jit
def keep_best(
    box: np.ndarray,
    n: int,
    steps: np.ndarray,
    sizes: np.ndarray,
    norm: np.ndarray,
    dm: int,
    first_start: int,
    top: np.ndarray,
    tag: np.ndarray,
) -> None:
    """Form all boxcars of the ``n`` sums ``box[0]`` of one pixel and DM; keep the best of each start time.

    ``top`` and ``tag`` (start,) are the best S/N and its ``dm * n_width + width``; their first is start ``first_start``.
    """
    for i in range(steps.shape[0]):
        first, second, shift, trial = steps[i, 0], steps[i, 1], steps[i, 2], steps[i, 3]
        if i > 0:
            m = n + 1 - sizes[i]
            row, a, b = box[i, :m], box[first, :m], box[second, shift : shift + m]
            for t in range(m):
                row[t] = a[t] + b[t]
        if trial >= 0:
            label = np.int32(dm * norm.shape[0] + trial)
            row, scales = box[i, : top.size], norm[trial, first_start : first_start + top.size]
            for t in range(top.size):
                value = row[t] * scales[t]
                if value > top[t]:
                    top[t] = value
                    tag[t] = label


@jit
def best_of_cells(top: np.ndarray, tag: np.ndarray, best: np.ndarray, code: np.ndarray) -> None:
    """The best start of each cell; of equals the trial that was tried first, as everywhere."""
    for cell in range(best.size):
        for k in range(CELL):
            value, label = top[cell * CELL + k], tag[cell * CELL + k] * CELL + k
            if value > best[cell] or (value == best[cell] and value > 0 and label < code[cell]):
                best[cell] = value
                code[cell] = label
