"""Quality measures against their definitions, simulated noise against what was asked for."""

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.denoise import denoise, quality, simulate
from tests.denoise.scenes import noisy, scene

CLEAN = scene(48, 40, 16)


def test_measures_of_known_errors(xp):
    a = xp.asarray(CLEAN)
    assert np.isclose(quality.psnr(a, a + 0.01), 40)
    assert np.isclose(quality.ssim(a, a), 1)
    assert quality.ssim(a, xp.asarray(noisy(CLEAN, 0.1))) < 0.9
    assert quality.spectral_angle(a, a * 3) < 1e-4
    assert np.isclose(quality.ergas(a, a * 1.01), 1, rtol=0.1)


def test_white_noise_is_uncorrelated_and_leaks_nothing(xp):
    noise = xp.asarray(np.random.default_rng(0).standard_normal(CLEAN.shape))
    assert np.abs(to_host(quality.residual_correlation(noise))).max() < 0.1
    assert np.abs(to_host(quality.leakage(noise, xp.asarray(CLEAN)))).max() < 0.1
    assert to_host(quality.leakage(noise + xp.asarray(CLEAN) * 20, xp.asarray(CLEAN))).min() > 0.3


def test_a_plume_in_the_residual_is_seen(xp):
    residual = np.random.default_rng(1).standard_normal(CLEAN.shape)
    assert not to_host(quality.rare_signals(xp.asarray(residual), np.ones(16))).any()
    residual[10:13, 10:13, 4:8] += 8
    found = to_host(quality.rare_signals(xp.asarray(residual), np.ones(16)))
    assert found[10:13, 10:13].all()
    assert found.sum() == 9


def test_a_plume_is_kept_on_demand():
    cube = noisy(CLEAN, 0.01)
    cube[20, 20, 3:6] += 0.3
    kept = denoise(cube, "hyres", rank=3, keep_rare=True)
    assert np.array_equal(kept[20, 20], cube[20, 20])
    assert not np.array_equal(kept[5, 5], cube[5, 5])


def test_simulated_noise_is_what_was_asked_for():
    before = CLEAN.copy()
    cube, sigma = simulate.gaussian(CLEAN, 20, seed=3)
    assert np.isclose(10 * np.log10((CLEAN**2).mean() / ((cube - CLEAN) ** 2).mean()), 20, atol=0.1)
    cube, sigma = simulate.per_band(CLEAN, 20, seed=3)
    assert np.allclose((cube - CLEAN).std((0, 1)), sigma, rtol=0.1)
    assert np.array_equal(simulate.gaussian(CLEAN, 20, seed=3)[0], simulate.gaussian(CLEAN, 20, seed=3)[0])
    counts = simulate.poisson(CLEAN, 1000)
    assert np.isclose(((counts - CLEAN) ** 2).mean(), CLEAN.mean() / 1000, rtol=0.1)
    cube, hit = simulate.impulses(CLEAN, 0.05, bands=[1, 2])
    assert np.isclose(hit[..., [1, 2]].mean(), 0.05, atol=0.01)
    assert not hit[..., 3:].any()
    cube, offsets = simulate.stripes(CLEAN, 0.1, 0.2)
    assert np.allclose((cube - CLEAN).mean(0), offsets, atol=1e-6)
    cube, dead = simulate.dead_lines(CLEAN, 0.1)
    assert (cube[:, dead] == 0).all()
    assert np.array_equal(CLEAN, before)


def test_photons_cannot_be_negative():
    with pytest.raises(ValueError, match="no negative values"):
        simulate.poisson(CLEAN - 1, 100)
