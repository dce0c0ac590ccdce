"""False-alarm probabilities against searches of pure noise."""

import numpy as np
from scipy.special import ndtr

from tasks.search import search
from tasks.search.find import make_plan
from tasks.search.significance import false_alarm_probability, independent_trials
from tests.search.oracle import DT, FREQS


def test_noise_makes_as_many_candidates_as_its_probability_says():
    shape, level, n = (64, 8, 32, 32), 4.5, 8
    plan = make_plan(shape, FREQS, DT, level, 1000.0)
    expected = n * ndtr(-level) * independent_trials(plan.levels, shape[0], 32 * 32, 1.1, level)
    found = 0
    for seed in range(n):
        noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
        found += (search(noise, FREQS, DT, dm_max=1000.0, threshold=level).trial_snr >= level).sum()
    # Poisson, and a model good to a factor: the calibration itself used 5 sigma
    assert expected / 2.2 < found < 2.2 * expected


def test_probability_is_one_where_noise_must_reach_and_falls_with_snr():
    p = false_alarm_probability(np.array([3.0, 5.0, 6.0, 7.0, 10.0]), 1e6)
    assert p[0] > 0.999
    assert (np.diff(p) < 0).all()
    assert abs(p[2] / (1e6 * ndtr(-6.0)) - 1) < 0.01
    assert 0 < p[4] < 1e-16
