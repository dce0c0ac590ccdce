"""The CUDA twins of the filters, run in Numba's simulator."""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip(
        "the simulator must be chosen before Numba is imported: NUMBA_ENABLE_CUDASIM=1", allow_module_level=True
    )

from tasks.denoise.spectral import _cpu as spectral_cpu
from tasks.denoise.spectral import _gpu as spectral_gpu
from tasks.denoise.spectral import factors
from tasks.denoise.starlet import _cpu as starlet_cpu
from tasks.denoise.starlet import _gpu as starlet_gpu

pytestmark = pytest.mark.cudasim


@pytest.mark.parametrize("step", [1, 4])
def test_the_starlets_agree(step):
    images = np.random.default_rng(0).standard_normal((5, 7, 2)).astype(np.float32)
    assert np.allclose(starlet_gpu.smoothed(images, step), starlet_cpu.smoothed(images, step), atol=1e-6)


def test_what_is_summed_over_starlet_scales_agrees():
    rng = np.random.default_rng(1)
    a, b, c, d = rng.standard_normal((4, 9, 8, 3)).astype(np.float32)
    valid = rng.random((9, 8)) > 0.3
    assert np.allclose(
        starlet_gpu.products(a, b, c, d, valid, 2), starlet_cpu.products(a, b, c, d, valid, 2), rtol=1e-5
    )
    steps = rng.standard_normal((4, 3)).astype(np.float32)
    found, want = np.empty((2, 5, 4, 3), np.float32)
    starlet_gpu.add_up(a, b, c, d, steps, 2, found)
    starlet_cpu.add_up(a, b, c, d, steps, 2, want)
    assert np.allclose(found, want, atol=1e-5)


def test_spectral_total_variation_agrees():
    spectra = np.random.default_rng(1).standard_normal((5, 9)).astype(np.float32)
    upper, pivot = factors(9)
    arguments = (upper, pivot, np.float32(0.5), np.float32(0.3), 6)
    found = spectral_gpu.without_spikes(spectra, *arguments)
    assert np.allclose(found, spectral_cpu.without_spikes(spectra, *arguments), atol=1e-5)
