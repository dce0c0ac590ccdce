"""Preloaded by every CUDA worker: one memory pool for CuPy and everything else on the device."""

from typing import Any


def dask_setup(worker: Any) -> None:
    """Give CuPy the RMM allocator before anything is allocated."""
    import cupy
    from rmm.allocators.cupy import rmm_cupy_allocator

    cupy.cuda.set_allocator(rmm_cupy_allocator)
