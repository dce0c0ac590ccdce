"""Periodic pulses: the fast folding algorithm, every period once, with weights for gaps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.search.dispersion import dispersion_delays
from tasks.search.significance import false_alarm_probability

BINS = 32
"""Phase bins of the shortest period of an octave; the longest has twice as many."""

BURST = 3.0
"""Samples count as this many sigma at most; a periodic signal worth folding is fainter in each of its pulses."""


@dataclass(frozen=True)
class Fold:
    """Best trial of each base period: arrays of equal length, ``profile`` of the best of all."""

    period_s: np.ndarray
    snr: np.ndarray
    duty: np.ndarray
    phase: np.ndarray
    trials: int
    profile: np.ndarray


def fast_fold(rows: np.ndarray) -> np.ndarray:
    """Sums of ``rows`` (turn, bin) with every drift of 0 to ``turn - 1`` bins from first row to last (Staelin 1969).

    The number of turns is a power of two. Row ``s`` of the result is folded at a period of ``bin + s / (turn - 1)`` bins.
    """
    sums, bins = rows[:, None, :], np.arange(rows.shape[1])
    while len(sums) > 1:
        drift = np.arange(2 * sums.shape[1])
        late = (bins + ((drift + 1) // 2)[:, None]) % len(bins)
        sums = sums[0::2, drift // 2] + sums[1::2, (drift // 2)[:, None], late]
    return sums[0]


def search_periods(series: np.ndarray, weight: np.ndarray, dt: float, shortest: float, longest: float) -> Fold:
    """Fold a series at all periods from ``shortest`` to ``longest`` [s].

    Parameters
    ----------
    series, weight : (time,) float arrays
        Weighted deviations from the mean (signal / sigma^2) and the weights (1 / sigma^2), zero where masked.
    dt : float
        Sampling time [s].

    Raises
    ------
    ValueError
        If the range is empty, a period has fewer than four samples, or the series does not hold four of the longest.
    """
    if not 4 * dt <= shortest < longest <= len(series) * dt / 4:
        raise ValueError(
            f"periods from {shortest:.4g} to {longest:.4g} s were asked for, expected at least 4 samples ({4 * dt:.4g} s) "
            f"and at most a quarter of the series ({len(series) * dt / 4:.4g} s); change the range"
        )
    series = _without_bursts(series, weight)
    found, trials, best = [], 0, (0.0, np.zeros(1))
    rebin = max(1, int(shortest / dt / BINS))
    while True:
        first = int(np.ceil(max(shortest / dt / rebin, BINS if rebin > 1 else 4)))
        last = int(min(longest / dt / rebin, 2 * BINS))
        x, v = _rebinned(series, rebin), _rebinned(weight, rebin)
        for bins in range(first, last + 1):
            row, tried, profile = _fold_base(x, v, bins)
            found.append((row[0] * dt * rebin, *row[1:]))
            trials += tried
            best = (row[1], profile) if row[1] > best[0] else best
        if 2 * BINS * dt * rebin >= longest:
            break
        rebin *= 2
    period, snr, duty, phase = np.array(found).T if found else np.zeros((4, 0))
    return Fold(period, snr, duty, phase, trials, best[1])


def _without_bursts(series: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Samples clipped at `BURST` sigma: a single burst, however bright, must not look periodic."""
    limit = BURST * np.sqrt(weight)
    return np.clip(series, -limit, limit)


def _rebinned(series: np.ndarray, n: int) -> np.ndarray:
    return series[: len(series) // n * n].reshape(-1, n).sum(1)


def _fold_base(x: np.ndarray, v: np.ndarray, bins: int) -> tuple[tuple[float, float, float, float], int, np.ndarray]:
    """Best of all drifts and widths at one base period, in bins."""
    turns = -(-len(x) // bins)
    rows = 1 << int(np.ceil(np.log2(max(2, turns))))
    padded = np.zeros((2, rows * bins))
    padded[0, : len(x)], padded[1, : len(v)] = x, v
    signal, weight = (fast_fold(p.reshape(rows, bins)) for p in padded)
    best, tried, width = (bins, 0.0, 0.0, 0.0), 0, 1
    where = 0
    while width <= max(1, bins // 3):
        snr = _box_snr(signal, weight, width)
        tried += snr.size // width
        drift, phase = np.unravel_index(int(np.argmax(snr)), snr.shape)
        if snr[drift, phase] > best[1]:
            where = int(drift)
            period = bins + drift / (rows - 1)
            best = (period, float(snr[drift, phase]), width / bins, ((phase + width / 2) % bins) / bins)
        width = max(width + 1, int(width * 1.5))
    mean = signal[where] / np.sqrt(np.maximum(weight[where], 1e-30))
    return best, tried, mean


def _box_snr(signal: np.ndarray, weight: np.ndarray, width: int) -> np.ndarray:
    """S/N of a pulse ``width`` bins wide above the rest of the turn, for every drift and phase."""
    inside, share = _box(signal, width), _box(weight, width)
    whole, total = signal.sum(1, keepdims=True), weight.sum(1, keepdims=True)
    variance = share * (1 - share / np.maximum(total, 1e-30))
    excess = inside - whole * share / np.maximum(total, 1e-30)
    return np.where(variance > 1e-3 * total / signal.shape[1], excess / np.sqrt(np.maximum(variance, 1e-30)), 0.0)


def _box(values: np.ndarray, width: int) -> np.ndarray:
    around = np.concatenate([np.zeros((len(values), 1)), np.cumsum(np.hstack([values, values[:, :width]]), 1)], 1)
    return around[:, width : width + values.shape[1]] - around[:, : values.shape[1]]


def dedispersed(y: np.ndarray, u: np.ndarray, freqs: np.ndarray, dt: float, dm: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums over channels (time,) of weighted residuals and weights (time, channel), referred to the mean frequency."""
    shift = np.rint(dispersion_delays(freqs, dm, reference=float(np.mean(freqs)))[0] / dt).astype(int)
    series, weight = np.zeros(len(y)), np.zeros(len(y))
    for c, late in enumerate(shift):
        source = np.arange(len(y)) + late
        inside = (source >= 0) & (source < len(y))
        series[inside] += y[source[inside], c]
        weight[inside] += u[source[inside], c]
    return series, weight


def strongest(folds: dict[tuple[int, int, float], Fold], threshold: float) -> pd.DataFrame:
    """Periods above ``threshold``, one per pixel and DM and without their neighbours; the probability counts all trials."""
    trials, rows = sum(f.trials for f in folds.values()), []
    for (y, x, dm), fold in folds.items():
        left = fold.snr.copy()
        while left.size and left.max() >= threshold:
            i = int(left.argmax())
            p = float(false_alarm_probability(left[i], np.array(trials)))
            rows.append((y, x, dm, fold.period_s[i], left[i], fold.duty[i], fold.phase[i], p))
            left[_related(fold.period_s, fold.period_s[i])] = 0
    columns = ["y", "x", "dm", "period_s", "snr", "duty_cycle", "phase", "false_alarm_probability"]
    return pd.DataFrame(rows, columns=columns).sort_values("snr", ascending=False, ignore_index=True)


def _related(periods: np.ndarray, period: float) -> np.ndarray:
    """Periods that are a simple fraction or multiple of ``period``."""
    ratio = periods / period
    simple = np.array([a / b for a in range(1, 9) for b in range(1, 9)])
    return np.asarray((np.abs(ratio[:, None] / simple - 1) < 0.02).any(1))
