"""The CUDA kernels in Numba's simulator, against their CPU twins."""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("runs in the simulator: NUMBA_ENABLE_CUDASIM=1 pytest -m cudasim", allow_module_level=True)

from tasks.search import _cpu, _gpu
from tasks.search.tree import grow
from tasks.search.trials import plan_levels

pytestmark = pytest.mark.cudasim
FREQS = np.linspace(1490.0, 1320.0, 6)


def test_detect_is_its_twin_bit_for_bit():
    rng = np.random.default_rng(1)
    y = rng.standard_normal((20, 6, 2)).astype(np.float32)
    level = plan_levels(FREQS, 0.134, 300.0, (1, 2, 3))[0]
    norm = rng.uniform(0.2, 1.0, (len(level.dms), 3, 32)).astype(np.float32)
    norm[:, :, 20:25] = 0
    args = (y, level.delays, level.steps, norm, -16)
    for cpu, gpu in zip(_cpu.detect(*args), _gpu.detect(*args), strict=True):
        np.testing.assert_array_equal(cpu, gpu)


@pytest.mark.parametrize("n_channel", [2, 5])
def test_detect_tree_is_its_twin_bit_for_bit(n_channel):
    rng = np.random.default_rng(4)
    units = np.sort(rng.uniform(0, 1, n_channel))
    units -= units[0]
    steps = plan_levels(FREQS, 0.134, 300.0, (1, 2, 3))[0].steps
    tree = grow(units.tobytes(), np.arange(0.0, 18.0, 3.0).tobytes(), 16 + 2)
    y = rng.standard_normal((20, n_channel, 2)).astype(np.float32)
    norm = rng.uniform(0.2, 1.0, (6, 3, 32)).astype(np.float32)
    norm[:, :, 20:25] = 0
    args = (y, tree, steps, norm, -16)
    for cpu, gpu in zip(_cpu.detect_tree(*args), _gpu.detect_tree(*args), strict=True):
        np.testing.assert_array_equal(cpu, gpu)


@pytest.mark.parametrize("n_time", [4, 24, 132])
def test_survey_is_its_twin(n_time):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((n_time, 1, 3)).astype(np.float32)
    x[:, :, 1] += 40
    x[n_time // 2 :, :, 2] += 20
    valid = rng.uniform(size=(n_time, 1)) > 0.1
    gain = 1 + 0.1 * np.arange(n_time) / n_time
    for cpu, gpu in zip(_cpu.survey(x, valid, gain, np.ones(1)), _gpu.survey(x, valid, gain, np.ones(1)), strict=True):
        # the sub-means are divided by a reciprocal that double precision rounds once more
        np.testing.assert_allclose(gpu, cpu, rtol=2e-6, atol=2e-6 * max(1, np.abs(cpu).max()))


def test_condition_and_smooth_images_are_their_twins():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((3, 2, 12)).astype(np.float32)
    level, u = (
        rng.standard_normal((2, 12)).astype(np.float32),
        rng.uniform(size=(3, 2)) * (rng.uniform(size=(3, 2)) > 0.3),
    )
    args = (x, level, np.array([1.0, 1.1, 0.9]), u, 2, 11)
    np.testing.assert_array_equal(_cpu.condition(*args), _gpu.condition(*args))
    images, kernels = x.reshape(3, 2, 3, 4), rng.uniform(size=(2, 5)).astype(np.float32)
    norms = rng.uniform(size=(2, 3)).astype(np.float32), rng.uniform(size=(2, 4)).astype(np.float32)
    images[0, 0, 1, 1] = np.nan
    valid = np.array([[True, True], [False, True], [True, True]])
    np.testing.assert_allclose(
        _gpu.smooth_images(images, valid, kernels, norms), _cpu.smooth_images(images, valid, kernels, norms), rtol=1e-6
    )
    np.testing.assert_array_equal(_gpu.halve(x), _cpu.halve(x))
    np.testing.assert_array_equal(_gpu.count_finite(x), _cpu.count_finite(x))
