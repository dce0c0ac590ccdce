"""The patch filter on the CPU: spectra of a block's patches are computed once, groups gather and scatter whole spectra.

Everything is added up in an order fixed by the scene (blocks, then reference patches, both in raster order), so a
tile gives its pixels the same bits as the whole scene does.
"""

import numpy as np

from tasks.array.compiled import jit
from tasks.denoise.patches import _formulas
from tasks.denoise.patches._formulas import AREA, EDGE, HALF_ROOT, ONE, ZERO
from tasks.denoise.patches._similar import find_similar

_kept, _wiener_gain = jit(_formulas.kept), jit(_formulas.wiener_gain)
_diagonalise = _formulas.make_diagonalise(jit)
_COSINES, _TAPER = _formulas.cosines(), _formulas.taper()

__all__ = ["collaborate", "find_similar"]


@jit
def _spectra(images, y0, y1, x0, x1, out):
    """DCT of the patch at every pixel of [y0, y1) x [x0, x1) into ``out`` (pixel, component * 64)."""
    n_x = x1 - x0
    half = np.empty((y1 - y0 + EDGE - 1, n_x, EDGE), np.float32)
    by_frequency = _COSINES.T.copy()
    for c in range(images.shape[0]):
        for y in range(half.shape[0]):
            for x in range(n_x):
                _combine(half[y, x], by_frequency, images[c, y0 + y, x0 + x : x0 + x + EDGE])
        for y in range(y1 - y0):
            for x in range(n_x):
                spectrum = out[y * n_x + x, c * AREA : (c + 1) * AREA]
                for v in range(EDGE):
                    for u in range(EDGE):
                        total = ZERO
                        for j in range(EDGE):
                            total += by_frequency[j, v] * half[y + j, x, u]
                        spectrum[v * EDGE + u] = total


@jit
def _combine(out, rows, weights):
    """Weighted sum of eight rows of eight."""
    for u in range(EDGE):
        total = ZERO
        for i in range(EDGE):
            total += rows[i, u] * weights[i]
        out[u] = total


@jit
def _butterfly(a, b):
    for t in range(a.size):
        u, v = a[t], b[t]
        a[t], b[t] = (u + v) * HALF_ROOT, (u - v) * HALF_ROOT


@jit
def _haar(group, forward):
    """Orthonormal Haar transform across the patches of a group, in place; its mean ends in row 0."""
    n = group.shape[0]
    step = 1 if forward else n // 2
    while 0 < step < n:
        for i in range(0, n, 2 * step):
            _butterfly(group[i], group[i + step])
        step = step * 2 if forward else step // 2


@jit
def _covariance(group, n_image, matrix):
    """Second moments between components over all coefficients but the group's mean, which is no variation."""
    lanes = np.empty(AREA, np.float32)
    for p in range(n_image):
        for q in range(p + 1):
            lanes[:] = ZERO
            for i in range(group.shape[0]):
                a, b = group[i, p * AREA : (p + 1) * AREA], group[i, q * AREA : (q + 1) * AREA]
                for t in range(AREA):
                    lanes[t] += a[t] * b[t]
            total = -group[0, p * AREA] * group[0, q * AREA]
            for t in range(AREA):
                total += lanes[t]
            matrix[p, q] = matrix[q, p] = total


@jit
def _rotate(group, vectors, n_image, forward, work):
    for i in range(group.shape[0]):
        row = group[i]
        for p in range(n_image):
            out = work[p * AREA : (p + 1) * AREA]
            out[:] = ZERO
            for q in range(n_image):
                weight = vectors[q, p] if forward else vectors[p, q]
                source = row[q * AREA : (q + 1) * AREA]
                for t in range(AREA):
                    out[t] += weight * source[t]
        row[:] = work


@jit
def _threshold(group, n_image, level, counts):
    """Keep what exceeds the noise, and the group's mean; ``counts``: the noise variance that stays, per component."""
    for p in range(n_image):
        counts[p] = ZERO
        for i in range(group.shape[0]):
            values = group[i, p * AREA : (p + 1) * AREA]
            mean = values[0]
            for t in range(AREA):
                keep = _kept(values[t], level)
                values[t] *= keep
                counts[p] += keep
            if i == 0 and values[0] != mean:
                values[0] = mean
                counts[p] += ONE


@jit
def _weigh(group, pilot, n_image, level, counts):
    """Empirical Wiener filter; ``counts`` as in `_threshold`."""
    lanes = np.empty(AREA, np.float32)
    for p in range(n_image):
        lanes[:] = ZERO
        for i in range(group.shape[0]):
            values, known = group[i, p * AREA : (p + 1) * AREA], pilot[i, p * AREA : (p + 1) * AREA]
            for t in range(AREA):
                gain = _wiener_gain(known[t], level)
                values[t] *= gain
                lanes[t] += gain * gain
        counts[p] = lanes.sum()


@jit
def _scatter(group, spectra, places, vectors, counts, changes, weights):
    """Add what the filter changed in each patch, weighted by how little noise stayed in it."""
    n_image = weights.shape[1]
    for c in range(n_image):
        noise = ZERO
        for p in range(n_image):
            noise += vectors[c, p] * vectors[c, p] * counts[p]
        weight = ONE / max(noise, ONE)
        part = slice(c * AREA, (c + 1) * AREA)
        for i in range(places.size):
            new, old, out = group[i, part], spectra[places[i], part], changes[places[i], part]
            for t in range(AREA):
                out[t] += weight * (new[t] - old[t])
            weights[places[i], c] += weight


@jit
def _gather(spectra, places, group):
    for i in range(places.size):
        group[i] = spectra[places[i]]


@jit
def _filter_groups(spectra, pilots, groups, level, wiener, changes, weights):
    n_image, n = weights.shape[1], groups.shape[1]
    group, known = np.empty((n, n_image * AREA), np.float32), np.empty((n, n_image * AREA), np.float32)
    matrix, vectors = np.empty((n_image, n_image), np.float32), np.empty((n_image, n_image), np.float32)
    counts, work = np.empty(n_image, np.float32), np.empty(n_image * AREA, np.float32)
    for g in range(groups.shape[0]):
        _gather(spectra, groups[g], group)
        _haar(group, True)
        if wiener:
            _gather(pilots, groups[g], known)
            _haar(known, True)
        _covariance(known if wiener else group, n_image, matrix)
        _diagonalise(matrix, vectors, n_image)
        _rotate(group, vectors, n_image, True, work)
        if wiener:
            _rotate(known, vectors, n_image, True, work)
            _weigh(group, known, n_image, level, counts)
        else:
            _threshold(group, n_image, level, counts)
        _rotate(group, vectors, n_image, False, work)
        _haar(group, False)
        _scatter(group, spectra, groups[g], vectors, counts, changes, weights)


@jit
def _overlay(changes, weights, y0, y1, x0, x1, numerator, denominator):
    """Patches of a block back to pixels, added to the scene's sums."""
    half, patch, n_x = np.empty((EDGE, EDGE), np.float32), np.empty((EDGE, EDGE), np.float32), x1 - x0
    for y in range(y0, y1):
        for x in range(x0, x1):
            at = (y - y0) * n_x + x - x0
            for c in range(weights.shape[1]):
                weight = weights[at, c]
                if weight == ZERO:
                    continue
                for v in range(EDGE):
                    start = c * AREA + v * EDGE
                    _combine(half[v], _COSINES, changes[at, start : start + EDGE])
                for j in range(EDGE):
                    _combine(patch[j], half, _COSINES[:, j])
                for j in range(EDGE):
                    top, bottom = numerator[c, y + j, x : x + EDGE], denominator[c, y + j, x : x + EDGE]
                    for i in range(EDGE):
                        top[i] += _TAPER[j * EDGE + i] * patch[j, i]
                        bottom[i] += _TAPER[j * EDGE + i] * weight


@jit
def _local_groups(similar, rows, cols, n_col, last_x, y0, x0, width):
    """Groups of the block rows x cols (index ranges), their places counted within the block."""
    groups = np.empty(((rows[1] - rows[0]) * (cols[1] - cols[0]), similar.shape[1]), np.int32)
    at = 0
    for r in range(rows[0], rows[1]):
        for q in range(cols[0], cols[1]):
            for i in range(similar.shape[1]):
                place = similar[r * n_col + q, i]
                groups[at, i] = (place // last_x - y0) * width + place % last_x - x0
            at += 1
    return groups


@jit
def collaborate(noisy, pilot, similar, lattice, level, wiener):
    """Filter every group of similar patches in its own transform and overlay the results.

    ``lattice``: (rows, cols, row_cuts, col_cuts, radius); cuts are the indices at which blocks begin and end.
    """
    rows, cols, row_cuts, col_cuts, radius = lattice
    n_image, n_y, n_x = noisy.shape
    end_y, end_x = n_y - EDGE + 1, n_x - EDGE + 1
    numerator, denominator = np.zeros_like(noisy), np.zeros_like(noisy)
    for a in range(row_cuts.size - 1):
        y0, y1 = max(0, rows[row_cuts[a]] - radius), min(end_y, rows[row_cuts[a + 1] - 1] + radius + 1)
        for b in range(col_cuts.size - 1):
            x0, x1 = max(0, cols[col_cuts[b]] - radius), min(end_x, cols[col_cuts[b + 1] - 1] + radius + 1)
            n_patch = (y1 - y0) * (x1 - x0)
            spectra = np.empty((n_patch, n_image * AREA), np.float32)
            _spectra(noisy, y0, y1, x0, x1, spectra)
            pilots = spectra
            if wiener:
                pilots = np.empty_like(spectra)
                _spectra(pilot, y0, y1, x0, x1, pilots)
            changes, weights = np.zeros_like(spectra), np.zeros((n_patch, n_image), np.float32)
            groups = _local_groups(similar, row_cuts[a : a + 2], col_cuts[b : b + 2], cols.size, end_x, y0, x0, x1 - x0)
            _filter_groups(spectra, pilots, groups, level, wiener, changes, weights)
            _overlay(changes, weights, y0, y1, x0, x1, numerator, denominator)
    return noisy + numerator / np.maximum(denominator, np.float32(1e-30))
