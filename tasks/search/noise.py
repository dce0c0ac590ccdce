"""Noise, gain and interference, from sums over the image: one weight 1/sigma^2 per sample and channel.

All inputs are whole-number sums over pixels (`survey`), so that the weights do not depend on how an image was tiled.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from tasks.search._formulas import CLIP, QUANTUM

KNOT = 256
"""Spacing of the knots between which gain and noise vary linearly [samples]; a shorter cube gets one straight line."""

SCAN_PIXELS, SCAN_RUN = 4096, 32
LARGEST_DRIFT = 0.5
"""A "gain" that changes more than this is a source that comes and goes: a very wide pulse, not the receiver."""

FEWEST_PIXELS = 256
"""Smaller images cannot tell a pattern of interference from a pulse: nothing is excised from them."""

RED = 1.1
"""Scatter over steps, in power, from which on the noise counts as red."""

POINT = 8.0
"""Peak over scatter of an image that is a point source: patterns of interference reach 1.5, noise 5."""

LIMIT = 6.0
"""Interference is what exceeds the noise of the image statistic by this many of its standard deviations."""


@dataclass
class Sums:
    """What one pass adds up over the pixels (see `_cpu.survey`): whole numbers, so any order gives the same."""

    power: np.ndarray
    jitter: np.ndarray
    pattern: np.ndarray
    source: np.ndarray
    count: np.ndarray
    pairs: np.ndarray

    @classmethod
    def zeros(cls, n_time: int, n_channel: int) -> "Sums":
        """Sums over no pixels."""
        power, jitter, pattern, count, pairs = np.zeros((5, n_time, n_channel))
        return cls(power, jitter, pattern, np.zeros(n_channel), count, pairs)

    def add(self, other: "Sums") -> None:
        """Take the pixels of ``other`` in."""
        for name in self.__dataclass_fields__:
            getattr(self, name).__iadd__(getattr(other, name))


@dataclass(frozen=True)
class Weights:
    """What the search knows about the data before it begins.

    Attributes
    ----------
    u : (time, channel) float64 array
        1/sigma^2 of a sample; zero where masked.
    gain : (time,) float64 array
        Divides the samples; 1 where there is no steady source to measure it.
    flags : (time, channel) bool array
        Samples excised as interference (not those masked by the user).
    """

    u: np.ndarray
    gain: np.ndarray
    flags: np.ndarray


def scan_times(n_time: int) -> np.ndarray:
    """Times of the images that tell the rough noise: all of a short stretch, four runs of a long one."""
    if n_time <= 4 * SCAN_RUN:
        return np.arange(n_time)
    return (np.linspace(0, n_time - SCAN_RUN, 4).astype(int)[:, None] + np.arange(SCAN_RUN)).ravel()


def rough_sigma(sample: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Noise per channel from differences of neighbouring images (time, channel, y, x) of `scan_times`."""
    flat = sample.reshape(*sample.shape[:2], -1)
    flat = flat[:, :, :: max(1, flat.shape[2] // SCAN_PIXELS)].astype(np.float32)
    flat = np.where(np.isfinite(flat), flat, np.float32(0))
    sigma = np.zeros(flat.shape[1])
    for c in range(flat.shape[1]):
        times = np.flatnonzero(valid[1:, c] & valid[:-1, c])
        steps = np.abs(flat[times + 1, c] - flat[times, c])
        steps = steps[steps > 0]  # pixels that never vary (blanked, padded) say nothing about the noise
        sigma[c] = np.median(steps) / (0.6744897501960817 * np.sqrt(2)) if steps.size else 0.0
    return sigma


def rough_beam(sample: np.ndarray, valid: np.ndarray) -> float:
    """FWHM [pixels] of the Gaussian whose correlation between neighbouring pixels is that of the noise."""
    products = np.zeros(2)
    for c in range(0, sample.shape[1], max(1, sample.shape[1] // 4)):
        times = np.flatnonzero(valid[1:, c] & valid[:-1, c])
        for t in times[:: max(1, len(times) // 8)][:8]:
            image = sample[t + 1, c, :512, :512].astype(np.float32) - sample[t, c, :512, :512].astype(np.float32)
            image = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
            limit = 4 * np.median(np.abs(image))
            image = np.clip(image, -limit, limit)
            products[0] += (image[1:] * image[:-1]).sum() / 2 + (image[:, 1:] * image[:, :-1]).sum() / 2
            products[1] += (image[1:] ** 2).sum() / 2 + (image[:, 1:] ** 2).sum() / 2
    correlation = products[0] / products[1] if products[1] > 0 else 0.0
    return float(np.sqrt(4 * np.log(2) / -np.log(np.clip(correlation, 0.05, 0.99))))


def fit_gain(pattern: np.ndarray, source: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Gain (time,) relative to its mean, from what the steady sources leave after subtracting their mean level.

    ``pattern`` and ``source`` are those of `survey`. Without a source bright enough to tell, the gain is 1.
    """
    typical = np.median(source[valid.any(0)]) if valid.any() else 0.0
    weight = valid * np.minimum(source, 3 * typical)  # a source is seen in most channels; interference is not
    total = weight.sum(1)
    if not total.any():
        return np.ones(len(total))
    rates = np.divide(pattern, source, out=np.zeros(pattern.shape), where=(source > 0) & valid)
    rate = _weighted_median(rates, weight)
    model = _fit_knots(rate, total > 0)
    error = _spread(rate - model) * np.sqrt(2 / max(1, min(KNOT, (total > 0).sum())))
    drifts = 5 * error < np.abs(model).max() < LARGEST_DRIFT
    return 1 + model if drifts else np.ones(len(total))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median along the last axis; rows without weight give their first value."""
    order = np.argsort(values, axis=1)
    share = np.cumsum(np.take_along_axis(weights, order, 1), 1)
    middle = (share < 0.5 * share[:, -1:]).sum(1)
    return np.take_along_axis(values, np.take_along_axis(order, middle[:, None], 1), 1)[:, 0]


def weigh(sums: Sums, sigma: np.ndarray) -> Weights:
    """Turn image powers into weights and flags; ``gain`` is left at 1.

    The noise is taken from the steps between neighbouring samples, which no wide pulse can raise however small the
    image, and enlarged where the samples scatter more than their steps (noise that is not white).

    Parameters
    ----------
    sums : Sums
        Over all pixels, from `survey`.
    sigma : (channel,) float64 array
        The rough noise that `survey` was given.
    """
    valid = sums.count > 0
    counts = np.maximum(2, valid.sum(0))
    power = _unclip(sums.power / (QUANTUM**2 * np.maximum(1, sums.count)) * (counts / (counts - 1.0))) ** 2
    jitter = _unclip(sums.jitter / (QUANTUM**2 * np.maximum(1, sums.pairs))) ** 2
    alive = valid & (sigma > 0) & (power > 0)
    flags, model = _interference(power, jitter, alive, alive & (sums.pairs > 0), sums.count >= FEWEST_PIXELS)
    noise = np.sqrt(model) * sigma
    u = np.where(alive & (noise > 0), 1 / np.where(noise > 0, noise, 1.0) ** 2, 0.0)
    return Weights(u, np.ones(len(power)), flags & valid)


def is_point(image: np.ndarray) -> bool:
    """Whether one spot outshines an image: then its power is a burst with its sidelobes, not interference."""
    peak = np.abs(image).max(initial=0.0)
    return bool(peak > POINT * _spread(image))


def _interference(
    power: np.ndarray, jitter: np.ndarray, alive: np.ndarray, paired: np.ndarray, enough: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flag images that vary more than their neighbours in time; return flags and the smooth noise power of the rest."""
    flags = np.zeros(alive.shape, bool)
    for _ in range(3):
        keep = alive & ~flags
        model = _smooth(power, jitter, keep, paired & keep)
        if len(alive) < 8 or not enough.any():
            return flags, model
        excess = np.where(keep, power / np.where(model > 0, model, 1) - 1, 0.0)
        scatter = np.array([_spread(excess[keep[:, c], c]) for c in range(alive.shape[1])])
        n_used = keep.sum(1).astype(float)
        new = np.zeros_like(flags)
        for c in range(alive.shape[1]):
            new[:, c] = _outbursts(excess[:, c], scatter[c], keep[:, c] / np.maximum(1.0, n_used)) & keep[:, c]
        trust = np.where(keep & ~new, 1 / np.maximum(scatter, 1e-6) ** 2, 0.0)
        total = trust.sum(1)
        field = np.divide((excess * trust).sum(1), total, out=np.zeros(len(total)), where=total > 0)
        new |= _outbursts(field, _spread(field[total > 0]), n_used)[:, None] & keep
        if not (new & enough).any():
            return flags, model
        flags |= new & enough
    return flags, _smooth(power, jitter, alive & ~flags, paired & ~flags)


def _outbursts(excess: np.ndarray, scatter: float, gain: np.ndarray) -> np.ndarray:
    """Samples within runs of 1, 2, 4, 8, 16 whose mean excess power is significant and could pass for a pulse.

    ``gain`` converts excess power into the square of the S/N that the pattern adds to a pixel: a pattern that adds
    less than 1 sigma to any pixel is harmless however certain it is.
    """
    found = np.zeros(len(excess), bool)
    for width in (1, 2, 4, 8, 16):
        if width > len(excess) // 2:
            break
        mean = np.convolve(excess, np.ones(width) / width, "valid")
        harm = np.convolve(excess * gain, np.ones(width), "valid")
        for start in np.flatnonzero((mean > LIMIT * scatter / np.sqrt(width)) & (harm > 1.0)):
            run = slice(start, start + width)
            found[run] |= excess[run] > 2 * scatter
    return found


def _smooth(power: np.ndarray, jitter: np.ndarray, keep: np.ndarray, paired: np.ndarray) -> np.ndarray:
    """Noise power that varies linearly between knots."""
    model = np.empty(power.shape)
    for c in range(power.shape[1]):
        fit = np.maximum(_fit_knots(jitter[:, c], paired[:, c]) if paired[:, c].any() else power[:, c], 0.0)
        positive = keep[:, c] & (fit > 0)
        redder = np.median(power[positive, c] / fit[positive]) if positive.any() else 1.0
        model[:, c] = fit * (redder if redder > RED else 1.0)
    return model


def _fit_knots(series: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Robust least-squares fit of a line with a knot every `KNOT` samples, evaluated everywhere."""
    n = len(series)
    if keep.sum() < 8:
        return np.full(n, np.median(series[keep]) if keep.any() else 0.0)
    n_knot = max(1, round(n / KNOT)) + 1
    place = np.linspace(0, n_knot - 1, n)
    basis = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(n_knot)))
    weight = keep.astype(float)
    fit = np.full(n, np.median(series[keep]))
    for _ in range(4):
        residual = series - fit
        scale = _spread(residual[keep])
        weight = keep * np.minimum(1, 4 * scale / np.maximum(np.abs(residual), 1e-30)) if scale > 0 else weight
        normal = basis.T @ (basis * weight[:, None]) + 1e-9 * n * np.eye(n_knot)
        fit = basis @ np.linalg.solve(normal, basis.T @ (weight * series) + 1e-9 * n * np.median(series[keep]))
    return fit


def _spread(values: np.ndarray) -> float:
    """Standard deviation from the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def _unclip(square: np.ndarray) -> np.ndarray:
    """Noise, in units of the rough sigma, whose deviations clipped at `CLIP` have this mean square."""
    noise = np.geomspace(0.02, 50, 600)
    z = CLIP / noise
    inside = erf(z / np.sqrt(2))
    clipped = noise**2 * (inside - z * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2)) + CLIP**2 * (1 - inside)
    return np.interp(square, np.concatenate([[0.0], clipped]), np.concatenate([[0.0], noise]))
