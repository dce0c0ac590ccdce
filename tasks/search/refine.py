"""Measure a candidate between the trials: time, width and DM by matched template, position by a fit to nine pixels."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from tasks.search._template import N_SUB, match
from tasks.search.dispersion import dispersion_delays

REACH = 2
"""Pixels on each side of a candidate that its position fit may use."""


@dataclass(frozen=True)
class Patch:
    """Data around one candidate: ``y`` (time, channel, y, x) weighted residuals, ``u`` (time, channel) weights.

    ``origin`` is the (time, y, x) index of its first sample and pixel; ``totals`` (channel,) the weights of the whole
    baseline stretch.
    """

    y: np.ndarray
    u: np.ndarray
    totals: np.ndarray
    origin: tuple[int, int, int]


@dataclass(frozen=True)
class Pulse:
    """A pulse at the mean frequency: S/N, centre [samples], position [pixels], DM [pc cm^-3], width [samples]."""

    snr: float
    time: float
    y: float
    x: float
    dm: float
    width: float


def refine(pulse: Pulse, patch: Patch, freqs: np.ndarray, dt: float, dm_max: float) -> Pulse:
    """The pulse near ``pulse``, up to ``dm_max``, with the largest S/N; never a smaller S/N than the trial had.

    Deterministic, and a function of the data within the patch only.
    """
    time, y0, x0 = patch.origin
    centre = round(pulse.y) - y0, round(pulse.x) - x0
    edges = _sub_channels(freqs)
    unit = dispersion_delays(edges, 1.0, reference=float(np.mean(freqs))).reshape(-1, N_SUB) / dt
    spread = float(np.ptp(unit[:, N_SUB // 2]))
    dm_step = 0.5 / spread if spread > 0 else 1.0  # half a sample across the band
    dm_max = min(dm_max + dm_step, pulse.dm + 4 * pulse.width * dm_step) if spread > 0 else 0.0
    series = np.ascontiguousarray(patch.y[:, :, centre[0], centre[1]], np.float64)

    def snr(params: np.ndarray, pixel: np.ndarray = series):
        middle, log_width, steps = params
        width, dm = np.exp(log_width), steps * dm_step
        if not -0.5 * dm_step <= dm <= dm_max or not 0.3 <= width <= len(pixel):
            return 0.0
        return match(pixel, patch.u, patch.totals, dm * unit, middle - time - width / 2, width)

    start = np.array([pulse.time, np.log(pulse.width), pulse.dm / dm_step])
    reach = np.array([0.3 * max(1.0, pulse.width**0.5), 0.3, max(1.0, 0.5 * pulse.width)])
    corners = np.vstack([start, start + np.diag(reach)])
    options = {"initial_simplex": corners, "maxfev": 160, "xatol": 0.01, "fatol": 0.003}
    best = minimize(lambda p: -snr(p), start, method="Nelder-Mead", options=options).x
    best = best if snr(best) > snr(start) else start
    image = np.array(
        [
            [snr(best, np.ascontiguousarray(patch.y[:, :, i, j], np.float64)) for j in range(patch.y.shape[3])]
            for i in range(patch.y.shape[2])
        ]
    )
    dy, dx, peak = _peak(image, *centre)
    return Pulse(
        max(peak, pulse.snr), best[0], pulse.y + dy, pulse.x + dx, max(0.0, best[2] * dm_step), float(np.exp(best[1]))
    )


def _sub_channels(freqs: np.ndarray) -> np.ndarray:
    spacing = float(np.median(np.abs(np.diff(freqs)))) if len(freqs) > 1 else 0.0
    return (np.asarray(freqs)[:, None] + spacing * ((np.arange(N_SUB) + 0.5) / N_SUB - 0.5)).ravel()


def _peak(image: np.ndarray, i: int, j: int) -> tuple[float, float, float]:
    """Offset and height of the maximum of the quadratic through the nine pixels around (i, j)."""
    if not (0 < i < image.shape[0] - 1 and 0 < j < image.shape[1] - 1):
        return 0.0, 0.0, float(image[i, j])
    nine = image[i - 1 : i + 2, j - 1 : j + 2]
    if nine.min() <= 0:
        return 0.0, 0.0, float(image[i, j])
    nine = np.log(nine)  # a Gaussian beam is a parabola in the logarithm
    v, h = np.mgrid[-1:2, -1:2]
    design = np.stack([np.ones(9), v.ravel(), h.ravel(), v.ravel() ** 2, (v * h).ravel(), h.ravel() ** 2], 1)
    a, b, c, d, e, f = np.linalg.lstsq(design, nine.ravel(), rcond=None)[0]
    curvature = 4 * d * f - e * e
    if d >= 0 or f >= 0 or curvature <= 0:
        return 0.0, 0.0, float(image[i, j])
    dy, dx = (e * c - 2 * f * b) / curvature, (e * b - 2 * d * c) / curvature
    if max(abs(dy), abs(dx)) > 0.75:
        return 0.0, 0.0, float(image[i, j])
    return dy, dx, max(float(np.exp(a + (b * dy + c * dx) / 2)), float(image[i, j]))
