"""The blind search of one cube: weights, baseline, trials, events, candidates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tasks.array.namespace import native, to_host
from tasks.search._formulas import CELL
from tasks.search.dispersion import KDM
from tasks.search.noise import Weights, fit_gain, is_point, rough_beam, rough_sigma, weigh
from tasks.search.refine import REACH, Patch, Pulse, refine
from tasks.search.sifting import Events, sift
from tasks.search.significance import false_alarm_probability, independent_trials
from tasks.search.spatial import matched_filter
from tasks.search.trials import Level, default_widths, plan_levels

COLUMNS = ("time_s", "ref_freq_mhz", "y", "x", "dm", "width_s", "snr", "trial_snr", "false_alarm_probability", "members")
COVERAGE = 0.3
"""A trial that has less than this share of its data (edge, gap, flags) is not tried: it could be anything."""

SLAB_BYTES = 64 << 20


def search(
    cube: Any,
    freqs: np.ndarray,
    dt: float,
    mask: np.ndarray | None = None,
    psf_fwhm: float | None = None,
    dm_max: float = 4000.0,
    width_max: float | None = None,
    threshold: float = 7.0,
    dms: np.ndarray | None = None,
    widths: np.ndarray | None = None,
) -> pd.DataFrame:
    """Find dispersed pulses in an image cube.

    Parameters
    ----------
    cube : (time, channel, y, x) array
        Images, any real type, in any unit.
    freqs : (channel,) float array
        Channel centres, ascending or descending [MHz].
    dt : float
        Sampling time [s].
    mask : (time, channel) or cube-shaped bool array, optional
        True where the data are valid. Samples that are not finite are never used.
    psf_fwhm : float, optional
        Beam width at the mean frequency [pixels] for images with white pixel noise; None for dirty images, whose noise
        is already correlated like the beam.
    dm_max : float
        Largest dispersion measure [pc cm^-3].
    width_max : float, optional
        Longest pulse searched [s]; by default half of the cube.
    threshold : float
        Smallest S/N of a trial that makes a candidate.
    dms, widths : arrays, optional
        Explicit trials [pc cm^-3; samples] instead of the default grids.

    Returns
    -------
    pandas.DataFrame
        One row per pulse, strongest first: ``time_s`` (centre of the pulse at ``ref_freq_mhz``, from the start of the
        first sample), ``y``, ``x`` [pixels], ``dm`` [pc cm^-3], ``width_s``, ``snr`` (matched between the trials),
        ``trial_snr`` (best trial, N(0, 1) on noise), ``false_alarm_probability`` (of one such trial anywhere in the
        cube, from noise alone), ``members`` (events merged into the row).

    Raises
    ------
    ValueError
        If shapes, frequencies, times or limits make no sense; the message says which.
    """
    data = _observe(cube, freqs, dt, mask, psf_fwhm)
    longest = width_max / dt if width_max is not None else data.x.shape[0] / 2
    trial_widths = default_widths(longest) if widths is None else tuple(int(w) for w in widths)
    levels = plan_levels(data.freqs, dt, dm_max, trial_widths, dms)
    groups, weights = _calibrate(data)
    found = [_search_group(data, group, weights, levels, threshold) for group in groups]
    events = Events(*(np.concatenate(column) for column in zip(*found, strict=True)))
    chosen, members = sift(events, data.freqs, dt, data.beam)
    pulses = [_refine_one(data, groups, weights, chosen, i) for i in range(len(chosen.snr))]
    trials = independent_trials(levels, data.x.shape[0], data.x.shape[2], 1.13 * data.beam**2)
    return _table(data, chosen, members, pulses, trials)


@dataclass(frozen=True)
class _Observation:
    x: Any  # (time, channel, pixel)
    shape: tuple[int, int]
    freqs: np.ndarray
    dt: float
    valid: np.ndarray  # (time, channel)
    patterns: list[tuple[np.ndarray, np.ndarray]]  # (pixels, valid (time, channel)) where masks differ between pixels
    beam: float


@dataclass(frozen=True)
class _Group:
    """Pixels with the same mask, and their baseline."""

    pixels: Any  # slice or indices
    valid: np.ndarray
    level: Any  # (channel, pixel)

    @property
    def indices(self) -> np.ndarray:
        return np.arange(self.pixels.start, self.pixels.stop) if isinstance(self.pixels, slice) else self.pixels


def _observe(cube, freqs, dt, mask, psf_fwhm) -> _Observation:
    freqs = _check(cube, freqs, dt, mask)
    n_time, n_channel, n_y, n_x = cube.shape
    kernels = native(cube, __package__)
    flat = cube.reshape(n_time, n_channel, n_y * n_x)
    count = to_host(kernels.count_finite(flat))
    valid = count > 0
    per_pixel = None
    if mask is not None and mask.ndim == 4:
        per_pixel = np.asarray(mask, bool).reshape(flat.shape)
        valid &= per_pixel.any(2)
    elif mask is not None:
        valid &= np.asarray(mask, bool)
    if (count[valid] < flat.shape[2]).any():
        finite = np.isfinite(to_host(flat))
        per_pixel = finite if per_pixel is None else per_pixel & finite
    if psf_fwhm is not None:
        cube = matched_filter(cube, freqs, valid, psf_fwhm)
        flat = cube.reshape(flat.shape)
    patterns = [] if per_pixel is None else _patterns(per_pixel & valid[:, :, None])
    return _Observation(flat, (n_y, n_x), freqs, dt, valid, patterns, rough_beam(flat, (n_y, n_x), valid))


def _check(cube, freqs, dt, mask) -> np.ndarray:
    freqs = np.asarray(freqs, np.float64)
    if cube.ndim != 4:
        raise ValueError(f"cube has {cube.ndim} axes, expected 4: (time, channel, y, x)")
    if freqs.shape != (cube.shape[1],):
        raise ValueError(f"freqs has shape {freqs.shape}, but cube has {cube.shape[1]} channels; give one per channel")
    steps = np.diff(freqs)
    if len(steps) and not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError("freqs neither rise nor fall throughout; sort the channels of the cube by frequency")
    if not (freqs > 0).all():
        raise ValueError(f"freqs must be positive, got a minimum of {freqs.min()} MHz; give channel centres in MHz")
    if not dt > 0:
        raise ValueError(f"dt must be positive, got {dt} s")
    if mask is not None and mask.shape not in (cube.shape, cube.shape[:2]):
        raise ValueError(
            f"mask has shape {mask.shape}, expected (time, channel) = {cube.shape[:2]} or that of the cube {cube.shape}"
        )
    return freqs


def _patterns(valid: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels sorted by their mask; pixels that are never valid are left out."""
    packed = np.packbits(valid.reshape(-1, valid.shape[2]), axis=0).T
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return [(np.flatnonzero(inverse.ravel() == i), valid[:, :, p]) for i, p in enumerate(first) if valid[:, :, p].any()]


def _calibrate(data: _Observation) -> tuple[list[_Group], Weights]:
    """Baseline of every pixel and weight of every image; again without what was excised, until nothing more is."""
    patterns = data.patterns or [(slice(0, data.x.shape[2]), data.valid)]
    sigma, flags = rough_sigma(data.x, data.valid), np.zeros_like(data.valid)
    for last in (False, False, True):
        kept = [(pixels, valid & ~flags) for pixels, valid in patterns]
        surveyed, gain = _level(data, kept, sigma)
        weights = weigh(surveyed.power, surveyed.count, sigma, data.valid & ~flags)
        groups = [_Group(pixels, valid, level) for (pixels, valid), level in zip(kept, surveyed.levels, strict=True)]
        new = _spare_bursts(data, groups, Weights(weights.u, gain, weights.flags))
        if last or not new.any():
            break
        flags = flags | new
    return groups, Weights(np.where(flags, 0.0, weights.u), gain, flags)


def _level(data: _Observation, patterns, sigma: np.ndarray) -> "tuple[_Survey, np.ndarray]":
    """Survey the cube; where steady sources show a gain drift, survey it again with the gain divided out."""
    gain = np.ones(data.x.shape[0])
    surveyed = _survey(data, patterns, gain, sigma)
    gain = fit_gain(surveyed.pattern, surveyed.source, surveyed.count > 0)
    return (_survey(data, patterns, gain, sigma) if (gain != 1).any() else surveyed), gain


def _spare_bursts(data: _Observation, groups: list[_Group], weights: Weights) -> np.ndarray:
    """The flags without those set by a bright point source."""
    flags = weights.flags.copy()
    for t in np.flatnonzero(flags.any(1)):
        channels = np.flatnonzero(flags[t])
        images = _images(data, groups, weights, t, channels)
        if len(channels) > flags.shape[1] // 2:
            flags[t] &= not is_point(images.sum(0))
        else:
            flags[t, channels] = [not is_point(image) for image in images]
    return flags


def _images(data: _Observation, groups: list[_Group], weights: Weights, t: int, channels: np.ndarray) -> np.ndarray:
    """Weighted residual images (channel, pixel) of one time."""
    out = np.zeros((len(channels), data.x.shape[2]))
    for group in groups:
        x = to_host(data.x[t][channels][:, group.pixels]).astype(np.float64)
        residual = x / weights.gain[t] - to_host(group.level[channels])
        weight = (weights.u * group.valid)[t, channels, None]
        out[:, group.pixels] = np.where(weight > 0, residual, 0.0) * weight
    return out


@dataclass
class _Survey:
    levels: list[Any]
    power: np.ndarray
    pattern: np.ndarray
    source: np.ndarray
    count: np.ndarray


def _survey(data: _Observation, patterns, gain, sigma) -> _Survey:
    kernels = native(data.x, __package__)
    total = _Survey([], *np.zeros((2, *data.valid.shape)), np.zeros(len(sigma)), np.zeros(data.valid.shape))
    for pixels, valid in patterns:
        x = data.x if isinstance(pixels, slice) else np.ascontiguousarray(data.x[:, :, pixels])
        level, power, pattern, source = kernels.survey(x, valid, gain, sigma)
        total.levels.append(level)
        total.power += power
        total.pattern += pattern
        total.source += source
        total.count += valid * x.shape[2]
    return total


def _search_group(data: _Observation, group: _Group, weights: Weights, levels: list[Level], threshold: float):
    u = weights.u * group.valid
    totals = u.sum(0)
    norms = [_normalise(u, totals, level) for level in levels]
    n_time, n_channel = u.shape
    indices = group.indices
    step = max(64, SLAB_BYTES // (4 * n_time * n_channel) // 64 * 64)
    found = []
    for start in range(0, len(indices), step):
        part = slice(start, min(start + step, len(indices)))
        x = data.x[:, :, part] if isinstance(group.pixels, slice) else data.x[:, :, indices[part]]
        found += _search_slab(data, x, group.level[:, part], u, weights.gain, indices[part], norms, levels, threshold)
    return [np.concatenate(column) for column in zip(*found, strict=True)]


def _normalise(u: np.ndarray, totals: np.ndarray, level: Level) -> tuple[int, np.ndarray]:
    """First start time and 1/sigma of every trial of ``level``."""
    from tasks.search import _cpu

    summed = u
    for _ in range(int(np.log2(level.factor))):
        summed = _cpu.halve(summed[:, :, None].astype(np.float64))[:, :, 0]
    first = -((level.reach + CELL - 1) // CELL) * CELL
    n_start = (len(summed) - first + CELL - 1) // CELL * CELL
    norm = np.zeros((len(level.dms), len(level.widths), n_start), np.float32)
    _cpu.normalise(np.ascontiguousarray(summed, np.float64), totals, level.delays, level.steps, first, n_start, COVERAGE, norm)
    return first, norm


def _search_slab(data, x, base, u, gain, indices, norms, levels, threshold):
    kernels = native(x, __package__)
    y, factor, found = kernels.condition(x, base, gain, u), 1, []
    for level, (first, norm) in zip(levels, norms, strict=True):
        while factor < level.factor:
            y, factor = kernels.halve(y), factor * 2
        best, code = kernels.detect(y, level.delays, level.steps, norm, first)
        best, code = to_host(best), to_host(code)
        cell, pixel = np.nonzero(best >= threshold)
        found.append(_decode(data, level, best[cell, pixel], code[cell, pixel], first + cell * CELL, indices[pixel]))
    return found


def _decode(data, level, snr, code, cell_start, pixel):
    width = np.array(level.widths)[code // CELL % len(level.widths)]
    dm = level.dms[code // CELL // len(level.widths)]
    at_top = (cell_start + code % CELL + width / 2) * level.factor * data.dt
    top, middle = np.max(data.freqs), np.mean(data.freqs)
    time = at_top + KDM * dm * (middle**-2.0 - top**-2.0)
    y, x = np.divmod(pixel, data.shape[1])
    return snr, time, y.astype(float), x.astype(float), dm, width * level.factor * data.dt


def _refine_one(data: _Observation, groups: list[_Group], weights: Weights, chosen: Events, i: int) -> Pulse:
    n_y, n_x = data.shape
    y, x = int(chosen.y[i]), int(chosen.x[i])
    rows = np.arange(max(0, y - REACH), min(n_y, y + REACH + 1))
    columns = np.arange(max(0, x - REACH), min(n_x, x + REACH + 1))
    pixels = (rows[:, None] * n_x + columns).ravel()
    patch, u = _patch(data, groups, weights, pixels, y * n_x + x)
    shape = (*patch.shape[:2], len(rows), len(columns))
    window = Patch(patch.reshape(shape), u, u.sum(0), (0, int(rows[0]), int(columns[0])))
    trial = Pulse(float(chosen.snr[i]), chosen.time[i] / data.dt, y, x, chosen.dm[i], chosen.width[i] / data.dt)
    return refine(trial, window, data.freqs, data.dt)


def _patch(data, groups, weights, pixels, centre):
    kernels = native(data.x, __package__)
    out = np.zeros((*data.valid.shape, len(pixels)), np.float32)
    u_centre = weights.u
    for group in groups:
        indices = group.indices
        place = np.searchsorted(indices, pixels)
        member = (place < len(indices)) & (indices[np.minimum(place, len(indices) - 1)] == pixels)
        if member.any():
            u = weights.u * group.valid
            x = np.ascontiguousarray(data.x[:, :, pixels[member]])
            out[:, :, member] = to_host(kernels.condition(x, group.level[:, place[member]], weights.gain, u))
            if centre in pixels[member]:
                u_centre = u
    return out, u_centre


def _table(data: _Observation, chosen: Events, members: np.ndarray, pulses: list[Pulse], trials: float) -> pd.DataFrame:
    probability = false_alarm_probability(chosen.snr, trials)
    rows = [
        (p.time * data.dt, float(np.mean(data.freqs)), p.y, p.x, p.dm, p.width * data.dt, p.snr, s, f, m)
        for p, s, f, m in zip(pulses, chosen.snr, probability, members, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({c: np.float64 for c in COLUMNS[:-1]} | {"members": np.int64})
    return frame.sort_values("snr", ascending=False, kind="stable", ignore_index=True)
