"""The search's kernels for GPUs (CUDA), with the names and signatures of `_cpu`; arrays are CuPy's, in the simulator NumPy's."""

from tasks.search.kernels._fused_gpu import detect
from tasks.search.kernels._images_gpu import condition, count_finite, halve, smooth_images
from tasks.search.kernels._survey_gpu import survey
from tasks.search.kernels._tree_gpu import detect_tree

__all__ = ["condition", "count_finite", "detect", "detect_tree", "halve", "smooth_images", "survey"]
