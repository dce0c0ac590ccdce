"""Sums through the tree are plain sums along its paths, and the paths are those of the trials."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.array.namespace import native, to_host
from tasks.search import _cpu, search, trials
from tasks.search.dispersion import band_delay, dispersion_delays
from tasks.search.tree import grow, is_cheaper
from tasks.search.trials import plan_levels
from tests.search.oracle import all_trials, best_of_cells, pulse

DT = 2e-3


def band(n_channel):
    return np.linspace(1500.0, 1200.0, n_channel)


def level(n_channel, n_dm, widths=(1, 2, 3, 4, 6, 8)):
    """A level of ``n_dm`` trials half a sample apart whose channels are summed in a tree, whatever that costs."""
    freqs = band(n_channel)
    dm_max = 0.5 * DT * (n_dm - 1) / band_delay(freqs)
    found = plan_levels(freqs, DT, dm_max, widths)[0]
    assert len(found.dms) == n_dm
    return found


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(trials, "is_cheaper", lambda *_: True)


@given(st.integers(2, 40), st.integers(1, 60), st.booleans())
@settings(max_examples=25, deadline=None)
def test_paths_follow_the_trials(n_channel, n_dm, rising):
    units = 2 * dispersion_delays(band(n_channel)[:: -1 if rising else 1], 1.0, reference=1500.0)[0] / DT
    dms = np.linspace(0, n_dm * 3.0, n_dm)
    tree = grow(units.tobytes(), dms.tobytes(), 64)
    # each of the depths rounds to half of a half sample, for its span and for where its second part begins
    assert np.abs(tree.delays - dms[:, None] * units).max() <= 0.5 * np.ceil(np.log2(n_channel)) + 0.5
    assert (tree.delays >= 0).all()
    assert (tree.delays[:, np.argmin(units)] == 0).all()


@pytest.mark.parametrize(("n_channel", "n_pixel"), [(2, 1), (9, 3), (16, 70)])
def test_the_tree_finds_what_sums_along_its_paths_find(xp, always, n_channel, n_pixel):
    rng = np.random.default_rng(n_channel)
    lv, first = level(n_channel, 41), -48
    y = rng.standard_normal((700, n_channel, n_pixel)).astype(np.float32)  # two passes
    norm = rng.uniform(0.1, 1, (len(lv.dms), len(lv.widths), 752)).astype(np.float32)
    norm[:, :, rng.integers(0, 752, 100)] = 0
    best, code = native(xp.asarray(y), "tasks.search").detect_tree(xp.asarray(y), lv.tree, lv.steps, norm, first)
    expected, which = best_of_cells(all_trials(y, lv.delays, lv.widths, norm, first))
    np.testing.assert_allclose(to_host(best), np.maximum(expected, 0), rtol=2e-5, atol=1e-5)
    assert (to_host(code) == which).mean() > 0.99  # float32 sums may order two nearly equal trials the other way


def test_the_norms_of_the_tree_are_those_of_its_paths(always):
    rng = np.random.default_rng(1)
    lv = level(12, 30)
    u = rng.uniform(size=(600, 12)) * (rng.uniform(size=(600, 12)) > 0.2)
    totals = np.broadcast_to(u.sum(0), u.shape).copy()
    plain, grown = np.zeros((2, len(lv.dms), len(lv.widths), 640), np.float32)
    args = (u, totals, u.mean(0), lv.delays, lv.steps, -32, 0.3)
    _cpu.normalise(*args, plain)
    _cpu.normalise(*args, grown, lv.tree)
    assert (plain > 0).any()
    np.testing.assert_allclose(grown, plain, rtol=1e-6)


def test_many_channels_take_the_tree_and_few_do_not():
    chosen = {n: plan_levels(band(n), DT, 400.0, (1, 2, 4))[0].tree for n in (16, 256)}
    assert chosen[16] is None
    assert chosen[256] is not None
    assert 6 * chosen[256].additions < 256 * len(chosen[256].roots)
    assert not is_cheaper(np.zeros(1), np.zeros(1), 64)


def test_a_pulse_among_many_channels_returns_at_its_own_place():
    shape, freqs = (300, 128, 3, 2), band(128)
    signal = pulse(shape, freqs, time=0.31, dm=150.0, width=0.012, y=1, x=1, amplitude=1.0, dt=DT)
    signal *= 20 / np.sqrt((signal**2).sum())
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    assert plan_levels(freqs, DT, 300.0, (1, 2, 4, 8))[0].tree is not None
    row = search(noise + signal, freqs, DT, dm_max=300.0, width_max=0.03).iloc[0]
    assert (round(row.y), round(row.x)) == (1, 1)
    assert abs(row.time_s - 0.31) < DT
    assert abs(row.dm - 150.0) < 5
    assert row.trial_snr > 0.85 * 20 - 1  # one standard deviation of the noise itself
