"""The CUDA twin of the wavelet step, run in Numba's simulator and on a GPU where there is one."""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip(
        "the simulator must be chosen before Numba is imported: NUMBA_ENABLE_CUDASIM=1", allow_module_level=True
    )

from tasks.array.wavelet import _cpu, _gpu, filters

pytestmark = pytest.mark.cudasim


@pytest.mark.parametrize(("shape", "step"), [((1, 5, 7), 1), ((2, 3, 4), 2), ((1, 2, 9), 4)])
def test_the_twins_agree(shape, step):
    image = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    low, high = filters()
    coarse, details = _gpu.analyse(image, low, high, step)
    want_coarse, want_details = _cpu.analyse(image, low, high, step)

    assert np.allclose(coarse, want_coarse, atol=1e-6) and np.allclose(details, want_details, atol=1e-6)
    back = _gpu.synthesise(coarse, details, low, high, step)
    assert np.allclose(back, _cpu.synthesise(want_coarse, want_details, low, high, step), atol=1e-6)
    assert np.allclose(back, image, atol=1e-6)


def test_the_histograms_agree():
    values = np.random.default_rng(2).standard_normal((2, 5, 6)).astype(np.float32)
    weights = values[0] > -1
    found = _gpu.magnitude_counts(values, weights, np.float32(8), 9)
    assert np.array_equal(found, _cpu.magnitude_counts(values, weights, np.float32(8), 9))


def test_too_many_images_are_refused():
    with pytest.raises(ValueError, match="in batches"):
        _gpu._launch(_gpu.count_bins, (70_000, 1, 1), np.zeros(1))
