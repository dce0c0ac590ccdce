"""What is done to single images on the GPU: one thread per value."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.search.kernels._launch import F0, launch, on_device


def condition(x: Any, level: Any, gain: np.ndarray, u: np.ndarray, start: int, stop: int) -> Any:
    """See `_cpu.condition`."""
    xp = namespace(x)
    out = xp.empty((*x.shape[:2], stop - start), np.float32)
    inverse_gain, weight = on_device(xp, (1 / gain).astype(np.float32), u.astype(np.float32))
    launch(_condition, out.size, x, level, inverse_gain, weight, start, out)
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
    used, taps, norm_y, norm_x = on_device(xp, valid, kernels, *norms)
    launch(_smooth_x, out.size, x, used, taps, norm_x, along)
    launch(_smooth_y, out.size, along, used, taps, norm_y, out)
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
