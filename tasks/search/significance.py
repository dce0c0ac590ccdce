"""From S/N to the probability that noise alone made it, given how many independent trials were searched."""

import numpy as np
from scipy.special import log_ndtr

from tasks.search.trials import Level

TIME_SHARE, DM_SHARE = 1.6, 0.6
"""Independent trials per ``samples / width``, and per DM: what 100 cubes of pure noise gave at 5 and 5.5 sigma (fits
within 20 %, for white and beam-shaped noise, 24 to 40 pixels wide, 75 to 300 samples)."""


def independent_trials(levels: list[Level], n_time: int, n_pixel: int, beam: float, snr: np.ndarray) -> np.ndarray:
    """Number of independent draws whose largest exceeds ``snr`` as often as the largest of a search does.

    ``beam`` is the FWHM of the noise's correlation between pixels. How many independent spots a smooth image has
    depends on the level: the expected number of peaks above it (Adler 1981), and never more than its pixels. A beam of
    3 pixels does not lower it at 5 sigma.
    """
    spots = n_pixel * np.minimum(1.0, 8 * np.log(2) / (2 * np.pi) * (np.asarray(snr) / beam) ** 2)
    looks = 0.0
    for level in levels:
        starts = sum(n_time / (level.factor * width) for width in level.widths)
        looks += TIME_SHARE * starts * (1 + DM_SHARE * (len(level.dms) - 1))
    return spots * looks


def false_alarm_probability(snr: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Chance that at least one of ``trials`` independent draws of N(0, 1) reaches ``snr``."""
    return -np.expm1(trials * np.log1p(-np.exp(log_ndtr(-np.asarray(snr, np.float64)))))
