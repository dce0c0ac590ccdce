"""Plain NumPy forms of the search's kernels, and simulated sky, for its tests."""

import numpy as np

from tasks.search._formulas import CELL
from tasks.search.dispersion import dispersion_delays

FREQS = np.linspace(1490.0, 1320.0, 8)
DT = 0.134


def pulse(shape, freqs, *, time, dm, width, y, x, amplitude, dt=DT, fwhm=0.0):
    """A dispersed boxcar: ``time`` (centre at the mean frequency) and ``width`` in seconds; smeared within channels."""
    cube = np.zeros(shape, np.float32)
    edges = np.arange(shape[0] + 1) * dt
    spacing = abs(freqs[1] - freqs[0]) if len(freqs) > 1 else 0.0
    rows, columns = np.mgrid[: shape[2], : shape[3]]
    spot = (
        np.exp(-4 * np.log(2) * ((rows - y) ** 2 + (columns - x) ** 2) / fwhm**2)
        if fwhm
        else (rows == y) & (columns == x)
    )
    for c, freq in enumerate(freqs):
        for sub in (np.arange(8) + 0.5) / 8 - 0.5:
            late = dispersion_delays(np.array([freq + sub * spacing]), dm, reference=freqs.mean())[0, 0]
            start = time - width / 2 + late
            profile = np.diff(np.clip(edges - start, 0, width)) / dt / 8
            cube[:, c] += amplitude * profile[:, None, None] * spot
    return cube


def all_trials(y, delays, widths, norm, first):
    """S/N of every trial (dm, width, start, pixel) of ``y`` (time, channel, pixel), in float64."""
    n_start = norm.shape[2]
    reach = int(delays.max()) // 2 + max(widths) + 2
    before, after = max(0, -first), max(0, first + n_start + reach - len(y))
    padded = np.pad(y.astype(np.float64), ((before, after), (0, 0), (0, 0)))[first + before :]
    out = np.zeros((*norm.shape, y.shape[2]))
    for d, row in enumerate(delays):
        series = np.zeros((n_start + max(widths), y.shape[2]))
        for c, late in enumerate(row):
            low = padded[late // 2 :, c][: len(series)]
            series += low if late % 2 == 0 else 0.5 * (low + padded[late // 2 + 1 :, c][: len(series)])
        total = np.concatenate([np.zeros((1, y.shape[2])), np.cumsum(series, 0)])
        for w, width in enumerate(widths):
            out[d, w] = (total[width : width + n_start] - total[:n_start]) * norm[d, w][:, None]
    return out


def best_of_cells(snr):
    """Largest S/N (cell, pixel) and its code, the first of equals, from `all_trials`."""
    n_dm, n_width, n_start, n_pixel = snr.shape
    cells = snr.reshape(n_dm, n_width, n_start // CELL, CELL, n_pixel).transpose(2, 4, 0, 1, 3)
    flat = cells.reshape(n_start // CELL, n_pixel, -1)
    return flat.max(2), flat.argmax(2)
