"""Undecimated wavelet steps on the CPU: each row is a vector along which SIMD runs, with the eight taps unrolled."""

import numpy as np

from tasks.array.compiled import jit
from tasks.array.wavelet import _formulas

_wrap, _tap_offset, _bin_of = jit(_formulas.wrap), jit(_formulas.tap_offset), jit(_formulas.bin_of)


@jit
def _unroll_row(row, before, buffer):
    """Copy ``row`` into ``buffer`` with its periodic continuation on both sides: no index is folded afterwards."""
    n = row.size
    for i in range(before):
        buffer[i] = row[_wrap(i - before, n)]
    for i in range(n):
        buffer[before + i] = row[i]
    for i in range(before + n, buffer.size):
        buffer[i] = row[_wrap(i - before, n)]


@jit
def _sum(out, more, weights, a, b, c, d, e, f, g, h):
    """All eight taps at once: ``out`` is stored once, not eight times, and loaded only if this is ``more`` of it."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    w4, w5, w6, w7 = weights[4], weights[5], weights[6], weights[7]
    for i in range(out.size):
        first = w0 * a[i] + w1 * b[i] + w2 * c[i] + w3 * d[i]
        total = first + w4 * e[i] + w5 * f[i] + w6 * g[i] + w7 * h[i]
        out[i] = out[i] + total if more else total


@jit
def _sum_shifts(out, more, weights, buffer, step):
    """What eight taps, ``step`` apart, find along a row that was unrolled into ``buffer``."""
    n, s = out.size, step
    _sum(
        out, more, weights, buffer[:n], buffer[s : s + n], buffer[2 * s : 2 * s + n], buffer[3 * s : 3 * s + n],
        buffer[4 * s : 4 * s + n], buffer[5 * s : 5 * s + n], buffer[6 * s : 6 * s + n], buffer[7 * s : 7 * s + n],
    )  # fmt: skip


@jit
def _sum_rows(out, more, weights, image, y, step):
    """What eight taps find in the rows around ``y``; a negative ``step`` goes the other way."""
    n = image.shape[0]
    _sum(
        out, more, weights, image[_row(0, y, step, n)], image[_row(1, y, step, n)], image[_row(2, y, step, n)],
        image[_row(3, y, step, n)], image[_row(4, y, step, n)], image[_row(5, y, step, n)], image[_row(6, y, step, n)],
        image[_row(7, y, step, n)],
    )  # fmt: skip


@jit
def _row(tap, y, step, n):
    return _wrap(y + _tap_offset(tap, 8, step), n)


@jit
def analyse(image, low, high, step):
    """See `tasks.array.wavelet.analyse`."""
    n, ny, nx = image.shape
    before = -_tap_offset(0, low.size, step)
    buffer = np.empty(nx + 7 * step, np.float32)
    smooth, detail = np.empty((ny, nx), np.float32), np.empty((ny, nx), np.float32)
    coarse = np.empty((n, ny, nx), np.float32)
    details = np.empty((n, 3, ny, nx), np.float32)
    for b in range(n):
        for y in range(ny):
            _unroll_row(image[b, y], before, buffer)
            _sum_shifts(smooth[y], False, low, buffer, step)
            _sum_shifts(detail[y], False, high, buffer, step)
        for y in range(ny):
            _sum_rows(coarse[b, y], False, low, smooth, y, step)
            _sum_rows(details[b, 0, y], False, high, smooth, y, step)
            _sum_rows(details[b, 1, y], False, low, detail, y, step)
            _sum_rows(details[b, 2, y], False, high, detail, y, step)
    return coarse, details


@jit
def synthesise(coarse, details, low, high, step):
    """See `tasks.array.wavelet.synthesise`."""
    n, ny, nx = coarse.shape
    before = _tap_offset(low.size - 1, low.size, step)
    quarter = np.float32(0.25)
    low_quarter, high_quarter = quarter * low, quarter * high
    low_back, high_back = low[::-1].copy(), high[::-1].copy()
    rows = np.empty((2, nx), np.float32)
    buffer = np.empty(nx + 7 * step, np.float32)
    image = np.empty((n, ny, nx), np.float32)
    for b in range(n):
        for y in range(ny):
            _sum_rows(rows[0], False, low_quarter, coarse[b], y, -step)
            _sum_rows(rows[0], True, high_quarter, details[b, 0], y, -step)
            _sum_rows(rows[1], False, low_quarter, details[b, 1], y, -step)
            _sum_rows(rows[1], True, high_quarter, details[b, 2], y, -step)
            _unroll_row(rows[0], before, buffer)
            _sum_shifts(image[b, y], False, low_back, buffer, step)
            _unroll_row(rows[1], before, buffer)
            _sum_shifts(image[b, y], True, high_back, buffer, step)
    return image


@jit
def magnitude_counts(values, weights, scale, n_bins):
    """See `tasks.array.wavelet.magnitude_counts`."""
    n, ny, nx = values.shape
    counts = np.zeros((n, n_bins), np.int64)
    for b in range(n):
        for y in range(ny):
            for x in range(nx):
                if weights[y, x]:
                    counts[b, _bin_of(values[b, y, x], scale, n_bins)] += 1
    return counts
