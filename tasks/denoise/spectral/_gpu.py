"""Spectral total variation on the GPU: one thread per pixel, states laid out so that neighbours read neighbours."""

from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace
from tasks.denoise.spectral import _formulas

BLOCK = 128
_shrunk = cuda.jit(device=True)(_formulas.shrunk)


@cuda.jit
def alternate(h, upper, pivot, limit_misfit, limit_step, n_step, x, a, u, c, w):
    """All arrays are (band, pixel); states start at zero."""
    p = cuda.grid(1)
    n_band, n_pixel = h.shape
    if p >= n_pixel:
        return
    for _ in range(n_step):
        before = np.float32(0)
        for i in range(n_band):
            right = h[i, p] + a[i, p] - u[i, p] + before
            if i > 0:
                right += c[i - 1, p] - w[i - 1, p]
            if i < n_band - 1:
                right -= c[i, p] - w[i, p]
            before = right * pivot[i]
            x[i, p] = before
        for j in range(1, n_band):
            i = n_band - 1 - j
            x[i, p] -= upper[i] * x[i + 1, p]
        for i in range(n_band):
            value = x[i, p] - h[i, p] + u[i, p]
            kept = _shrunk(value, limit_misfit)
            a[i, p] = kept
            u[i, p] = value - kept
        for i in range(n_band - 1):
            value = x[i + 1, p] - x[i, p] + w[i, p]
            kept = _shrunk(value, limit_step)
            c[i, p] = kept
            w[i, p] = value - kept


def without_spikes(
    spectra: Any, upper: Any, pivot: Any, limit_misfit: np.float32, limit_step: np.float32, n_step: int
) -> Any:
    """See `tasks.denoise.spectral.without_spikes`."""
    xp = namespace(spectra)
    h = xp.ascontiguousarray(spectra.T)
    x, a, u, c, w = (xp.zeros_like(h) for _ in range(5))
    stream = 0 if xp is np else cuda.external_stream(xp.cuda.get_current_stream().ptr)
    grid = -(-h.shape[1] // BLOCK)
    alternate[grid, BLOCK, stream](h, upper, pivot, limit_misfit, limit_step, np.int32(n_step), x, a, u, c, w)
    return xp.ascontiguousarray(x.T)
