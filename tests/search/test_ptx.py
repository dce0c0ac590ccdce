"""The CUDA kernels compile for the GPUs of today, without double precision in the hot ones."""

import pytest

from tests.array.ptx import compile_all

F, F3, I2 = "float32", "A(float32, 3)", "A(int32, 2)"
ROWS = "int32, int32, int32, int32, int32"
KERNELS = {
    "tasks.search.kernels._tree_gpu:_leaf_rows": f"{F3}, A(int64, 2), {ROWS}, A(float32, 2)",
    "tasks.search.kernels._tree_gpu:_merge_rows": f"A(float32, 2), A(int64, 2), {ROWS}, A(float32, 2)",
    "tests.search.gpu_kernels:keep_best": (
        f"A(float32, 2), A(int64, 2), {I2}, A(int32, 1), {F3}, A(boolean, 2), int32, int32, int32, int32, A(float32, 2), {I2}"
    ),
    "tests.search.gpu_kernels:detect": (
        f"{F3}, {I2}, {I2}, A(int32, 1), {I2}, A(int32, 1), {F3}, A(boolean, 2), int32, int32, A(float32, 2), {I2}"
    ),
    "tasks.search.kernels._images_gpu:_condition": f"{F3}, A(float32, 2), A(float32, 1), A(float32, 2), int64, {F3}",
    "tasks.search.kernels._images_gpu:_smooth_x": "A(float32, 4), A(boolean, 2), A(float32, 2), A(float32, 2), A(float32, 4)",
    "tasks.search.kernels._images_gpu:_smooth_y": "A(float32, 4), A(boolean, 2), A(float32, 2), A(float32, 2), A(float32, 4)",
}
SURVEY = {
    "tasks.search.kernels._survey_gpu:_survey": (
        f"{F3}, A(int64, 2), A(int64, 1), A(float32, 1), A(float32, 1), {F3}, A(float32, 2), A(int64, 2), A(int64, 2), "
        "A(float64, 2), A(float64, 1)"
    )
}


@pytest.mark.parametrize("cc", [(8, 0), (9, 0)])
def test_the_gpu_kernels_compile_without_float64(cc):
    for name, ptx in compile_all(KERNELS | SURVEY, cc).items():
        assert f".target sm_{cc[0]}{cc[1]}" in ptx, name
        assert name in SURVEY or ".f64" not in ptx, name  # the survey's whole-number sums are double on purpose
