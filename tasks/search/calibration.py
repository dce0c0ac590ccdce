"""Calibrate a stretch of data: repeat the survey until gain, interference and baseline agree with each other."""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from tasks.array.namespace import native, to_host
from tasks.search.noise import Sums, Weights, fit_gain, is_point, weigh

STRETCH = 8192
"""Samples whose mean level is one baseline: long against the widest pulse, short against a night. The stretches lie on
a fixed lattice from the first sample, so that nothing depends on how the data were chunked."""

PASSES = 4

Patterns = list[tuple[Any, np.ndarray]]
"""Pixels (slice or indices) and the (time, channel) samples valid in all of them."""


def stretches(n_time: int) -> list[slice]:
    """The stretches of ``n_time`` samples; a last one shorter than half joins its neighbour."""
    n = max(1, (n_time + STRETCH // 2) // STRETCH)
    return [slice(i * STRETCH, (i + 1) * STRETCH if i < n - 1 else n_time) for i in range(n)]


def patterns(valid: np.ndarray, per_pixel: np.ndarray | None, n_pixel: int) -> Patterns:
    """Group pixels by mask: one group where no mask differs, none for pixels that are never valid.

    ``valid`` is (time, channel), ``per_pixel`` (time, channel, pixel).
    """
    if per_pixel is None:
        return [(slice(0, n_pixel), valid)]
    both = per_pixel & valid[:, :, None]
    common = both[:, :, 0]
    if (both == common[:, :, None]).all():
        return [(slice(0, n_pixel), common)]
    packed = np.ascontiguousarray(np.packbits(both.reshape(-1, n_pixel), axis=0).T)
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return [(np.flatnonzero(inverse.ravel() == i), both[:, :, p]) for i, p in enumerate(first) if both[:, :, p].any()]


def mask_patterns(valid: np.ndarray) -> Patterns:
    """The groups of a mask (time, channel, pixel); where nothing is masked it is read once and not copied."""
    if valid.all():
        return [(slice(0, valid.shape[2]), np.ones(valid.shape[:2], bool))]
    return patterns(np.asarray(valid.any(2)), valid, valid.shape[2])


def survey(x: Any, groups: Patterns, flags: np.ndarray, gain: np.ndarray, sigma: np.ndarray) -> tuple[Any, Sums]:
    """Baseline (channel, pixel) and sums of ``x`` (time, channel, pixel), without the flagged samples."""
    kernels, total, levels = native(x, __package__), Sums.zeros(*x.shape[:2]), None
    for pixels, valid in groups:
        kept = valid & ~flags
        part = x if isinstance(pixels, slice) else x[:, :, pixels]
        level, power, jitter, pattern, source = kernels.survey(part, kept, gain, sigma)
        pairs = kept & np.vstack([np.zeros_like(kept[:1]), kept[:-1]])
        n_pixel = float(part.shape[2])
        total.add(Sums(power, jitter, pattern, source, kept * n_pixel, pairs * n_pixel))
        if isinstance(pixels, slice):
            return level, total
        levels = np.zeros(x.shape[1:], np.float32) if levels is None else levels
        levels[:, pixels] = level
    return np.zeros(x.shape[1:], np.float32) if levels is None else levels, total


Images = Callable[[int, np.ndarray, np.ndarray], np.ndarray]
Calibration = Generator[tuple[np.ndarray, np.ndarray], Sums, Weights]


def calibration(sigma: np.ndarray, n_time: int, images: Images) -> Calibration:
    """Work out gain, flags and weights of one stretch.

    A generator: it asks for surveys by yielding ``(gain, flags)``, wants to be sent their `Sums` over all pixels, and
    returns the `Weights` that belong to the last survey it asked for.

    Parameters
    ----------
    sigma : (channel,) float array
        Rough noise.
    n_time : int
        Length of the stretch.
    images : function of (time, channels, gain)
        Residual images (channel, pixel) at one time, with the baseline of the latest survey.
    """
    gain, flags = np.ones(n_time), np.zeros((n_time, len(sigma)), bool)
    for attempt in range(PASSES):
        sums = yield gain, flags
        correction = fit_gain(sums.pattern, sums.source, sums.count > 0)
        weights = weigh(sums, sigma)
        if attempt == PASSES - 1:
            break
        if attempt < 2 and np.abs(correction - 1).max() > 1e-3:
            gain = gain * correction
            continue
        new = _spare_bursts(weights, images, gain)
        if not new.any():
            break
        flags = flags | new
    return Weights(np.where(flags, 0.0, weights.u), gain, flags)


def calibrate(steps: Calibration, run_survey: Callable[[np.ndarray, np.ndarray], Sums]) -> Weights:
    """Run a calibration to its end, surveying with ``run_survey(gain, flags)``."""
    wanted = next(steps)
    while True:
        try:
            wanted = steps.send(run_survey(*wanted))
        except StopIteration as end:
            return end.value


def _spare_bursts(weights: Weights, images: Images, gain: np.ndarray) -> np.ndarray:
    """The new flags without those that a bright point source set."""
    flags = weights.flags.copy()
    for t in np.flatnonzero(flags.any(1)):
        channels = np.flatnonzero(flags[t])
        residual = images(int(t), channels, gain) * weights.u[t, channels, None]
        if len(channels) > flags.shape[1] // 2:
            flags[t] &= not is_point(residual.sum(0))
        else:
            flags[t, channels] = [not is_point(image) for image in residual]
    return flags


def residual_images(x: Any, level: Any, per_pixel: np.ndarray | None, gain: float) -> np.ndarray:
    """Residuals (channel, pixel) of one time; zero where masked or not finite."""
    residual = to_host(x).astype(np.float64) / gain - to_host(level)
    usable = np.isfinite(residual) if per_pixel is None else np.isfinite(residual) & per_pixel
    return np.where(usable, residual, 0.0)
