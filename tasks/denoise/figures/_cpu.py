"""Sums over what was removed from some rows of a tile, in one pass through memory."""

import numpy as np

from tasks.array.compiled import jit


@jit
def add_rows(before, after, valid, sums, count, peak):
    """Add to ``sums`` (series, band), ``count`` and ``peak`` (band,) what rows (y, x, band) hold; return the sum of the angles
    between the spectra removed and left [rad], and their number.

    The series are those of `tasks.denoise.figures.SERIES`.
    """
    n_y, n_x, n_band = before.shape
    removed, last = np.zeros(n_band), np.zeros(n_band)
    left = np.zeros(n_band)
    angle, n_angle = 0.0, 0
    for y in range(n_y):
        last[:] = 0
        for x in range(n_x):
            for band in range(n_band):
                seen = valid[y, x, band]
                value = after[y, x, band]
                away = np.float64(before[y, x, band] - value if seen else np.float32(0))
                kept = np.float64(value if seen else np.float32(0))
                removed[band], left[band] = away, kept
                count[band] += seen
                peak[band] = max(peak[band], kept)
                sums[0, band] += away
                sums[1, band] += away * away
                sums[2, band] += away * last[band]
                sums[3, band] += kept
                sums[4, band] += kept * kept
                sums[5, band] += away * kept
                last[band] = away
            length_a, length_b, both = 0.0, 0.0, 0.0
            for band in range(n_band):
                length_a += removed[band] * removed[band]
                length_b += left[band] * left[band]
                both += removed[band] * left[band]
            if length_a > 0 and length_b > 0:
                angle += np.arccos(min(max(both / np.sqrt(length_a * length_b), -1.0), 1.0))
                n_angle += 1
    return angle, n_angle
