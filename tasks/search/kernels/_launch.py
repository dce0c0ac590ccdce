"""How the GPU kernels are launched, on the stream CuPy uses."""

from typing import Any

import numpy as np
from numba import cuda

from tasks.array.namespace import namespace

THREADS = 64
F0, HALF = np.float32(0), np.float32(0.5)


def launch(kernel: Any, n: int, *args: Any) -> None:
    """Run ``kernel`` over ``n`` threads, on the stream CuPy uses."""
    xp = namespace(*args)
    stream = 0 if xp is np else cuda.external_stream(xp.cuda.get_current_stream().ptr)
    kernel[(n + THREADS - 1) // THREADS, THREADS, stream](*args)


def on_device(xp: Any, *arrays: np.ndarray) -> list[Any]:
    return [xp.ascontiguousarray(xp.asarray(a)) for a in arrays]


def host(array: Any) -> np.ndarray:
    return array.get() if hasattr(array, "get") else array
