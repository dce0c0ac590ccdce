"""The search's inner loops for GPUs: one thread per pixel and cell, the same additions in the same order as the CPU.

Names and signatures are those of `_cpu`; arrays are CuPy's (in the simulator, NumPy's).

More than 300 lines: the kernels of one device are one module, so that `native` can swap it for the other's.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.search._formulas import CELL, CLIP, QUANTUM, SUB_BLOCK
from tasks.search._formulas import median_of_five as _median_of_five

THREADS = 64
median_of_five = cuda.jit(device=True)(_median_of_five)
F0, HALF = np.float32(0), np.float32(0.5)


def _launch(kernel: Any, n: int, *args: Any) -> None:
    """Run ``kernel`` over ``n`` threads, on the stream CuPy uses."""
    xp = namespace(*args)
    stream = 0 if xp is np else cuda.external_stream(xp.cuda.get_current_stream().ptr)
    kernel[(n + THREADS - 1) // THREADS, THREADS, stream](*args)


def _on(xp: Any, *arrays: np.ndarray) -> list[Any]:
    return [xp.ascontiguousarray(xp.asarray(a)) for a in arrays]


def detect(y: Any, delays: np.ndarray, steps: np.ndarray, norm: Any, first: int) -> tuple[Any, Any]:
    """See `_cpu.detect`."""
    xp = namespace(y)
    sizes = _box_sizes(steps)
    longest = int(sizes.max())
    order = np.argsort(delays & 1, axis=1, kind="stable").astype(np.int32)
    n_whole = (delays.shape[1] - (delays & 1).sum(1)).astype(np.int32)
    shape = (norm.shape[2] // CELL, y.shape[2])
    best, code = xp.zeros(shape, np.float32), xp.zeros(shape, np.int32)
    active = (norm > 0).any(1).reshape(norm.shape[0], -1, CELL).any(2)
    on_device = _on(xp, delays, order, n_whole, steps, sizes, norm, active)
    kernel = _detect_kernel(len(steps), CELL + longest)
    _launch(kernel, shape[0] * shape[1], y, *on_device, np.int32(first), np.int32(longest), best, code)
    return best, code


def _box_sizes(steps: np.ndarray) -> np.ndarray:
    sizes = np.ones(len(steps), np.int32)
    for i in range(1, len(steps)):
        sizes[i] = sizes[steps[i, 0]] + sizes[steps[i, 1]]
    return sizes


@cache
def _detect_kernel(n_box: int, n_sum: int) -> Callable[..., None]:
    """The kernel for this many boxcars and sums: local arrays need sizes known when they are compiled."""

    @cuda.jit
    def kernel(y, delays, order, n_whole, steps, sizes, norm, active, first, longest, best, code):
        item = cuda.grid(1)
        n_pixel = y.shape[2]
        if item >= best.shape[0] * n_pixel:
            return
        cell, pixel = item // n_pixel, item % n_pixel
        t0 = first + cell * CELL
        n_time, n_channel = y.shape[0], y.shape[1]
        box = cuda.local.array((n_box, n_sum), np.float32)
        top, tag = F0, np.int32(0)
        for dm in range(delays.shape[0]):
            if not active[dm, cell]:
                continue
            whole = n_whole[dm]
            before = F0
            for k in range(CELL + longest):
                total = F0
                if k < CELL + longest - 1:
                    fours = whole // 4 * 4
                    for i in range(0, fours, 4):
                        total += (
                            _at(y, t0 + k, delays, order, dm, i, pixel, n_time)
                            + _at(y, t0 + k, delays, order, dm, i + 1, pixel, n_time)
                        ) + (
                            _at(y, t0 + k, delays, order, dm, i + 2, pixel, n_time)
                            + _at(y, t0 + k, delays, order, dm, i + 3, pixel, n_time)
                        )
                    for i in range(fours, whole):
                        total += _at(y, t0 + k, delays, order, dm, i, pixel, n_time)
                    box[0, k] = total
                half = F0
                n_half = n_channel - whole
                fours = whole + n_half // 4 * 4
                for i in range(whole, fours, 4):
                    half += (
                        _at(y, t0 + k, delays, order, dm, i, pixel, n_time)
                        + _at(y, t0 + k, delays, order, dm, i + 1, pixel, n_time)
                    ) + (
                        _at(y, t0 + k, delays, order, dm, i + 2, pixel, n_time)
                        + _at(y, t0 + k, delays, order, dm, i + 3, pixel, n_time)
                    )
                for i in range(fours, n_channel):
                    half += _at(y, t0 + k, delays, order, dm, i, pixel, n_time)
                if k > 0 and n_half > 0:
                    box[0, k - 1] += HALF * (before + half)
                before = half
            for i in range(n_box):
                if i > 0:
                    a, b, shift = steps[i, 0], steps[i, 1], steps[i, 2]
                    for k in range(CELL + longest - sizes[i]):
                        box[i, k] = box[a, k] + box[b, k + shift]
                trial = steps[i, 3]
                if trial >= 0:
                    for k in range(CELL):
                        scale = norm[dm, trial, cell * CELL + k]
                        value = box[i, k] * scale
                        if scale > F0 and value > top:
                            top = value
                            tag = np.int32((dm * norm.shape[1] + trial) * CELL + k)
        best[cell, pixel] = top
        code[cell, pixel] = tag

    return kernel


@cuda.jit(device=True)
def _at(y, t, delays, order, dm, i, pixel, n_time):
    c = order[dm, i]
    row = t + delays[dm, c] // 2
    if row < 0 or row >= n_time:
        return F0
    return y[row, c, pixel]


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
    on_device = _on(xp, table, counts, inverse_gain, sigma.astype(np.float32))
    levels = xp.zeros((max(1, int(counts.max()) // SUB_BLOCK), n_channel, n_pixel), np.float32)
    _launch(_survey, n_channel * n_pixel, x, *on_device, levels, level, *sums, pattern, source)
    return level, *(_host(each).astype(np.float64) for each in (*sums, pattern, source))


def _host(array: Any) -> np.ndarray:
    return array.get() if hasattr(array, "get") else array


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


def condition(x: Any, level: Any, gain: np.ndarray, u: np.ndarray, start: int, stop: int) -> Any:
    """See `_cpu.condition`."""
    xp = namespace(x)
    out = xp.empty((*x.shape[:2], stop - start), np.float32)
    inverse_gain, weight = _on(xp, (1 / gain).astype(np.float32), u.astype(np.float32))
    _launch(_condition, out.size, x, level, inverse_gain, weight, start, out)
    return out


@cuda.jit
def _condition(x, level, inverse_gain, u, start, out):
    item = cuda.grid(1)
    if item < out.size:
        p = item % out.shape[2]
        c = item // out.shape[2] % out.shape[1]
        t = item // (out.shape[2] * out.shape[1])
        out[t, c, p] = F0
        if u[t, c] > F0:
            out[t, c, p] = (np.float32(x[t, c, start + p]) * inverse_gain[t] - level[c, start + p]) * u[t, c]


def halve(y: Any) -> Any:
    """See `_cpu.halve`."""
    n = y.shape[0] // 2
    out = namespace(y).empty(((y.shape[0] + 1) // 2, *y.shape[1:]), y.dtype)
    out[:n] = y[0 : 2 * n : 2] + y[1 : 2 * n : 2]
    out[n:] = y[2 * n :]
    return out


def smooth_images(x: Any, valid: np.ndarray, kernels: np.ndarray, norms: Sequence[np.ndarray]) -> Any:
    """See `_cpu.smooth_images`."""
    xp = namespace(x)
    along, out = xp.zeros(x.shape, np.float32), xp.zeros(x.shape, np.float32)
    used, taps, norm_y, norm_x = _on(xp, valid, kernels, *norms)
    _launch(_smooth_x, out.size, x, used, taps, norm_x, along)
    _launch(_smooth_y, out.size, along, used, taps, norm_y, out)
    return out


@cuda.jit
def _smooth_x(x, valid, kernels, norm, out):
    item = cuda.grid(1)
    n_channel, n_y, n_x = out.shape[1], out.shape[2], out.shape[3]
    if item < out.size:
        j, i = item % n_x, item // n_x % n_y
        c, t = item // (n_x * n_y) % n_channel, item // (n_x * n_y * n_channel)
        reach = kernels.shape[1] // 2
        total = F0
        if valid[t, c]:
            for k in range(max(0, reach - j), min(kernels.shape[1], n_x + reach - j)):
                value = np.float32(x[t, c, i, j + k - reach])
                if value - value == F0:  # finite
                    total += kernels[c, k] * value
        out[t, c, i, j] = total * norm[c, j]


@cuda.jit
def _smooth_y(x, valid, kernels, norm, out):
    item = cuda.grid(1)
    n_channel, n_y, n_x = out.shape[1], out.shape[2], out.shape[3]
    if item < out.size:
        j, i = item % n_x, item // n_x % n_y
        c, t = item // (n_x * n_y) % n_channel, item // (n_x * n_y * n_channel)
        reach = kernels.shape[1] // 2
        total = F0
        if valid[t, c]:
            for k in range(max(0, reach - i), min(kernels.shape[1], n_y + reach - i)):
                total += kernels[c, k] * x[t, c, i + k - reach, j]
        out[t, c, i, j] = total * norm[c, i]


def count_finite(x: Any) -> Any:
    """See `_cpu.count_finite`."""
    xp = namespace(x)
    return xp.isfinite(x).sum(2) if x.dtype.kind == "f" else xp.full(x.shape[:2], x.shape[2], np.int64)
