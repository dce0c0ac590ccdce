"""The fused kernel against plain NumPy, and the statistics of its trials on noise."""

from itertools import pairwise

import numpy as np
import pytest

from tasks.array.namespace import native, to_host
from tasks.search import _cpu
from tasks.search.find import make_plan
from tasks.search.hunt import _normalise, condition_block
from tasks.search.trials import default_widths, plan_levels
from tests.search.oracle import DT, FREQS, all_trials, best_of_cells


@pytest.mark.parametrize("n_pixel", [1, 64, 70])
@pytest.mark.parametrize("widths", [(1, 2, 3, 4, 6, 8), (5, 7), (1,)])
def test_detect_finds_what_plain_numpy_finds(xp, n_pixel, widths):
    rng = np.random.default_rng(n_pixel)
    y = rng.standard_normal((60, 8, n_pixel)).astype(np.float32)
    level = plan_levels(FREQS, DT, 900.0, widths)[0]
    norm = rng.uniform(0.1, 1, (len(level.dms), len(widths), 96)).astype(np.float32)
    norm[:, :, rng.integers(0, 96, 20)] = 0
    best, code = native(xp.asarray(y), "tasks.search").detect(xp.asarray(y), level.delays, level.steps, norm, -16)
    expected, first = best_of_cells(all_trials(y, level.delays, level.widths, norm, -16))
    np.testing.assert_allclose(to_host(best), np.maximum(expected, 0), rtol=2e-5, atol=1e-5)
    same = to_host(code) == first
    assert same.mean() > 0.99  # float32 sums may order two nearly equal trials the other way


def test_every_trial_of_noise_is_standard_normal(prepared):
    """Also at the edges, in gaps, beside flagged channels and with unequal noise: the law that makes S/N honest."""
    rng = np.random.default_rng(5)
    n_time, n_pixel = 96, 4000
    sigma = np.array([1, 1, 3, 0.5, 1, 2, 1, 1])
    cube = (rng.standard_normal((n_time, 8, n_pixel // 50, 50)) * sigma[:, None, None]).astype(np.float32)
    mask = np.ones((n_time, 8), bool)
    mask[40:47] = False
    mask[:, 6] = False
    mask[10:20, 1] = False
    plan, block, weights = prepared(cube, FREQS, DT, mask)
    y = condition_block(block, weights.u, slice(None))
    for level in plan.levels[:1]:
        first, norm = _normalise(plan, level, block, weights.u)
        snr = all_trials(y, level.delays, level.widths, norm, first)
        tried = np.broadcast_to((norm > 0)[..., None], snr.shape)
        spread = np.sqrt((snr**2).sum(-1) / np.maximum(1, tried.sum(-1)))[norm > 0]
        # 4000 draws give each trial's spread to 1.1 %; the robust baseline and estimated weights add about 1 %
        assert abs(spread.mean() - 1) < 0.02
        assert spread.min() > 0.93
        assert spread.max() < 1.07


def test_levels_above_the_first_are_as_well_calibrated(prepared):
    rng = np.random.default_rng(6)
    cube = rng.standard_normal((400, 8, 30, 30), dtype=np.float32)
    plan, block, weights = prepared(cube, FREQS, DT)
    y = condition_block(block, weights.u, slice(None))
    assert plan.levels[-1].factor == 16
    kernels = native(y, "tasks.search")
    factor = 1
    for level in plan.levels:
        while factor < level.factor:
            y, factor = kernels.halve(y), factor * 2
        first, norm = _normalise(plan, level, block, weights.u)
        snr = all_trials(y, level.delays, level.widths, norm, first)
        spread = np.sqrt((snr**2).mean(-1))[norm > 0]
        assert abs(spread.mean() - 1) < 0.04  # two independent wide trials in 900 pixels: 2 % standard deviation


def test_widths_leave_no_hole():
    widths = default_widths(1200)
    assert widths[:8] == (1, 2, 3, 4, 6, 8, 12, 16)
    assert max(b / a for a, b in pairwise(widths[1:])) == 1.5
    assert widths[-1] == 1024


def test_dm_steps_are_half_a_sample():
    level = plan_levels(FREQS, DT, 2000.0, (1, 2))[0]
    across = level.delays[:, -1] - level.delays[:, 0]
    assert set(np.diff(across)) <= {0, 1}  # in half samples
    assert level.dms[-1] == 2000.0


def test_trials_given_by_hand_are_kept():
    levels = plan_levels(FREQS, DT, 0.0, (1, 5, 20, 21, 48), np.array([0.0, 100.0]))
    searched = sorted(w * level.factor for level in levels for w in level.widths)
    assert searched == [1, 5, 20, 21, 48]
    assert all(len(level.dms) == 2 for level in levels)


@pytest.mark.parametrize("n_pixel", [1, 3])
def test_a_few_pixels_are_searched_to_the_same_bits_as_many(n_pixel):
    """Delays longer than the data, masked samples, both parities of half samples."""
    rng = np.random.default_rng(n_pixel)
    plan = make_plan((90, 7, 1, 1), np.linspace(1500.0, 1200.0, 7), 1e-2, 7.0, 400.0)
    level, first = plan.levels[0], -96
    y = rng.normal(size=(90, 7, 70)).astype(np.float32)
    norm = rng.random((len(level.dms), len(level.widths), 192)).astype(np.float32)
    norm[rng.random(norm.shape) < 0.3] = 0

    best, code = _cpu.detect(y, level.delays, level.steps, norm, first)
    few = _cpu.detect(np.ascontiguousarray(y[:, :, :n_pixel]), level.delays, level.steps, norm, first)

    assert np.array_equal(few[0], best[:, :n_pixel])
    assert np.array_equal(few[1], code[:, :n_pixel])


def test_more_trials_than_memory_holds_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="lower dm_max or sum samples"):
        make_plan((4000, 64, 1, 1), np.linspace(1500.0, 1200.0, 64), 1e-3, 7.0, 20000.0)
