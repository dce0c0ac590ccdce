"""Spectral total variation on the CPU: 64 pixels side by side, so that SIMD runs across pixels and not along bands."""

import numpy as np

from tasks.array.compiled import jit

LANES = 64


@jit
def without_spikes(spectra, upper, pivot, limit_misfit, limit_step, n_step):
    """See `tasks.denoise.spectral.without_spikes`; the factors are those of its `factors`."""
    n_pixel, n_band = spectra.shape
    shape = (n_band, LANES)
    h, x = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    a, u = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    c, w = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    out = np.empty_like(spectra)
    for start in range(0, n_pixel, LANES):
        size = min(LANES, n_pixel - start)
        for i in range(n_band):
            for k in range(size):
                h[i, k] = spectra[start + k, i]
        a[:], u[:], c[:], w[:] = 0, 0, 0, 0
        for _ in range(n_step):
            _solve(h, a, u, c, w, upper, pivot, x)
            _update(h, x, a, u, c, w, limit_misfit, limit_step)
        for i in range(n_band):
            for k in range(size):
                out[start + k, i] = x[i, k]
    return out


@jit
def _solve(h, a, u, c, w, upper, pivot, x):
    """(1 + D'D) x = h + a - u + D'(c - w), by elimination forth and back."""
    n_band = h.shape[0]
    for i in range(n_band):
        here, gap, before = x[i], c[i], x[i - 1]
        for k in range(LANES):
            right = h[i, k] + a[i, k] - u[i, k]
            if i > 0:
                right += c[i - 1, k] - w[i - 1, k] + before[k]
            if i < n_band - 1:
                right -= gap[k] - w[i, k]
            here[k] = right * pivot[i]
    for i in range(n_band - 2, -1, -1):
        here, after, factor = x[i], x[i + 1], upper[i]
        for k in range(LANES):
            here[k] -= factor * after[k]


@jit
def _update(h, x, a, u, c, w, limit_misfit, limit_step):
    n_band = h.shape[0]
    for i in range(n_band):
        for k in range(LANES):
            away = x[i, k] - h[i, k]
            value = away + u[i, k]
            kept = value - min(max(value, -limit_misfit), limit_misfit)
            a[i, k] = kept
            u[i, k] = value - kept
    for i in range(n_band - 1):
        for k in range(LANES):
            value = x[i + 1, k] - x[i, k] + w[i, k]
            kept = value - min(max(value, -limit_step), limit_step)
            c[i, k] = kept
            w[i, k] = value - kept
