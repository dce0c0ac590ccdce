"""Dedisperse, sum boxcars and keep the best, fused: blocks of 64 neighbouring pixels stay in cache and become SIMD code."""

import numpy as np

from tasks.array.compiled import jit
from tasks.search._formulas import CELL, LANES
from tasks.search.kernels._threads import shared
from tasks.search.kernels._trials_cpu import active_cells, as_series, best_of_cells, box_sizes, keep_best

CELLS_PER_BLOCK = 8
NARROW, CELLS_PER_SPAN = 4, 64
"""Up to this many pixels (a single beam) would leave most lanes idle: there, neighbouring times are the lanes."""


def detect(
    y: np.ndarray, delays: np.ndarray, steps: np.ndarray, norm: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Dedisperse, sum boxcars and keep the best trial of every pixel and cell of start times.

    Parameters
    ----------
    y : (time, channel, pixel) float32 array
        Samples times their weight 1/sigma^2; zero where masked and, by definition, outside the array.
    delays : (dm, channel) int32 array
        Delays in half samples.
    steps : (buffer, 4) int32 array
        Addition chain of the boxcars (`trials.Level`).
    norm : (dm, width, start) float32 array
        1/sqrt(variance of the sum) for each trial; zero where a trial has too little data. ``start`` is a multiple of
        `CELL`.
    first : int
        Sample at which the first start lies; may be negative.

    Returns
    -------
    best : (cell, pixel) float32 array
        Largest S/N of the cell's trials, 0 if none is positive.
    code : (cell, pixel) int32 array
        ``(dm * n_width + width) * CELL + start within the cell`` of that trial.
    """
    order = np.argsort(delays & 1, axis=1, kind="stable").astype(np.int32)
    n_whole = (delays.shape[1] - (delays & 1).sum(1)).astype(np.int32)
    shape = (norm.shape[2] // CELL, y.shape[2])
    best, code = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    active, sizes = active_cells(norm), box_sizes(steps)
    if y.shape[2] > NARROW:
        shared(_detect, y, delays, order, n_whole, steps, sizes, norm, active, first, best, code)
    else:
        series = as_series(y, first, int(norm.shape[2] + sizes.max() + delays.max() // 2 + 1))
        shared(_detect_series, series, delays, order, n_whole, steps, sizes, norm, active, best, code)
    return best, code


@jit
def _detect(
    y: np.ndarray,
    delays: np.ndarray,
    order: np.ndarray,
    n_whole: np.ndarray,
    steps: np.ndarray,
    sizes: np.ndarray,
    norm: np.ndarray,
    active: np.ndarray,
    first: int,
    best: np.ndarray,
    code: np.ndarray,
    worker: int,
    n_workers: int,
) -> None:
    n_channel, n_pixel = y.shape[1:]
    n_cell = best.shape[0]
    n_across = (n_pixel + LANES - 1) // LANES
    n_blocks = n_across * ((n_cell + CELLS_PER_BLOCK - 1) // CELLS_PER_BLOCK)
    longest = sizes.max()
    n_sum = min(n_cell, CELLS_PER_BLOCK) * CELL + longest
    n_rows = n_sum + delays.max() // 2 + 1
    tile = np.zeros((n_rows, n_channel, LANES), np.float32)
    box = np.zeros((len(steps), n_sum, LANES), np.float32)
    half = np.zeros((n_sum + 1, LANES), np.float32)
    top = np.zeros((CELLS_PER_BLOCK, LANES), np.float32)
    tag = np.zeros((CELLS_PER_BLOCK, LANES), np.int32)
    for block in range(worker, n_blocks, n_workers):
        p0 = (block % n_across) * LANES
        cell0 = (block // n_across) * CELLS_PER_BLOCK
        cells = min(CELLS_PER_BLOCK, n_cell - cell0)
        width = min(LANES, n_pixel - p0)
        _copy_tile(y, first + cell0 * CELL, p0, width, tile)
        top[:] = 0
        tag[:] = 0
        for dm in range(delays.shape[0]):
            low, high = max(active[dm, 0] - cell0, 0), min(active[dm, 1] - cell0, cells)
            if low < high:
                n = (high - low) * CELL + longest - 1
                _dedisperse(tile[low * CELL :], delays[dm], order[dm], n_whole[dm], n, half, box[0])
                _boxes(box, steps, sizes, norm[dm], dm, cell0 + low, n, top[low:high], tag[low:high])
        for i in range(cells):
            for lane in range(width):
                best[cell0 + i, p0 + lane] = top[i, lane]
                code[cell0 + i, p0 + lane] = tag[i, lane]


@jit
def _detect_series(
    series: np.ndarray,
    delays: np.ndarray,
    order: np.ndarray,
    n_whole: np.ndarray,
    steps: np.ndarray,
    sizes: np.ndarray,
    norm: np.ndarray,
    active: np.ndarray,
    best: np.ndarray,
    code: np.ndarray,
    worker: int,
    n_workers: int,
) -> None:
    """What `_detect` does, one pixel at a time and with the same additions in the same order."""
    n_cell, longest = best.shape[0], sizes.max()
    n_span = (n_cell + CELLS_PER_SPAN - 1) // CELLS_PER_SPAN
    box = np.zeros((len(steps), CELLS_PER_SPAN * CELL + longest), np.float32)
    half = np.zeros(box.shape[1] + 1, np.float32)
    top, tag = np.zeros(CELLS_PER_SPAN * CELL, np.float32), np.zeros(CELLS_PER_SPAN * CELL, np.int32)
    for item in range(worker, series.shape[0] * n_span, n_workers):
        p, cell0 = item // n_span, item % n_span * CELLS_PER_SPAN
        top[:], tag[:] = 0, 0
        for dm in range(delays.shape[0]):
            low, high = max(active[dm, 0], cell0), min(active[dm, 1], cell0 + CELLS_PER_SPAN)
            if low >= high:
                continue
            n = (high - low) * CELL + longest - 1
            _add_channels(series[p], delays[dm], order[dm, : n_whole[dm]], low * CELL, box[0, :n])
            if n_whole[dm] < order.shape[1]:
                _add_channels(series[p], delays[dm], order[dm, n_whole[dm] :], low * CELL, half[: n + 1])
                for t in range(n):
                    box[0, t] += np.float32(0.5) * (half[t] + half[t + 1])
            part = slice((low - cell0) * CELL, (high - cell0) * CELL)
            keep_best(box, n, steps, sizes, norm[dm], dm, low * CELL, top[part], tag[part])
        cells = slice(cell0, min(n_cell, cell0 + CELLS_PER_SPAN))
        best_of_cells(top, tag, best[cells, p], code[cells, p])


@jit
def _add_channels(series: np.ndarray, delay: np.ndarray, channels: np.ndarray, start: int, out: np.ndarray) -> None:
    fours = channels.size // 4 * 4
    n = out.size
    out[:] = 0
    for i in range(0, fours, 4):
        c0, c1, c2, c3 = channels[i], channels[i + 1], channels[i + 2], channels[i + 3]
        t0, t1, t2, t3 = (
            start + delay[c0] // 2,
            start + delay[c1] // 2,
            start + delay[c2] // 2,
            start + delay[c3] // 2,
        )
        a, b = series[c0, t0 : t0 + n], series[c1, t1 : t1 + n]
        c, d = series[c2, t2 : t2 + n], series[c3, t3 : t3 + n]
        for t in range(n):
            out[t] += (a[t] + b[t]) + (c[t] + d[t])
    for i in range(fours, channels.size):
        t0 = start + delay[channels[i]] // 2
        a = series[channels[i], t0 : t0 + n]
        for t in range(n):
            out[t] += a[t]


@jit
def _copy_tile(y: np.ndarray, t0: int, p0: int, width: int, tile: np.ndarray) -> None:
    for row in range(tile.shape[0]):
        t = t0 + row
        if t < 0 or t >= y.shape[0]:
            tile[row] = 0
            continue
        for c in range(y.shape[1]):
            source, target = y[t, c], tile[row, c]
            if width == LANES:
                for lane in range(LANES):
                    target[lane] = source[p0 + lane]
            else:
                for lane in range(width):
                    target[lane] = source[p0 + lane]


@jit
def _dedisperse(
    tile: np.ndarray, delay: np.ndarray, order: np.ndarray, n_whole: int, n: int, half: np.ndarray, out: np.ndarray
) -> None:
    """Sum the channels at their delays: whole-sample ones directly, the others midway between two samples."""
    _shift_and_sum(tile, delay, order[:n_whole], n, out)
    if n_whole < order.size:
        _shift_and_sum(tile, delay, order[n_whole:], n + 1, half)
        for t in range(n):
            row, a, b = out[t], half[t], half[t + 1]
            for lane in range(LANES):
                row[lane] += np.float32(0.5) * (a[lane] + b[lane])


@jit
def _shift_and_sum(tile: np.ndarray, delay: np.ndarray, channels: np.ndarray, n: int, out: np.ndarray) -> None:
    fours = channels.size // 4 * 4
    for t in range(n):
        row = out[t]
        for lane in range(LANES):
            row[lane] = np.float32(0)
        for i in range(0, fours, 4):
            c0, c1, c2, c3 = channels[i], channels[i + 1], channels[i + 2], channels[i + 3]
            a, b = tile[t + delay[c0] // 2, c0], tile[t + delay[c1] // 2, c1]
            c, d = tile[t + delay[c2] // 2, c2], tile[t + delay[c3] // 2, c3]
            for lane in range(LANES):
                row[lane] += (a[lane] + b[lane]) + (c[lane] + d[lane])
        for i in range(fours, channels.size):
            a = tile[t + delay[channels[i]] // 2, channels[i]]
            for lane in range(LANES):
                row[lane] += a[lane]


@jit
def _boxes(
    box: np.ndarray,
    steps: np.ndarray,
    sizes: np.ndarray,
    norm: np.ndarray,
    dm: int,
    cell0: int,
    n: int,
    top: np.ndarray,
    tag: np.ndarray,
) -> None:
    n_width = norm.shape[0]
    for i in range(steps.shape[0]):
        first, second, shift, trial = steps[i, 0], steps[i, 1], steps[i, 2], steps[i, 3]
        if i > 0:
            for t in range(n + 1 - sizes[i]):
                row, a, b = box[i, t], box[first, t], box[second, t + shift]
                for lane in range(LANES):
                    row[lane] = a[lane] + b[lane]
        if trial >= 0:
            base = (dm * n_width + trial) * CELL
            for cell in range(top.shape[0]):
                best, mark = top[cell], tag[cell]
                for k in range(CELL):
                    scale = norm[trial, (cell0 + cell) * CELL + k]
                    if scale > 0:
                        row, label = box[i, cell * CELL + k], np.int32(base + k)
                        for lane in range(LANES):
                            value = row[lane] * scale
                            if value > best[lane]:
                                best[lane] = value
                                mark[lane] = label
