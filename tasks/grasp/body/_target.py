"""What the bodies are compiled for: the CPU, unless `tasks.grasp._gpu` loads this package a second time for CUDA.

Bodies are called by compiled code only and cached with the entry points of `_cpu`: without wrappers for Python, and
without checks of every division, they compile in half the time.
"""

from typing import Any

import numba

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}

compiled = numba.njit(**OPTIONS)

inlined = numba.njit(inline="always", **OPTIONS)
"""For the body of an entry point: what it calls is then optimised once less, which is a sixth of the time to compile."""
