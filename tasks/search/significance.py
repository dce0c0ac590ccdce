"""From S/N to the probability that noise alone made it, given how many independent trials were searched."""

import numpy as np
from scipy.special import log_ndtr

from tasks.search.trials import Level

TIME_SHARE, DM_SHARE, BEAM_SHARE = 1.0, 0.6, 0.6
"""Independent trials per (samples / width), per DM and width, and per beam area: fits to pure noise (tests/search)."""


def independent_trials(levels: list[Level], n_time: int, n_pixel: int, beam: float) -> float:
    """Number of independent noise trials that a search of ``n_time`` samples and ``n_pixel`` pixels amounts to.

    ``beam`` is the area over which the noise of an image is correlated [pixels].
    """
    spots = max(1.0, n_pixel / max(1.0, beam * BEAM_SHARE))
    looks = 0.0
    for level in levels:
        per_width = [n_time / (level.factor * width) for width in level.widths]
        looks += TIME_SHARE * sum(per_width) * (1 + DM_SHARE * (len(level.dms) - 1))
    return spots * looks


def false_alarm_probability(snr: np.ndarray, trials: float) -> np.ndarray:
    """Chance that at least one of ``trials`` independent draws of N(0, 1) reaches ``snr``."""
    return -np.expm1(trials * np.log1p(-np.exp(log_ndtr(-np.asarray(snr, np.float64)))))
