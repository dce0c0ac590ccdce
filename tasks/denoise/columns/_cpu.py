"""The spread along columns on the CPU: medians are read from counts, because sorting each column took longer than denoising."""

import numpy as np

from tasks.array.compiled import jit
from tasks.denoise.outliers import MAD, STILL

PER_SIGMA = 32
"""Bins in the noise of a band: medians between them are interpolated, to a hundredth of the noise."""
BINS = 16 * PER_SIGMA
GUESS = 31
"""Samples whose median says where the bins lie: a column's offset may be many times the noise."""


@jit
def _guess(cube, clean, valid, x, band):
    """Median of what was removed from a few samples of a column; 0 where none is valid."""
    values = np.empty(GUESS, np.float32)
    n_y, n = cube.shape[0], 0
    step = max(1, n_y // GUESS)
    for y in range(0, n_y, step):
        if n < GUESS and valid[y, x, band]:
            values[n] = cube[y, x, band] - clean[y, x, band]
            n += 1
    return np.median(values[:n]) if n else np.float32(0)


@jit
def _below(counts, place):
    """How many samples lie below ``place`` [bins]; ``counts`` are cumulative, from 0."""
    place = min(max(place, 0.0), float(BINS))
    bin_ = min(int(place), BINS - 1)
    return counts[bin_] + (place - bin_) * (counts[bin_ + 1] - counts[bin_])


@jit
def _where(counts, wanted, centre, low, high):
    """Width at which as many samples as ``wanted`` lie within it of ``centre``, or, without a centre, below it."""
    for _ in range(24):
        middle = 0.5 * (low + high)
        if centre < 0:
            inside = _below(counts, middle)
        else:
            inside = _below(counts, centre + middle) - _below(counts, centre - middle)
        if inside < wanted:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@jit
def spread(cube, clean, valid, sigma):
    """Robust spread (x, band) of ``cube - clean``, NaN where never valid, and (x, band) whether the column stands still."""
    n_y, n_x, n_band = cube.shape
    found = np.empty((n_x, n_band), np.float32)
    still = np.zeros((n_x, n_band), np.bool_)
    scale, centre = np.zeros(n_band, np.float32), np.empty(n_band, np.float32)
    scale[sigma > 0] = PER_SIGMA / sigma[sigma > 0]
    counts, alike, pairs = (
        np.empty((n_band, BINS + 1), np.int64),
        np.empty(n_band, np.int64),
        np.empty(n_band, np.int64),
    )
    for x in range(n_x):
        counts[:], alike[:], pairs[:] = 0, 0, 0
        for band in range(n_band):
            centre[band] = _guess(cube, clean, valid, x, band)
        for y in range(n_y):
            for band in range(n_band):
                if not valid[y, x, band]:
                    continue
                away = cube[y, x, band] - clean[y, x, band] - centre[band]
                place = away * scale[band] + np.float32(BINS // 2)
                counts[band, 1 + int(min(max(place, np.float32(0)), np.float32(BINS - 1)))] += 1
                if y > 0 and valid[y - 1, x, band]:  # a gap says nothing of stillness
                    pairs[band] += 1
                    alike[band] += abs(cube[y, x, band] - cube[y - 1, x, band]) < np.float32(STILL) * sigma[band]
        for band in range(n_band):
            below = np.cumsum(counts[band])
            half = 0.5 * below[-1]
            middle = _where(below, half, -1.0, 0.0, float(BINS))
            width = _where(below, half, middle, 0.0, float(BINS))
            found[x, band] = MAD * width / PER_SIGMA * sigma[band] if below[-1] else np.nan
            still[x, band] = 2 * alike[band] > pairs[band]
    return found, still
