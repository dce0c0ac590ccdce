"""Threads for the CPU kernels: each does its share of the work."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numba.core import config


def shared(kernel: Callable[..., None], *args: Any) -> None:
    """Let every thread do its share of the work: ``kernel(*args, worker, n_workers)``, which releases the GIL.

    Numba's own threads (``prange``) were tried: the same speed, but three times the compilation, and one of their
    layers aborts the process when two Dask threads use it at once.
    """
    n = config.NUMBA_NUM_THREADS
    if n == 1:
        kernel(*args, 0, 1)
        return
    with ThreadPoolExecutor(n) as pool:
        for done in [pool.submit(kernel, *args, worker, 4 * n) for worker in range(4 * n)]:
            done.result()
