"""Rate limits against closed forms."""

import numpy as np
import pytest

from tasks.search.rates import interpolate_completeness, limits, snr_of, upper_limit

ROW = {
    "area_deg2": 2.0,
    "seconds": 7200.0,
    "threshold": 7.0,
    "noise": 0.1,
    "n_channel": 16,
    "dt_s": 0.1,
    "width_max_s": 10.0,
}


@pytest.mark.parametrize(
    ("n", "confidence", "expected"), [(0, 0.95, 2.996), (0, 0.9, 2.303), (1, 0.95, 4.744), (3, 0.95, 7.754)]
)
def test_poisson_limits_are_the_tabulated_ones(n, confidence, expected):
    assert abs(upper_limit(n, confidence) - expected) < 1e-3


def test_nothing_seen_in_four_degree_hours():
    rates = limits([ROW], 0, 0.95, np.array([1e-6, 100.0]), np.array([0.1, 5.0, 50.0]), None)
    assert np.isinf(rates[:, 0]).all()
    np.testing.assert_allclose(rates[:2, 1], upper_limit(0, 0.95) / 4)
    assert np.isinf(rates[2, 1])  # wider than anything searched


def test_half_the_completeness_doubles_the_limit_and_exposures_add():
    curve = np.array([5.0, 6.0, 10.0, 1e9]), np.array([0.0, 0.5, 0.5])
    rates = limits([ROW, ROW], 0, 0.95, np.array([100.0]), np.array([1.0]), curve)
    np.testing.assert_allclose(rates, upper_limit(0, 0.95) / 8 / 0.5)


def test_snr_follows_the_radiometer():
    one = snr_of(np.array([1.0]), np.array([0.4]), 0.1, 16, 0.1)
    np.testing.assert_allclose(one, 1.0 / 0.4 * np.sqrt(16 * 4) / 0.1)
    assert interpolate_completeness(np.array([1.0]), np.array([5.0, 6.0, 1e9]), np.array([0.2, 1.0]))[0] == 0.0
