"""The GPU kernels whose local arrays have sizes, made for the default trial grid, so that they can be compiled by name."""

from tasks.search._gpu import _detect_kernel

detect = _detect_kernel(8, 32)
