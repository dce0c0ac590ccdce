"""Undecimated wavelet steps on the CPU: each row is a vector, so the taps are the outer loop and SIMD takes the inner."""

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
def _add_scaled(out, weight, source):
    for i in range(out.size):
        out[i] += weight * source[i]


@jit
def _two_rows(out_a, weight_a, out_b, weight_b, source):
    for i in range(out_a.size):
        value = source[i]
        out_a[i] += weight_a * value
        out_b[i] += weight_b * value


@jit
def analyse(image, low, high, step):
    """See `tasks.array.wavelet.analyse`."""
    n, ny, nx = image.shape
    taps = low.size
    before = -_tap_offset(0, taps, step)
    buffer = np.empty(nx + (taps - 1) * step, np.float32)
    smooth, detail = np.empty((ny, nx), np.float32), np.empty((ny, nx), np.float32)
    coarse = np.zeros((n, ny, nx), np.float32)
    details = np.zeros((n, 3, ny, nx), np.float32)
    for b in range(n):
        smooth[:] = 0
        detail[:] = 0
        for y in range(ny):
            _unroll_row(image[b, y], before, buffer)
            for k in range(taps):
                _two_rows(smooth[y], low[k], detail[y], high[k], buffer[k * step : k * step + nx])
        for y in range(ny):
            for k in range(taps):
                source = _wrap(y + _tap_offset(k, taps, step), ny)
                _two_rows(coarse[b, y], low[k], details[b, 0, y], high[k], smooth[source])
                _two_rows(details[b, 1, y], low[k], details[b, 2, y], high[k], detail[source])
    return coarse, details


@jit
def synthesise(coarse, details, low, high, step):
    """See `tasks.array.wavelet.synthesise`."""
    n, ny, nx = coarse.shape
    taps = low.size
    before = _tap_offset(taps - 1, taps, step)
    quarter = np.float32(0.25)
    rows = np.empty((2, nx), np.float32)
    buffer = np.empty(nx + (taps - 1) * step, np.float32)
    image = np.zeros((n, ny, nx), np.float32)
    for b in range(n):
        for y in range(ny):
            rows[:] = 0
            for k in range(taps):
                source = _wrap(y - _tap_offset(k, taps, step), ny)
                _add_scaled(rows[0], quarter * low[k], coarse[b, source])
                _add_scaled(rows[0], quarter * high[k], details[b, 0, source])
                _add_scaled(rows[1], quarter * low[k], details[b, 1, source])
                _add_scaled(rows[1], quarter * high[k], details[b, 2, source])
            for half in range(2):
                _unroll_row(rows[half], before, buffer)
                for k in range(taps):
                    weight = low[k] if half == 0 else high[k]
                    start = (taps - 1 - k) * step
                    _add_scaled(image[b, y], weight, buffer[start : start + nx])
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
