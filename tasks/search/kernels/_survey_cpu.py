"""Baselines and the whole-number sums over the image, on the CPU."""

from typing import Any

import numpy as np

from tasks.array.compiled import jit
from tasks.search._formulas import CLIP, LANES, QUANTUM, SUB_BLOCK
from tasks.search._formulas import median_of_five as _median_of_five
from tasks.search.kernels._threads import shared

PARTS = 8
median_of_five = jit(_median_of_five)


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
    shared(_survey, x, table, counts, inverse_gain, sigma.astype(np.float32), level, *sums)
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
