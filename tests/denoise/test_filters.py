"""The small filters behind the methods, each against its definition."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import convolve1d
from scipy.optimize import linprog

from tasks.array.namespace import to_host
from tasks.denoise import starlet, total_variation
from tasks.denoise.spectral import without_spikes
from tests.array.ptx import compile_all


def test_starlet_is_the_b3_spline(xp):
    images = np.random.default_rng(0).standard_normal((13, 21, 2)).astype(np.float32)
    found = to_host(starlet.smoothed(xp.asarray(images), 2))
    taps = np.zeros(9)
    taps[::2] = np.array([1, 4, 6, 4, 1]) / 16
    want = convolve1d(convolve1d(images.astype(float), taps, 0, mode="wrap"), taps, 1, mode="wrap")
    assert np.allclose(found, want, atol=1e-6)


def test_starlet_scales_add_up_to_the_image(xp):
    images = xp.asarray(np.random.default_rng(1).standard_normal((40, 40, 2)), dtype=np.float32)
    out = xp.empty((34, 34, 2), xp.float32)
    starlet.add_up(starlet.smoothings(images), np.ones((2, starlet.LEVELS + 1)), 3, out)
    assert np.allclose(to_host(out), to_host(images)[3:-3, 3:-3], atol=1e-5)
    assert np.isclose(starlet.traces().sum(), 1, atol=1e-6)


def test_products_of_starlet_scales_are_sums_over_the_valid_core(xp):
    rng = np.random.default_rng(2)
    images = rng.standard_normal((20, 24, 3)).astype(np.float32)
    valid = rng.random((20, 24)) > 0.2
    levels = [np.asarray(to_host(level), float) for level in starlet.smoothings(xp.asarray(images))]
    scales = np.stack([*(a - b for a, b in pairwise(levels)), levels[-1]])[:, 4:-4, 4:-4]
    want = np.einsum("syxn,tyxn,yx->nst", scales, scales, valid[4:-4, 4:-4])
    found = to_host(starlet.products(starlet.smoothings(xp.asarray(images)), xp.asarray(valid), 4))
    assert np.allclose(found, want, atol=1e-3)


def energy(u, image, weight):
    dy, dx = np.zeros_like(u), np.zeros_like(u)
    dy[:-1], dx[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
    return 0.5 * ((u - image) ** 2).sum() + weight * np.sqrt(dy**2 + dx**2).sum()


def test_total_variation_is_near_its_minimum(xp):
    rng = np.random.default_rng(2)
    image = (np.add.outer(np.arange(24) > 12, np.arange(20) > 5) * 5 + rng.standard_normal((24, 20))).astype(np.float32)
    found = to_host(total_variation.smooth(xp.asarray(image[None]), [0.8]))[0].astype(float)
    reached = energy(found, image, 0.8)
    for _ in range(50):
        other = found + 0.02 * rng.standard_normal(found.shape)
        assert energy(other, image, 0.8) > reached * 0.999
    assert np.isclose(found.mean(), image.mean(), atol=1e-4)


def test_total_variation_looks_no_further_than_its_steps():
    image = np.zeros((1, 101, 3), np.float32)
    image[0, 50, 1] = 50
    touched = np.flatnonzero(np.abs(total_variation.smooth(image, [1.0])[0]).max(1))
    assert 50 - touched.min() <= total_variation.STEPS + 1
    assert touched.max() - 50 <= total_variation.STEPS + 1


def exact_smoothing(h, weight):
    """The same minimum as a linear program."""
    n = len(h)
    identity, difference = np.eye(n), np.diff(np.eye(n), axis=0)
    upper = np.block([
        [identity, -identity, np.zeros((n, n - 1))], [-identity, -identity, np.zeros((n, n - 1))],
        [difference, np.zeros((n - 1, n)), -np.eye(n - 1)], [-difference, np.zeros((n - 1, n)), -np.eye(n - 1)],
    ])  # fmt: skip
    right = np.concatenate([h, -h, np.zeros(2 * (n - 1))])
    cost = np.concatenate([np.zeros(n), np.ones(n), np.full(n - 1, weight)])
    return linprog(cost, upper, right, bounds=[(None, None)] * n + [(0, None)] * (2 * n - 1)).fun


@pytest.mark.parametrize("weight", [0.6, 1.2])
def test_spectra_without_spikes_are_near_the_exact_minimum(xp, weight):
    rng = np.random.default_rng(3)
    spectra = np.cumsum(rng.standard_normal((3, 20)), axis=1).astype(np.float32)
    spectra[1, 7] += 15
    found = to_host(without_spikes(xp.asarray(spectra), weight, 0.5)).astype(float)
    for h, x in zip(spectra, found, strict=True):
        reached = np.abs(h - x).sum() + weight * np.abs(np.diff(x)).sum()
        assert reached <= exact_smoothing(h.astype(float), weight) * 1.05


def test_a_single_spike_goes_and_a_step_stays(xp):
    spectra = np.zeros((70, 30), np.float32)
    spectra[:, 10:] = 1.0
    spectra[5, 20] = 3.0
    found = to_host(without_spikes(xp.asarray(spectra), 0.6, 0.4))
    assert np.abs(found[5, 20] - 1) < 0.1
    assert np.allclose(np.delete(found, 5, 0), np.delete(spectra, 5, 0), atol=0.02)


KERNELS = {
    "tasks.denoise.starlet._gpu:smooth_columns": "A(float32,2), int32, A(float32,2)",
    "tasks.denoise.starlet._gpu:smooth_rows": "A(float32,2), int32, A(float32,2)",
    "tasks.denoise.spectral._gpu:alternate": "A(float32,2), A(float32,1), A(float32,1), float32, float32, int32, "
    + ", ".join(["A(float32,2)"] * 5),
}


@pytest.mark.parametrize("cc", [(8, 0), (9, 0)])
def test_the_gpu_kernels_compile_without_float64(cc):
    for name, ptx in compile_all(KERNELS, cc).items():
        assert ".f64" not in ptx, name
