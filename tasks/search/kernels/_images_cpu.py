"""What is done to single images on the CPU: conditioning, summing pairs, the matched filter, counting."""

from collections.abc import Sequence

import numpy as np

from tasks.array.compiled import jit
from tasks.search.kernels._threads import shared


def condition(x: np.ndarray, level: np.ndarray, gain: np.ndarray, u: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Weighted residuals ``(x / gain - level) * u`` of the pixels from ``start`` to ``stop``; zero where ``u`` is."""
    out = np.empty((*x.shape[:2], stop - start), np.float32)
    shared(_condition, x, level, (1 / gain).astype(np.float32), u.astype(np.float32), start, out)
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
    shared(_smooth_images, x, valid, kernels, *norms, out)
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
        shared(_count_finite, x, out)
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
