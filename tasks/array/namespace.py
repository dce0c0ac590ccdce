"""The one module that knows the device: kernels ask it where an array lives, steps move arrays with it.

Nothing here decides to use a GPU. A kernel computes where its input already is; a step moves its tile with
`to_device`, which is a no-op on a worker without a GPU.
"""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

LAUNCH = 64
"""Parts for a CPU's cache, 100 kB to 1 MB, that make one for a GPU: a launch takes as long as copying some 10 MB there."""


@cache
def _cupy() -> ModuleType | None:
    """CuPy where a GPU answers, else None."""
    try:
        import cupy
    except ImportError:
        return None
    return cupy if cupy.cuda.is_available() else None


def _on_gpu(array: Any) -> bool:
    return hasattr(array, "__cuda_array_interface__")


def namespace(*arrays: Any) -> Any:
    """NumPy, or CuPy if any of ``arrays`` lives on a GPU."""
    if any(_on_gpu(a) for a in arrays):
        return _cupy()
    return np


def scipy_for(array: Any, name: str) -> Any:
    """The SciPy submodule ``name`` ("ndimage", "fft", ...) for the device ``array`` lives on."""
    return import_module(f"cupyx.scipy.{name}" if _on_gpu(array) else f"scipy.{name}")


def native(array: Any, package: str | None) -> Any:
    """The compiled kernels of ``package`` for ``array``: its module ``_cpu`` (Numba) or ``_gpu`` (CUDA)."""
    return import_module(f"{package}._gpu" if _on_gpu(array) else f"{package}._cpu")


def at_a_time(array: Any, n: int) -> int:
    """``n`` rows on the CPU, whose cache they shall fit into; more on a GPU, where each part must be worth a launch."""
    return n * LAUNCH if _on_gpu(array) else n


def to_device(array: np.ndarray) -> Any:
    """``array`` on this worker's device: the GPU if it has one, else as it is."""
    cupy = _cupy()
    return array if cupy is None else cupy.asarray(array)


def to_host(array: Any) -> np.ndarray:
    """``array`` in host memory."""
    return array.get() if _on_gpu(array) else np.asarray(array)
