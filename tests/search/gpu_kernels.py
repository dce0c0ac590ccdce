"""The GPU kernels whose local arrays have sizes, made for the default trial grid, so that they can be compiled by name."""

from tasks.search.kernels._fused_gpu import _detect_kernel
from tasks.search.kernels._tree_gpu import _keep_best

detect = _detect_kernel(8, 32)
keep_best = _keep_best(8, 32)
