"""The blind search of one cube: weights, baseline, trials, events, candidates."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tasks.array.namespace import native, to_host
from tasks.search.calibration import calibrate, calibration, patterns, residual_images, stretches, survey
from tasks.search.candidates import candidates
from tasks.search.hunt import Block, SearchPlan, hunt
from tasks.search.noise import Weights, rough_beam, rough_sigma, scan_times
from tasks.search.sifting import join_events, sift
from tasks.search.spatial import make_beam, matched_filter
from tasks.search.trials import check_memory, default_widths, plan_levels
from tasks.search.values import readable

WIDEST = 8192
"""Longest boxcar [samples]: the coarsest cell of start times then still divides a stretch."""


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
        cube, from noise alone), ``members`` (events merged into the row). ``attrs["complete_up_to_dm"]`` is the largest
        DM trial whose delay across the band fits into the cube.

    Raises
    ------
    ValueError
        If shapes, frequencies, times or limits make no sense; the message says which.
    """
    sky = _Sky(cube, _check(cube, freqs, dt, mask), mask, psf_fwhm)
    plan = make_plan(cube.shape, sky.freqs, dt, threshold, dm_max, width_max, dms, widths)
    calibrated = [_calibrate(sky, stretch) for stretch in stretches(cube.shape[0])]
    weights = join_weights([weights for weights, _ in calibrated])
    plan = replace(plan, typical=typical_weight(weights.u))
    levels = [level for _, level in calibrated]
    blocks = [
        _block(sky, plan, weights, levels, i, np.arange(cube.shape[2] * cube.shape[3])) for i in range(len(levels))
    ]
    events = join_events([hunt(plan, block) for block in blocks])
    everything = slice(0, cube.shape[0])
    beam = rough_beam(sky.sample(everything), sky.valid[scan_times(cube.shape[0])])
    chosen, groups = sift(events, plan.freqs, plan.dt, beam)
    members = np.array([len(group) for group in groups], np.int64)
    return candidates(plan, chosen, members, beam, lambda pixels, i: _block(sky, plan, weights, levels, i, pixels))


def make_plan(
    shape: tuple[int, ...],
    freqs: np.ndarray,
    dt: float,
    threshold: float,
    dm_max: float,
    width_max: float | None = None,
    dms: Any = None,
    widths: Any = None,
) -> SearchPlan:
    """The trials for an observation of ``shape`` (time, channel, y, x); the other parameters are those of `search`."""
    if not dm_max >= 0:
        raise ValueError(f"dm_max must not be negative, got {dm_max} pc cm^-3")
    longest = width_max / dt if width_max is not None else shape[0] / 2
    chosen = default_widths(min(longest, WIDEST)) if widths is None else tuple(int(w) for w in widths)
    if min(chosen) < 1 or max(chosen) > WIDEST:
        raise ValueError(f"widths reach from {min(chosen)} to {max(chosen)} samples, expected 1 to {WIDEST}")
    n_time, n_channel, n_y, n_x = shape
    levels = plan_levels(freqs, dt, dm_max, chosen, None if dms is None else np.asarray(dms, np.float64))
    check_memory(levels, max(s.stop - s.start for s in stretches(n_time)))
    return SearchPlan(freqs, float(dt), (n_time, n_channel, n_y, n_x), levels, float(threshold), np.ones(len(freqs)))


class _Sky:
    """The cube as the search sees it: flat pixels, matched filter applied, masks known."""

    def __init__(self, cube: Any, freqs: np.ndarray, mask: np.ndarray | None, psf_fwhm: float | None):
        self.freqs, self.shape, cube = freqs, cube.shape, readable(cube)
        flat = cube.reshape(*cube.shape[:2], -1)
        count = to_host(native(cube, __package__).count_finite(flat))
        self.valid, self.per_pixel = count > 0, None
        if mask is not None and mask.ndim == 4:
            self.per_pixel = np.asarray(mask, bool).reshape(flat.shape)
            self.valid &= self.per_pixel.any(2)
        elif mask is not None:
            self.valid &= np.asarray(mask, bool)
        if (count[self.valid] < flat.shape[2]).any():
            finite = np.isfinite(to_host(flat))
            self.per_pixel = finite if self.per_pixel is None else self.per_pixel & finite
        if psf_fwhm is not None:
            beam, everything = make_beam(freqs, psf_fwhm, cube.shape[2:]), slice(None)
            flat = matched_filter(cube, self.valid, beam, everything, everything).reshape(flat.shape)
        self.x = flat

    def masks(self, times: slice, pixels: Any = slice(None)) -> np.ndarray | None:
        """Per-pixel masks of ``times``, where masks differ between pixels."""
        return None if self.per_pixel is None else self.per_pixel[times][:, :, pixels]

    def sample(self, times: slice) -> np.ndarray:
        """The few images of ``times`` that tell the rough noise and the beam (time, channel, y, x)."""
        chosen = scan_times(times.stop - times.start) + times.start
        images = self.x[times] if len(chosen) == times.stop - times.start else self.x[chosen]  # a view where all count
        return to_host(images).reshape(-1, *self.shape[1:])


def _calibrate(sky: _Sky, times: slice) -> tuple[Weights, Any]:
    """Weights of one stretch, and its baseline (channel, pixel)."""
    x, valid, masks = sky.x[times], sky.valid[times], sky.masks(times)
    groups, kept = patterns(valid, masks, x.shape[2]), {}
    chosen = scan_times(len(valid))
    sigma = rough_sigma(sky.sample(times), valid[chosen])

    def run_survey(gain: np.ndarray, flags: np.ndarray):
        kept["level"], sums = survey(x, groups, flags, gain, sigma)
        return sums

    def images(t: int, channels: np.ndarray, gain: np.ndarray):
        mask = None if masks is None else masks[t][channels]
        return residual_images(x[t][channels], kept["level"][channels], mask, gain[t])

    return calibrate(calibration(sigma, len(valid), images), run_survey), kept["level"]


def join_weights(parts: list[Weights]) -> Weights:
    """The weights of all stretches in one."""
    return Weights(*(np.concatenate([getattr(p, name) for p in parts]) for name in Weights.__dataclass_fields__))


def typical_weight(u: np.ndarray) -> np.ndarray:
    """Median weight per channel over the samples that count."""
    return np.array([np.median(w[w > 0]) if (w > 0).any() else 0.0 for w in u.T])


def _block(sky: _Sky, plan: SearchPlan, weights: Weights, levels: list[Any], i: int, pixels: np.ndarray) -> Block:
    cores = stretches(plan.shape[0])
    times = plan.read(cores[i])
    everything = len(pixels) == sky.x.shape[2]
    x = sky.x[times] if everything else np.ascontiguousarray(sky.x[times][:, :, pixels])
    part = slice(None) if everything else pixels
    totals = np.stack([weights.u[core].sum(0) for core in cores[i : i + 2]])
    groups = patterns(sky.valid[times], sky.masks(times, part), x.shape[2])
    seam = min(cores[i].stop, times.stop) - times.start
    return Block(
        cores[i],
        seam,
        x,
        [level[:, part] for level in levels[i : i + 2]],
        totals,
        weights.gain[times],
        weights.u[times],
        groups,
        pixels,
    )


def _check(cube: Any, freqs: np.ndarray, dt: float, mask: np.ndarray | None) -> np.ndarray:
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
