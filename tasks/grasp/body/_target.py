"""What the bodies are compiled for: the CPU, unless `tasks.grasp._gpu` loads this package a second time for CUDA."""

import numba
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")

__all__ = ["compiled"]
