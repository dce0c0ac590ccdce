"""Every CUDA kernel of the grasp workload compiles for GPUs that are not here, in single precision."""

import os

import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    pytest.skip("the simulator replaces the compiler", allow_module_level=True)

from tests.array.ptx import compile_all

MODULE = "tasks.grasp._gpu"
CHAIN = "A(float32, 2), A(int32, 1)"
FIELD = "A(float32, 1), A(int64, 2), A(float32, 2)"
SKIN = "A(float32, 2), A(int32, 1), A(uint8, 1), A(float32, 1), A(int32, 1), A(float32, 2), A(int32, 2)"
FORCE = ", ".join(["A(float32, 3)"] * 5 + ["A(float32, 4)", "A(float32, 2)", "A(float32, 3)"])
BODY = "A(float32, 3), A(int32, 2), A(int32, 3), A(float32, 4), A(int32, 2), A(float32, 2), A(float32, 2)"
LANES = "A(int64, 1)"
F1, F2, F3, I1 = "A(float32, 1)", "A(float32, 2)", "A(float32, 3)", "A(int32, 1)"

JOBS = {
    "distance_kernel": f"{F2}, {F2}, {I1}, {F1}, float32, {F3}",
    "touch_kernel": f"{LANES}, {CHAIN}, {F2}, {I1}, {FIELD}, {LANES}, {F1}, {F2}, {F3}, {F3}, {F3}",
    "force_kernel": f"{LANES}, {I1}, {F1}, {F2}, {F2}, {LANES}, {F1}, int64, {F3}, {F3}, {FORCE}, {F2}, {F3}, {F2}",
    "collide_kernel": f"{LANES}, {CHAIN}, {I1}, {SKIN}, {FIELD}, {LANES}, {F1}, {F3}, {F3}, {F2}, {F3}, {BODY}, {F3}, {F3}, {F2}",
    "move_kernel": f"{LANES}, {CHAIN}, A(float32, 2), {I1}, float32, float32, int64, {F3}, {F3}, {F3}, {F2}, {F2}, {F2}",
    "squeeze_kernel": f"{LANES}, {CHAIN}, {I1}, {F2}, {F2}, {F1}, float32, {F3}, {F3}, {F3}, {F2}, A(int32, 2), {F2}, {F2}",
}


SINE = {"touch_kernel", "move_kernel"}
"""Kernels that turn by an angle: the compiler's sine reduces huge arguments in double precision, a path never taken."""


@pytest.mark.parametrize(("cc", "names"), [((9, 0), tuple(JOBS)), ((8, 0), ("touch_kernel", "force_kernel"))])
def test_kernels_compile_in_single_precision(cc, names):
    compiled = compile_all({f"{MODULE}:{name}": JOBS[name] for name in names}, cc)
    for name in names:
        doubles = compiled[f"{MODULE}:{name}"].count(".f64")
        assert doubles <= (24 if name in SINE else 0), f"{name}: {doubles} double-precision instructions"
