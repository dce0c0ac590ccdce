"""Arrays are computed where they live; steps move them."""

import numpy as np
import pytest
import scipy.ndimage

from tasks.array.namespace import namespace, native, scipy_for, to_device, to_host


class OnGpu:
    """Enough of a device array to be told from a NumPy one."""

    __cuda_array_interface__ = {}  # noqa: RUF012

    def get(self):
        return np.ones(3)


def test_numpy_arrays_are_computed_by_numpy_and_scipy():
    assert namespace(np.ones(2), np.ones(3)) is np
    assert scipy_for(np.ones(2), "ndimage") is scipy.ndimage


def test_the_array_decides_which_twin_is_called():
    package = "tasks.array.wavelet"
    assert native(np.ones(2), package).__name__ == f"{package}._cpu"


def test_a_device_array_comes_home():
    np.testing.assert_array_equal(to_host(OnGpu()), np.ones(3))


def test_the_way_to_the_device_and_back_keeps_values(xp):
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(to_host(to_device(values)), values)
    np.testing.assert_array_equal(to_host(xp.asarray(values) * 2), values * 2)


def test_without_a_gpu_nothing_is_copied(monkeypatch):
    monkeypatch.setattr("tasks.array.namespace._cupy", lambda: None)
    values = np.ones(3)
    assert to_device(values) is values


@pytest.mark.parametrize("name", ["fft", "ndimage", "signal"])
def test_every_submodule_is_found(name):
    assert scipy_for(np.ones(1), name).__name__ == f"scipy.{name}"
