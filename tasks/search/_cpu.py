"""The search's inner loops for CPUs: blocks of 64 neighbouring pixels that stay in cache, compiled to SIMD code.

More than 300 lines: the kernels of one device are one module, so that `native` can swap it for the other's.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba.core import config

from tasks.array.compiled import jit
from tasks.search._formulas import CELL, CLIP, LANES, QUANTUM, SUB_BLOCK
from tasks.search._formulas import median_of_five as _median_of_five

CELLS_PER_BLOCK = 8
NARROW, CELLS_PER_SPAN = 4, 64
"""Up to this many pixels (a single beam) would leave most lanes idle: there, neighbouring times are the lanes."""

PARTS = 8
median_of_five = jit(_median_of_five)


def _shared(kernel: Callable[..., None], *args: Any) -> None:
    """Let every thread do its share of the work: ``kernel(*args, worker, n_workers)``, which releases the GIL.

    Numba's own threads (``prange``) were tried: the same speed, but three times the compilation, and one of their
    layers aborts the process when two Dask threads use it at once.
    """
    n = config.NUMBA_NUM_THREADS
    if n == 1:
        kernel(*args, 0, 1)
        return
    with ThreadPoolExecutor(n) as pool:
        for done in [pool.submit(kernel, *args, worker, 4 * n) for worker in range(4 * n)]:
            done.result()


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
    active, sizes = _active_cells(norm), _box_sizes(steps)
    if y.shape[2] > NARROW:
        _shared(_detect, y, delays, order, n_whole, steps, sizes, norm, active, first, best, code)
    else:
        series = _series(y, first, int(norm.shape[2] + sizes.max() + delays.max() // 2 + 1))
        _shared(_detect_series, series, delays, order, n_whole, steps, sizes, norm, active, best, code)
    return best, code


def _series(y: np.ndarray, first: int, n_row: int) -> np.ndarray:
    """``y`` as (pixel, channel, time) from sample ``first`` on, zero outside the data."""
    out = np.zeros((y.shape[2], y.shape[1], n_row), np.float32)
    start, stop = max(0, -first), min(n_row, len(y) - first)
    if start < stop:
        out[:, :, start:stop] = y[first + start : first + stop].transpose(2, 1, 0)
    return out


def _active_cells(norm: np.ndarray) -> np.ndarray:
    """First and last + 1 cell of each DM that holds a trial with enough data."""
    active = (norm.max(1) > 0).reshape(norm.shape[0], -1, CELL).max(2)
    first, last = active.argmax(1), active.shape[1] - active[:, ::-1].argmax(1)
    return np.where(active.max(1)[:, None], np.stack([first, last], 1), 0).astype(np.int64)


def _box_sizes(steps: np.ndarray) -> np.ndarray:
    sizes = np.ones(len(steps), np.int32)
    for i in range(1, len(steps)):
        sizes[i] = sizes[steps[i, 0]] + sizes[steps[i, 1]]
    return sizes


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
    n_cell, n_width, longest = best.shape[0], norm.shape[1], sizes.max()
    n_span = (n_cell + CELLS_PER_SPAN - 1) // CELLS_PER_SPAN
    box = np.zeros((len(steps), CELLS_PER_SPAN * CELL + longest), np.float32)
    half = np.zeros(box.shape[1] + 1, np.float32)
    for item in range(worker, series.shape[0] * n_span, n_workers):
        p, cell0 = item // n_span, item % n_span * CELLS_PER_SPAN
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
            for i in range(steps.shape[0]):
                first, second, shift, trial = steps[i, 0], steps[i, 1], steps[i, 2], steps[i, 3]
                if i > 0:
                    m = n + 1 - sizes[i]
                    row, a, b = box[i, :m], box[first, :m], box[second, shift : shift + m]
                    for t in range(m):
                        row[t] = a[t] + b[t]
                if trial >= 0:
                    base, scales = (dm * n_width + trial) * CELL, norm[dm, trial]
                    for cell in range(low, high):
                        for k in range(CELL):
                            value = box[i, (cell - low) * CELL + k] * scales[cell * CELL + k]
                            if value > best[cell, p]:
                                best[cell, p] = value
                                code[cell, p] = base + k


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


@jit
def normalise(
    u: np.ndarray,
    totals: np.ndarray,
    typical: np.ndarray,
    delays: np.ndarray,
    steps: np.ndarray,
    first: int,
    minimum: float,
    norm: np.ndarray,
) -> None:
    """Fill ``norm`` (dm, width, start) with 1/sqrt(variance) of each trial's weighted sum, after baseline removal.

    ``u`` (time, channel) are the weights 1/sigma^2, zero where masked; ``totals`` (time, channel) their sums over the
    stretch whose mean level was subtracted from that sample; ``typical`` (channel,) the weight of an average sample. A
    trial with less than ``minimum`` of the information it would have at typical weights gets 0. All float64.
    """
    n_channel, n_start = u.shape[1], norm.shape[2]
    sizes = np.ones(len(steps), np.int64)
    for i in range(1, len(steps)):
        sizes[i] = sizes[steps[i, 0]] + sizes[steps[i, 1]]
    n_rows = n_start + delays.max() // 2 + 2 + sizes.max()
    boxes = np.zeros((len(steps), n_channel, n_rows))
    for c in range(n_channel):
        for k in range(max(0, -first), min(n_rows, len(u) - first)):
            boxes[0, c, k] = u[first + k, c]
        for i in range(1, len(steps)):
            for k in range(n_rows - sizes[i] + 1):
                boxes[i, c, k] = boxes[steps[i, 0], c, k] + boxes[steps[i, 1], c, k + steps[i, 2]]
    # What a channel adds to a trial depends on the row alone, not on the DM: worked out once per width.
    n_row = n_start + delays.max() // 2
    energies, losses = np.zeros((2, n_channel, n_row)), np.zeros((2, n_channel, n_row))
    energy, lost = np.zeros(n_start), np.zeros(n_start)
    for i in range(len(steps)):
        if steps[i, 3] < 0:
            continue
        low, high = max(0, -first - sizes[i] - 1), min(n_row, len(u) - first)  # outside there are no data
        for c in range(n_channel):
            for j in range(low, high):
                total = totals[min(max(0, first + j), len(totals) - 1), c]
                mean = boxes[i, c, j]
                between = 0.5 * (mean + boxes[i, c, j + 1])
                energies[0, c, j] = mean
                energies[1, c, j] = between - 0.25 * (boxes[0, c, j] + boxes[0, c, j + sizes[i]])
                losses[0, c, j] = mean * mean / total if total > 0 else 0.0
                losses[1, c, j] = between * between / total if total > 0 else 0.0
        for dm in range(delays.shape[0]):
            whole, energy[:], lost[:] = 0.0, 0.0, 0.0
            for c in range(n_channel):
                odd, delay = delays[dm, c] & 1, delays[dm, c] // 2
                whole += typical[c] * (sizes[i] - 0.5 * odd)
                start, stop = max(0, low - delay), min(n_start, high - delay)
                _accumulate(energy, energies[odd, c], start, stop, delay)
                _accumulate(lost, losses[odd, c], start, stop, delay)
            for k in range(n_start):
                variance = energy[k] - lost[k]
                enough = energy[k] >= minimum * whole and variance > 0.1 * energy[k]
                norm[dm, steps[i, 3], k] = 1 / np.sqrt(variance) if enough else 0.0


@jit
def _accumulate(total: np.ndarray, values: np.ndarray, start: int, stop: int, shift: int) -> None:
    if start < stop:
        target, source = total[start:stop], values[start + shift : stop + shift]
        for k in range(target.size):
            target[k] += source[k]


def survey(x: np.ndarray, valid: np.ndarray, gain: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, ...]:
    """Baseline of every pixel and channel, and the noise power of every image, in one pass over the input.

    Parameters
    ----------
    x : (time, channel, pixel) array of any real type
    valid : (time, channel) bool array
    gain : (time,) float32 array
        Divides the samples.
    sigma : (channel,) float32 array
        Rough noise of one sample.

    Returns
    -------
    level : (channel, pixel) float32 array
        Robust mean over the valid samples: the mean for noise, unmoved by bursts.
    power : (time, channel) float64 array
        Sum over pixels of the squared, clipped deviation, in units of (sigma / QUANTUM)^2: a whole number.
    jitter : (time, channel) float64 array
        The same of half the squared step from the sample before, where that is valid: noise without any wide pulse.
    pattern : (time, channel) float64 array
        Sum over pixels with a steady source of deviation times level: what a gain error leaves. Whole numbers too.
    source : (channel,) float64 array
        Sum over the same pixels of the squared level, in the same units.
    """
    n_time, n_channel, n_pixel = x.shape
    level = np.zeros((n_channel, n_pixel), np.float32)
    power, jitter, pattern = np.zeros((3, PARTS, n_time, n_channel))
    source = np.zeros((PARTS, n_channel))
    times = [np.flatnonzero(valid[:, c]) for c in range(n_channel)]
    counts = np.array([len(t) for t in times], np.int64)
    table = np.zeros((n_channel, max(1, counts.max())), np.int64)
    for c, t in enumerate(times):
        table[c, : len(t)] = t
    sums = (power, jitter, pattern, source)
    inverse_gain = (1 / gain).astype(np.float32)
    _shared(_survey, x, table, counts, inverse_gain, sigma.astype(np.float32), level, *sums)
    return level, *(each.sum(0) for each in sums)


@jit
def _survey(
    x: np.ndarray,
    times: np.ndarray,
    counts: np.ndarray,
    inverse_gain: np.ndarray,
    sigma: np.ndarray,
    level: np.ndarray,
    power: np.ndarray,
    jitter: np.ndarray,
    pattern: np.ndarray,
    source: np.ndarray,
    worker: int,
    n_workers: int,
) -> None:
    n_channel, n_pixel = level.shape
    n_across = (n_pixel + LANES - 1) // LANES
    most = max(1, counts.max() // SUB_BLOCK)
    for item in range(worker, PARTS * n_channel, n_workers):
        part, c = item // n_channel, item % n_channel
        n = int(counts[c])
        if n == 0 or not sigma[c] > 0:
            continue
        rows = np.zeros((n, LANES), np.float32)
        levels = np.zeros((most, LANES), np.float32)
        scratch = np.zeros((6, LANES), np.float32)
        n_sub = max(1, n // SUB_BLOCK)
        for across in range(part, n_across, PARTS):
            p0 = across * LANES
            width = min(LANES, n_pixel - p0)
            for k in range(n):
                row, source_row, scale = rows[k], x[times[c, k], c], inverse_gain[times[c, k]]
                if width == LANES:
                    for lane in range(LANES):
                        row[lane] = np.float32(source_row[p0 + lane]) * scale
                else:
                    for lane in range(width):
                        row[lane] = np.float32(source_row[p0 + lane]) * scale
            for b in range(n_sub):
                start, stop = b * n // n_sub, (b + 1) * n // n_sub
                _robust_mean(rows, start, stop, np.float32(CLIP) * sigma[c], scratch, levels[b])
            if n_sub > 1:
                spread = np.float32(CLIP) * sigma[c] / np.float32(np.sqrt(n / n_sub))
                _robust_mean(levels, 0, n_sub, spread, scratch, scratch[5])
                levels[0] = scratch[5]
            for lane in range(width):
                level[c, p0 + lane] = levels[0, lane]
            _powers(rows, n, width, times[c], sigma[c], levels[0], power[part, :, c], jitter[part, :, c])
            source[part, c] += _sources(rows, n, width, times[c], sigma[c], levels[0], pattern[part, :, c])


@jit
def _robust_mean(rows: np.ndarray, start: int, stop: int, limit: Any, scratch: np.ndarray, out: np.ndarray) -> None:
    """Median of five sub-means, then three steps to the mean of deviations clipped at ``limit`` (Huber 1964)."""
    n = stop - start
    groups = 5 if n >= 5 else 1
    for g in range(groups):
        first, last = start + g * n // groups, start + (g + 1) * n // groups
        total = scratch[g]
        total[:] = 0
        for k in range(first, last):
            row = rows[k]
            for lane in range(LANES):
                total[lane] += row[lane]
        share = np.float32(1.0 / (last - first))
        for lane in range(LANES):
            total[lane] *= share
    a, b, c, d, e = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    if groups == 5:
        for lane in range(LANES):
            out[lane] = median_of_five(a[lane], b[lane], c[lane], d[lane], e[lane])
    else:
        for lane in range(LANES):
            out[lane] = a[lane]
    share = np.float32(1.0 / n)
    for _ in range(3):
        a[:] = 0
        for k in range(start, stop):
            row = rows[k]
            for lane in range(LANES):
                a[lane] += min(max(row[lane] - out[lane], -limit), limit)
        for lane in range(LANES):
            out[lane] += a[lane] * share


@jit
def _powers(
    rows: np.ndarray,
    n: int,
    width: int,
    times: np.ndarray,
    sigma: Any,
    level: np.ndarray,
    power: np.ndarray,
    jitter: np.ndarray,
) -> None:
    scale, limit = np.float32(QUANTUM) / sigma, np.float32(CLIP * QUANTUM)
    step = scale * np.float32(0.7071067811865476)
    for k in range(n):
        row, before = rows[k], rows[max(0, k - 1)]
        total, change = np.int32(0), np.int32(0)
        if width == LANES:
            for lane in range(LANES):
                q = np.int32(np.rint(min(max((row[lane] - level[lane]) * scale, -limit), limit)))
                total += q * q
            for lane in range(LANES):
                q = np.int32(np.rint(min(max((row[lane] - before[lane]) * step, -limit), limit)))
                change += q * q
        else:
            for lane in range(width):
                q = np.int32(np.rint(min(max((row[lane] - level[lane]) * scale, -limit), limit)))
                total += q * q
                q = np.int32(np.rint(min(max((row[lane] - before[lane]) * step, -limit), limit)))
                change += q * q
        power[times[k]] += total
        if k > 0 and times[k - 1] == times[k] - 1:
            jitter[times[k]] += change


@jit
def _sources(
    rows: np.ndarray, n: int, width: int, times: np.ndarray, sigma: Any, level: np.ndarray, pattern: np.ndarray
) -> float:
    scale = np.float32(QUANTUM) / sigma
    bright = np.float32(6.0) * sigma / np.float32(np.sqrt(n))
    total = 0.0
    for lane in range(width):
        if abs(level[lane]) > bright:
            strength = np.rint(np.float64(level[lane] * scale))
            total += strength * strength
            for k in range(n):
                pattern[times[k]] += strength * np.rint(np.float64((rows[k, lane] - level[lane]) * scale))
    return total


def condition(x: np.ndarray, level: np.ndarray, gain: np.ndarray, u: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Weighted residuals ``(x / gain - level) * u`` of the pixels from ``start`` to ``stop``; zero where ``u`` is."""
    out = np.empty((*x.shape[:2], stop - start), np.float32)
    _shared(_condition, x, level, (1 / gain).astype(np.float32), u.astype(np.float32), start, out)
    return out


@jit
def _condition(
    x: np.ndarray,
    level: np.ndarray,
    inverse_gain: np.ndarray,
    u: np.ndarray,
    start: int,
    out: np.ndarray,
    worker: int,
    n_workers: int,
) -> None:
    n_time, n_channel, n_pixel = out.shape
    for item in range(worker, n_time * n_channel, n_workers):
        t, c = item // n_channel, item % n_channel
        row, source, base, weight, scale = out[t, c], x[t, c], level[c], u[t, c], inverse_gain[t]
        if weight > 0:
            for p in range(n_pixel):
                row[p] = (np.float32(source[start + p]) * scale - base[start + p]) * weight
        else:
            for p in range(n_pixel):
                row[p] = np.float32(0)


def halve(y: np.ndarray) -> np.ndarray:
    """Sums of neighbouring pairs of samples (time, channel, pixel); a last odd sample stays alone."""
    n = y.shape[0] // 2
    out = np.empty(((y.shape[0] + 1) // 2, *y.shape[1:]), y.dtype)
    np.add(y[0 : 2 * n : 2], y[1 : 2 * n : 2], out=out[:n])
    out[n:] = y[2 * n :]
    return out


def smooth_images(x: np.ndarray, valid: np.ndarray, kernels: np.ndarray, norms: Sequence[np.ndarray]) -> np.ndarray:
    """Correlate every valid image with its channel's separable kernel and divide by the norm inside the image.

    Parameters
    ----------
    x : (time, channel, y, x) array
    valid : (time, channel) bool array
        Images that are not valid become zero.
    kernels : (channel, tap) float32 array
        One-dimensional kernel, odd length, used along both axes.
    norms : (channel, y), (channel, x) float32 arrays
        Factors multiplied along each axis after the correlation.
    """
    out = np.zeros(x.shape, np.float32)
    _shared(_smooth_images, x, valid, kernels, *norms, out)
    return out


@jit
def _smooth_images(
    x: np.ndarray,
    valid: np.ndarray,
    kernels: np.ndarray,
    norm_y: np.ndarray,
    norm_x: np.ndarray,
    out: np.ndarray,
    worker: int,
    n_workers: int,
) -> None:
    n_time, n_channel, n_y, n_x = x.shape
    n_tap = kernels.shape[1]
    reach = n_tap // 2
    for item in range(worker, n_time * n_channel, n_workers):
        t, c = item // n_channel, item % n_channel
        if not valid[t, c]:
            continue
        along = np.zeros((n_y, n_x), np.float32)
        padded = np.zeros(n_x + 2 * reach, np.float32)
        for i in range(n_y):
            for j in range(n_x):
                value = np.float32(x[t, c, i, j])
                padded[j + reach] = value if np.isfinite(value) else np.float32(0)
            row = along[i]
            for k in range(n_tap):
                tap = kernels[c, k]
                for j in range(n_x):
                    row[j] += tap * padded[j + k]
            for j in range(n_x):
                row[j] *= norm_x[c, j]
        for i in range(n_y):
            row = out[t, c, i]
            for k in range(max(0, reach - i), min(n_tap, n_y + reach - i)):
                tap, other = kernels[c, k], along[i + k - reach]
                for j in range(n_x):
                    row[j] += tap * other[j]
            for j in range(n_x):
                row[j] *= norm_y[c, i]


def count_finite(x: np.ndarray) -> np.ndarray:
    """Number of finite pixels of every image (time, channel) of ``x`` (time, channel, pixel)."""
    out = np.full(x.shape[:2], x.shape[2], np.int64)
    if x.dtype.kind == "f":
        _shared(_count_finite, x, out)
    return out


@jit
def _count_finite(x: np.ndarray, out: np.ndarray, worker: int, n_workers: int) -> None:
    n_time, n_channel, n_pixel = x.shape
    for item in range(worker, n_time * n_channel, n_workers):
        t, c = item // n_channel, item % n_channel
        row, bad = x[t, c], 0
        for p in range(n_pixel):
            bad += not np.isfinite(row[p])
        out[t, c] = n_pixel - bad
