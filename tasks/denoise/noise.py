"""Noise per band from the covariance alone: how badly each band is predicted by all the others."""

import numpy as np

from tasks.denoise.moments import Moments

FLOOR = 1e-6
"""Least noise over a band's standard deviation: float32 cannot tell less apart."""

REFINEMENTS = 8
REFINEMENT = (0.25, 1.05)
"""Bounds of the refined variance over that of the regression, which errs upwards."""


def covariance(moments: Moments) -> tuple[np.ndarray, np.ndarray, int]:
    """Covariance (band, band), mean (band,) and the number of pixels they rest on.

    Uses complete pixels alone when there are enough of them, else also the interpolated ones.
    """
    count, total, square = moments.count, moments.total, moments.square
    n_band = len(total)
    if count < max(4 * n_band, 0.1 * (moments.pixels - moments.empty)):
        count = count + moments.filled_count
        total, square = total + moments.filled_total, square + moments.filled_square
    mean = total / max(count, 1)
    return square / max(count, 1) - np.outer(mean, mean), mean, int(count)


def regression_sigma(cov: np.ndarray, count: int) -> np.ndarray:
    """Standard deviation of the noise of each band, by regressing it on all others.

    Parameters
    ----------
    cov : (band, band) float64 array
        Covariance of bands that vary.
    count : int
        Pixels behind it; more than bands.

    Returns
    -------
    (band,) float64 array
        In the unit of the cube.

    Notes
    -----
    With P = cov^-1 the residual of band i is Y P_i / P_ii, so its variance is 1 / P_ii: no pass over the pixels.
    The divisor corrects for the coefficients that the regression fits.

    References
    ----------
    Bioucas-Dias & Nascimento, IEEE TGRS 46(8), 2008 (HySime).
    """
    spread = np.sqrt(np.diag(cov))
    correlation = cov / np.outer(spread, spread)
    eigenvalues, vectors = np.linalg.eigh(correlation)
    inverse = (vectors / np.maximum(eigenvalues, FLOOR**2)) * vectors
    free = max(count - len(cov), 1) / count
    relative = 1.0 / np.sqrt(inverse.sum(1) * free)
    return spread * np.clip(relative, FLOOR, 1.0)


def refined_sigma(cov: np.ndarray, sigma: np.ndarray, count: int) -> np.ndarray:
    """``sigma`` with the signal that regression mistook for noise taken out, by principal factors.

    What the components above the noise explain of a band's variance is signal, the rest is noise; alternating this
    with the whitening converges in a few steps. With few bands regression overestimates by up to 20 %, which this
    removes; it may correct the regression only within `REFINEMENT`.

    References
    ----------
    Harman, Modern Factor Analysis (1976), ch. 8 (principal factors, iterated communalities).
    """
    start, variance = sigma**2, sigma**2
    for _ in range(REFINEMENTS):
        scale = np.sqrt(variance)
        values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
        signal = np.maximum(values - 1.0, 0.0) * (values > noise_edge(len(values), count))
        left = variance * (np.diag(cov) / variance - (vectors**2 * signal).sum(1))
        refined = np.clip(left, REFINEMENT[0] * start, REFINEMENT[1] * start)
        settled = np.abs(refined / variance - 1).max() < 0.01
        variance = refined
        if settled:
            break
    return np.sqrt(variance)


def noise_edge(n_band: int, count: int) -> float:
    """Largest eigenvalue that the covariance of white noise of unit variance shows (Marchenko & Pastur 1967)."""
    return float((1.0 + np.sqrt(n_band / count)) ** 2)
