"""The fast folding algorithm against folding by hand, and pulses of known period."""

import numpy as np
import pytest

from tasks.search.folding import dedispersed, fast_fold, search_periods, strongest


def test_first_and_last_drift_are_plain_sums():
    rows = np.random.default_rng(0).standard_normal((8, 20))
    folded = fast_fold(rows)
    np.testing.assert_allclose(folded[0], rows.sum(0))
    np.testing.assert_allclose(folded[7], sum(np.roll(rows[k], -k) for k in range(8)))


def test_noise_is_standard_normal_for_every_period_and_width():
    rng = np.random.default_rng(1)
    fold = search_periods(rng.standard_normal(6000), np.ones(6000), 0.1, 5.0, 60.0)
    assert 3.0 < fold.snr.max() < 6.5
    assert len(strongest({(0, 0, 0.0): fold}, 7.0)) == 0


@pytest.mark.parametrize("period", [2.37, 7.91, 23.3])
def test_a_pulsar_too_faint_for_its_single_pulses_is_found(period):
    rng, dt = np.random.default_rng(2), 0.1
    time = np.arange(12000) * dt
    pulses = 2.2 * ((time / period) % 1 < 0.06) if period > 5 else 1.6 * ((time / period) % 1 < 0.06)
    weight = np.ones(len(time))
    weight[5000:5600] = 0
    fold = search_periods((rng.standard_normal(len(time)) + pulses) * weight, weight, dt, 1.5, 40.0)
    table = strongest({(3, 4, 0.0): fold}, 8.0)
    assert len(table) >= 1
    assert abs(table.period_s[0] / period - 1) < 2e-3
    assert table.false_alarm_probability[0] < 1e-6


def test_a_single_burst_is_not_periodic():
    series = np.random.default_rng(3).standard_normal(6000)
    series[3000:3004] += 60
    fold = search_periods(series, np.ones(6000), 0.1, 5.0, 60.0)
    assert fold.snr.max() < 6.5


def test_dedispersion_lines_the_channels_up():
    freqs, dt = np.array([1500.0, 1400.0, 1300.0]), 0.01
    y = np.zeros((400, 3))
    late = 4148.808 * 300 * (freqs**-2 - freqs.mean() ** -2)
    y[np.rint(200 + late / dt).astype(int), np.arange(3)] = 1
    series, weight = dedispersed(y, np.ones((400, 3)), freqs, dt, 300.0)
    assert series[200] == 3
    assert weight[200] == 3


def test_an_impossible_range_gets_a_sentence():
    with pytest.raises(ValueError, match="change the range"):
        search_periods(np.zeros(100), np.ones(100), 0.1, 5.0, 60.0)
