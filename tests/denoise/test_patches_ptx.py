"""The CUDA twin of the patch filter compiles for GPUs that are not here, without a float64 instruction."""

import pytest

from tests.array.ptx import compile_all

MODULE = "tasks.denoise.patches._gpu"
KERNELS = {
    f"{MODULE}:search": "A(float32, 3), A(int32, 1), A(int32, 1), int32, int32, A(float32, 2), A(int32, 2)",
    f"{MODULE}:filter_groups": (
        "A(float32, 3), A(float32, 3), A(int32, 2), A(float32, 2), A(float32, 1), float32, boolean, "
        "A(float32, 4), A(float32, 4), A(int64, 3), A(int64, 3)"
    ),
}


@pytest.mark.parametrize("cc", [(8, 0), (9, 0)])
def test_the_kernels_compile_in_float32(cc):
    for name, ptx in compile_all(KERNELS, cc).items():
        assert f".target sm_{cc[0]}{cc[1]}" in ptx
        assert ".f64" not in ptx, name
