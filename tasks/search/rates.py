"""Rates of bursts on the sky: Poisson limits from what was watched, how long, how deep, and how completely."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2


def upper_limit(n_events: int, confidence: float) -> float:
    """Largest mean number of events that gives at most ``n_events`` with probability 1 - ``confidence``.

    The classical Poisson limit (Gehrels 1986): 3.0 events for none seen at 95 %.
    """
    return float(chi2.ppf(confidence, 2 * (n_events + 1)) / 2)


def snr_of(fluence: np.ndarray, width: np.ndarray, noise: float, n_channel: int, dt: float) -> np.ndarray:
    """S/N of an ideal search for boxcar pulses of ``fluence`` [noise units * s] and ``width`` [s]."""
    samples = np.maximum(width, dt) / dt
    return fluence / np.maximum(width, dt) * np.sqrt(n_channel * samples) / noise


def interpolate_completeness(snr: np.ndarray, edges: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Completeness at ``snr`` from a measured curve, made to rise with S/N; zero below its first bin."""
    known = np.isfinite(fraction)
    middle = (edges[1:] + np.minimum(edges[:-1] * 1.2 + 1, edges[1:])) / 2
    middle = np.where(np.isfinite(middle) & (middle < 1e6), middle, edges[:-1])
    rising = np.maximum.accumulate(fraction[known])
    return np.interp(snr, middle[known], rising, left=0.0)


def limits(
    exposures: list[dict],
    n_events: int,
    confidence: float,
    fluences: np.ndarray,
    widths: np.ndarray,
    curve: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """Upper limit on the rate (width, fluence) [deg^-2 h^-1]; infinite where nothing could have been seen.

    ``exposures`` are rows with area_deg2, seconds, threshold, noise, n_channel, dt_s, width_max_s; ``curve`` the edges
    and fractions of a measured completeness, without which everything at the threshold or above counts as found.
    """
    watched = np.zeros((len(widths), len(fluences)))
    for row in exposures:
        snr = snr_of(fluences[None], widths[:, None], row["noise"], row["n_channel"], row["dt_s"])
        found = (snr >= row["threshold"]) * 1.0 if curve is None else interpolate_completeness(snr, *curve)
        found = found * (widths[:, None] <= row["width_max_s"])
        watched += found * row["area_deg2"] * row["seconds"] / 3600.0
    with np.errstate(divide="ignore"):
        return upper_limit(n_events, confidence) / watched


def rate_table(
    exposures: list[dict[str, Any]], params: Any, curve: tuple[np.ndarray, np.ndarray] | None
) -> pd.DataFrame:
    """Limits on a grid of widths and fluences around what the exposures can see."""
    widest, dt = max(row["width_max_s"] for row in exposures), min(row["dt_s"] for row in exposures)
    widths = np.geomspace(dt, widest, 7)
    row = exposures[0]
    faintest = row["threshold"] * row["noise"] * np.sqrt(dt * dt / row["n_channel"])
    fluences = np.geomspace(faintest / 2, faintest * 300, 40)
    rates = limits(exposures, params.n_bursts, params.confidence, fluences, widths, curve)
    w, f = np.meshgrid(widths, fluences, indexing="ij")
    units = row["units"]
    table = pd.DataFrame({"width_s": w.ravel(), "fluence": f.ravel(), "rate_limit": rates.ravel()})
    return table.assign(fluence_unit=f"{units} s", rate_unit="deg^-2 h^-1")
