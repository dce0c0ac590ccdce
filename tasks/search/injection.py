"""Simulated pulses off every grid, added to real data: the measure of what a search finds."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta, qmc

from tasks.search.dispersion import band_delay, dispersion_delays

N_SUB = 8


@dataclass(frozen=True)
class Injected:
    """One pulse: ``time`` (centre at the mean frequency), ``width`` and ``scattering`` (at the mean frequency) in seconds.

    ``amplitude`` is the flux of the plateau at the mean frequency, in the units of the data.
    """

    time: float
    y: float
    x: float
    dm: float
    width: float
    scattering: float
    spectral_index: float
    amplitude: float
    ideal_snr: float
    index: int = 0
    """Place in the Sobol sequence that it was drawn from."""

    @property
    def fluence(self) -> float:
        """Flux times time [data units * s]."""
        return self.amplitude * self.width


@dataclass(frozen=True)
class Ranges:
    """What pulses are drawn from: logarithmic in width and scattering, uniform in everything else."""

    snr: tuple[float, float] = (5.0, 20.0)
    dm_max: float = 4000.0
    width_s: tuple[float, float] = (0.1, 10.0)
    scattering_s: tuple[float, float] = (0.001, 0.3)
    spectral_index: tuple[float, float] = (-3.0, 3.0)


def draw(
    n: int,
    seed: int,
    shape: tuple[int, ...],
    freqs: np.ndarray,
    dt: float,
    sigma: np.ndarray,
    beam: float,
    ranges: Ranges,
    first: int = 0,
) -> list[Injected]:
    """At most ``n`` pulses from a Sobol sequence, from its point ``first`` on; those that would meet an earlier one are left out.

    ``sigma`` (channel,) is the noise of a sample where the matched filter has its peak; ``beam`` its FWHM [pixels].
    """
    sobol = qmc.Sobol(8, seed=seed)  # pyright: ignore[reportCallIssue] - a decorator hides it
    samples = sobol.random(int(2 ** np.ceil(np.log2(max(2, first + n)))))[first : first + n]
    chosen: list[Injected] = []
    for index, u in enumerate(samples, first):
        width = _log_between(u[0], ranges.width_s)
        dm, length = u[1] * ranges.dm_max, shape[0] * dt
        reach = band_delay(freqs) * dm + width
        if reach > 0.8 * length:
            continue
        time = reach / 2 + u[2] * (length - reach)
        y, x = u[3] * (shape[2] - 1), u[4] * (shape[3] - 1)
        pulse = Injected(
            time,
            y,
            x,
            dm,
            width,
            _log_between(u[5], ranges.scattering_s),
            ranges.spectral_index[0] + u[6] * np.ptp(ranges.spectral_index),
            1.0,
            1.0,
            index,
        )
        if all(_apart(pulse, other, freqs, beam) for other in chosen):
            chosen.append(_scaled(pulse, ranges.snr[0] + u[7] * np.ptp(ranges.snr), shape[0], freqs, dt, sigma))
    return chosen


def _log_between(u: float, limits: tuple[float, float]) -> float:
    return float(limits[0] * (limits[1] / limits[0]) ** u)


def _apart(a: Injected, b: Injected, freqs: np.ndarray, beam: float) -> bool:
    tracks = band_delay(freqs) * (a.dm + b.dm) / 2 + a.width + b.width
    return bool(np.hypot(a.y - b.y, a.x - b.x) > 4 * beam or abs(a.time - b.time) > tracks)


def _scaled(pulse: Injected, snr: float, n_time: int, freqs: np.ndarray, dt: float, sigma: np.ndarray) -> Injected:
    usable = sigma > 0
    shape = profile(pulse, n_time, freqs, dt)[:, usable] / sigma[usable]
    amplitude = snr / np.sqrt((shape**2).sum())
    return replace(pulse, amplitude=float(amplitude), ideal_snr=float(snr))


def profile(pulse: Injected, n_time: int, freqs: np.ndarray, dt: float) -> np.ndarray:
    """Mean flux (time, channel) of the pulse: smeared within samples and channels, scattered as frequency^-4."""
    spacing = float(np.median(np.abs(np.diff(freqs)))) if len(freqs) > 1 else 0.0
    middle = float(np.mean(freqs))
    sub = (np.asarray(freqs)[:, None] + spacing * ((np.arange(N_SUB) + 0.5) / N_SUB - 0.5)).ravel()
    late = dispersion_delays(sub, pulse.dm, reference=middle)[0]
    start = pulse.time - pulse.width / 2 + late
    tau = pulse.scattering * (sub / middle) ** -4.0
    edges = np.arange(n_time + 1)[:, None] * dt - start
    total = _swept(edges, tau) - _swept(edges - pulse.width, tau)
    flux = (np.diff(total, axis=0) / dt) * (sub / middle) ** pulse.spectral_index
    return pulse.amplitude * flux.reshape(n_time, len(freqs), N_SUB).mean(2)


def _swept(t: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Integral of a step that an exponential of time ``tau`` has smoothed."""
    after = np.maximum(t, 0)
    return after - tau * -np.expm1(-after / tau)


def add_pulses(
    cube: np.ndarray, pulses: list[Injected], freqs: np.ndarray, dt: float, beam: float, corner: tuple[int, int, int]
) -> np.ndarray:
    """``cube`` (time, channel, y, x) as float32 with the pulses added; ``corner`` is the index of its first element."""
    out = cube.astype(np.float32)
    n_time, t0 = cube.shape[0], corner[0]
    rows = corner[1] + np.arange(cube.shape[2])[:, None]
    columns = corner[2] + np.arange(cube.shape[3])
    fwhm = beam * np.mean(freqs) / np.asarray(freqs)
    for pulse in pulses:
        distance = (rows - pulse.y) ** 2 + (columns - pulse.x) ** 2
        if distance.min() < (4 * fwhm.max()) ** 2:
            moved = replace(pulse, time=pulse.time - t0 * dt)
            flux = profile(moved, n_time, freqs, dt)
            spot = np.exp(-4 * np.log(2) * distance / fwhm[:, None, None] ** 2)
            out += (flux[:, :, None, None] * spot).astype(np.float32)
    return out


def matches(pulses: list[Injected], found: pd.DataFrame, freqs: np.ndarray, dt: float) -> list[Any]:
    """The label in ``found`` of the candidate that is each pulse, or None: one each, the strongest first on both sides.

    A candidate matches within half a beam of 3 pixels, within the pulse's length in time at the mean frequency, and in
    DM where the error moves the ends of the band by no more than the pulse's length and a sample.
    """
    used: set[Any] = set()
    chosen: list[Any] = [None] * len(pulses)
    for i in sorted(range(len(pulses)), key=lambda i: -pulses[i].ideal_snr):
        p = pulses[i]
        length = p.width + 2 * p.scattering
        near = np.hypot(found["y"] - p.y, found["x"] - p.x) <= 1.5
        timely = (found["time_s"] - p.time).abs() <= max(dt, length)
        alike = (found["dm"] - p.dm).abs() * band_delay(freqs) <= length + dt
        matching = [k for k in found.index[near & timely & alike] if k not in used]
        if matching:
            chosen[i] = max(matching, key=lambda k: found["snr"][k])
            used.add(chosen[i])
    return chosen


def completeness(values: np.ndarray, found: np.ndarray, edges: np.ndarray) -> dict[str, np.ndarray]:
    """Found fraction per bin of ``values`` with its 68 % interval (Clopper and Pearson 1934), and the number tried."""
    bins = np.clip(np.digitize(values, edges) - 1, 0, len(edges) - 2)
    n = np.bincount(bins, minlength=len(edges) - 1)
    k = np.bincount(bins, weights=found, minlength=len(edges) - 1)
    fraction = np.divide(k, n, out=np.full(len(n), np.nan), where=n > 0)
    low = np.where(k > 0, beta.ppf(0.16, np.maximum(k, 1e-9), n - k + 1), 0.0)
    high = np.where(k < n, beta.ppf(0.84, k + 1, np.maximum(n - k, 1e-9)), 1.0)
    return {"fraction": fraction, "low": low, "high": high, "tried": n}
