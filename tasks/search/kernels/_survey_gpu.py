"""Baselines and the whole-number sums over the image, on the GPU: one thread per pixel and channel."""

import math
from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.search._formulas import CLIP, QUANTUM, SUB_BLOCK
from tasks.search._formulas import median_of_five as _median_of_five
from tasks.search.kernels._launch import F0, host, launch, on_device

median_of_five = cuda.jit(device=True)(_median_of_five)


def survey(x: Any, valid: np.ndarray, gain: np.ndarray, sigma: np.ndarray) -> tuple[Any, ...]:
    """See `_cpu.survey`."""
    xp = namespace(x)
    n_time, n_channel, n_pixel = x.shape
    level = xp.zeros((n_channel, n_pixel), np.float32)
    sums = [xp.zeros((n_time, n_channel), np.int64) for _ in range(2)]
    pattern, source = xp.zeros((n_time, n_channel), np.float64), xp.zeros(n_channel, np.float64)
    counts = valid.sum(0).astype(np.int64)
    table = np.zeros((n_channel, max(1, int(counts.max()))), np.int64)
    for c in range(n_channel):
        table[c, : counts[c]] = np.flatnonzero(valid[:, c])
    inverse_gain = (1 / gain).astype(np.float32)
    args = on_device(xp, table, counts, inverse_gain, sigma.astype(np.float32))
    levels = xp.zeros((max(1, int(counts.max()) // SUB_BLOCK), n_channel, n_pixel), np.float32)
    launch(_survey, n_channel * n_pixel, x, *args, levels, level, *sums, pattern, source)
    return level, *(host(each).astype(np.float64) for each in (*sums, pattern, source))


@cuda.jit
def _survey(x, times, counts, inverse_gain, sigma, levels, level, power, jitter, pattern, source):
    item = cuda.grid(1)
    n_channel, n_pixel = level.shape
    if item >= n_channel * n_pixel:
        return
    c, pixel = item // n_pixel, item % n_pixel
    n = counts[c]
    if n == 0 or not sigma[c] > F0:
        return
    limit = np.float32(CLIP) * sigma[c]
    n_sub = max(1, n // SUB_BLOCK)
    for b in range(n_sub):
        levels[b, c, pixel] = _robust_samples(
            x, times, inverse_gain, b * n // n_sub, (b + 1) * n // n_sub, limit, c, pixel
        )
    mean = levels[0, c, pixel]
    if n_sub > 1:
        spread = limit / np.float32(math.sqrt(np.float32(n) / np.float32(n_sub)))
        mean = _robust_levels(levels, n_sub, spread, c, pixel)
    level[c, pixel] = mean
    scale, most = np.float32(QUANTUM) / sigma[c], np.float32(CLIP * QUANTUM)
    step = scale * np.float32(0.7071067811865476)
    bright = abs(mean) > np.float32(6.0) * sigma[c] / np.float32(math.sqrt(np.float32(n)))
    strength = round(mean * scale)
    before = F0
    for k in range(n):
        t = times[c, k]
        value = np.float32(x[t, c, pixel]) * inverse_gain[t]
        q = np.int64(round(min(max((value - mean) * scale, -most), most)))
        cuda.atomic.add(power, (t, c), q * q)
        if k > 0 and times[c, k - 1] == t - 1:
            q = np.int64(round(min(max((value - before) * step, -most), most)))
            cuda.atomic.add(jitter, (t, c), q * q)
        if bright:  # whole numbers: exact in any order
            cuda.atomic.add(pattern, (t, c), np.float64(strength) * np.float64(round((value - mean) * scale)))
        before = value
    if bright:
        cuda.atomic.add(source, c, np.float64(strength) * np.float64(strength))


@cuda.jit(device=True)
def _robust_samples(x, times, inverse_gain, start, stop, limit, c, pixel):
    n = stop - start
    groups = 5 if n >= 5 else 1
    a = b = d = e = f = F0
    for g in range(groups):
        first, last = start + g * n // groups, start + (g + 1) * n // groups
        total = F0
        for k in range(first, last):
            t = times[c, k]
            total += np.float32(x[t, c, pixel]) * inverse_gain[t]
        total *= np.float32(1) / np.float32(last - first)
        a, b, d, e, f = b, d, e, f, total
    middle = median_of_five(a, b, d, e, f) if groups == 5 else f
    share = np.float32(1) / np.float32(n)
    for _ in range(3):
        total = F0
        for k in range(start, stop):
            t = times[c, k]
            total += min(max(np.float32(x[t, c, pixel]) * inverse_gain[t] - middle, -limit), limit)
        middle += total * share
    return middle


@cuda.jit(device=True)
def _robust_levels(levels, n, limit, c, pixel):
    groups = 5 if n >= 5 else 1
    a = b = d = e = f = F0
    for g in range(groups):
        first, last = g * n // groups, (g + 1) * n // groups
        total = F0
        for k in range(first, last):
            total += levels[k, c, pixel]
        total *= np.float32(1) / np.float32(last - first)
        a, b, d, e, f = b, d, e, f, total
    middle = median_of_five(a, b, d, e, f) if groups == 5 else f
    share = np.float32(1) / np.float32(n)
    for _ in range(3):
        total = F0
        for k in range(n):
            total += min(max(levels[k, c, pixel] - middle, -limit), limit)
        middle += total * share
    return middle
