"""Dedisperse, sum boxcars and keep the best on the GPU: one thread per pixel and cell, the additions of the CPU in its order."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.search._formulas import CELL
from tasks.search.kernels._launch import F0, HALF, launch, on_device
from tasks.search.kernels._trials_cpu import box_sizes


def detect(y: Any, delays: np.ndarray, steps: np.ndarray, norm: Any, first: int) -> tuple[Any, Any]:
    """See `_cpu.detect`."""
    xp = namespace(y)
    sizes = box_sizes(steps)
    longest = int(sizes.max())
    order = np.argsort(delays & 1, axis=1, kind="stable").astype(np.int32)
    n_whole = (delays.shape[1] - (delays & 1).sum(1)).astype(np.int32)
    shape = (norm.shape[2] // CELL, y.shape[2])
    best, code = xp.zeros(shape, np.float32), xp.zeros(shape, np.int32)
    active = (norm > 0).any(1).reshape(norm.shape[0], -1, CELL).any(2)
    args = on_device(xp, delays, order, n_whole, steps, sizes, norm, active)
    kernel = _detect_kernel(len(steps), CELL + longest)
    launch(kernel, shape[0] * shape[1], y, *args, np.int32(first), np.int32(longest), best, code)
    return best, code


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
