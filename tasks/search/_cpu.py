"""The search's kernels for CPUs (Numba): see `tasks.search.kernels`."""

from tasks.search.kernels._fused_cpu import detect
from tasks.search.kernels._images_cpu import condition, count_finite, halve, smooth_images
from tasks.search.kernels._norms_cpu import normalise
from tasks.search.kernels._survey_cpu import survey
from tasks.search.kernels._tree_cpu import detect_tree

__all__ = ["condition", "count_finite", "detect", "detect_tree", "halve", "normalise", "smooth_images", "survey"]
