"""Fold the light curves of pixels of interest."""

import numpy as np
from prefect import task

from storage.product import Product
from tasks.search.calibration import stretches
from tasks.search.folding import Fold, dedispersed, search_periods
from tasks.search.noise import Weights
from tasks.search.steps.observation import Observation


@task
def fold_pixels(
    seen: Observation,
    baseline: Product,
    flags: Product,
    weights: Weights,
    wanted: list[tuple[int, int, float]],
    shortest: float,
    longest: float,
) -> dict[tuple[int, int, float], Fold]:
    """Fold the dedispersed light curve of every (y, x, DM) at all periods."""
    parts, folds, curves = stretches(seen.shape[0]), {}, {}
    for y, x, dm in wanted:
        if (y, x) not in curves:
            curves[y, x] = _light_curve(seen, baseline, weights, parts, y, x)
        residuals, used = curves[y, x]
        series, weight = dedispersed(residuals, used, seen.freqs, seen.dt, dm)
        folds[y, x, dm] = search_periods(series, weight, seen.dt, shortest, longest)
    return folds


def _light_curve(
    seen: Observation, baseline: Product, weights: Weights, parts: list[slice], y: int, x: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted residuals and weights (time, channel) of one pixel."""
    residuals, used = np.zeros(seen.shape[:2]), np.zeros(seen.shape[:2])
    row, column = slice(y, y + 1), slice(x, x + 1)
    for i, part in enumerate(parts):
        values, valid = seen.read(part, row, column)
        level = baseline.read((slice(i, i + 1), slice(0, seen.shape[1]), row, column)).reshape(1, -1)
        used[part] = weights.u[part] * valid[:, :, 0]
        residual = np.where(valid[:, :, 0], values[:, :, 0].astype(np.float64), 0) / weights.gain[part, None] - level
        residuals[part] = residual * used[part]
    return residuals, used
