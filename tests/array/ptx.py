"""Compile a numba-cuda kernel to PTX for a GPU that is not there.

Helpers are compiled once per process and for the first architecture asked for, and the simulator replaces the whole
compiler; hence a fresh process per architecture, with the simulator switched off.
"""

import json
import os
import subprocess
import sys

PROGRAM = """
import importlib, json, sys
from types import SimpleNamespace
import numba.cuda.dispatcher as dispatcher
from numba import cuda, types
jobs, cc = json.loads(sys.argv[1]), tuple(json.loads(sys.argv[2]))
dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=cc)
names = vars(types) | {"A": lambda t, n: types.Array(t, n, "C")}
out = {}
for name, signature in jobs.items():
    module, _, kernel = name.partition(":")
    function = getattr(importlib.import_module(module), kernel)
    arguments = eval("(" + signature + ",)", {}, names)
    out[name] = cuda.compile(
        function.py_func, types.void(*arguments), cc=cc, output="ptx", device=False, abi="numba")[0]
print(json.dumps(out))
"""


def compile_all(jobs: dict[str, str], cc: tuple[int, int]) -> dict[str, str]:
    """PTX of each kernel, all in one fresh process.

    Parameters
    ----------
    jobs : dict
        ``"package.module:kernel"`` -> argument types, e.g. ``"A(float32, 3), A(float32, 1), int32"``, where ``A(type,
        axes)`` is a C-contiguous array.
    cc : (int, int)
        Compute capability: (8, 0) or (9, 0).
    """
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_ENABLE_CUDASIM"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(jobs), json.dumps(cc)],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(f"the kernels do not compile for sm_{cc[0]}{cc[1]}:\n{run.stderr[-4000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def compile_ptx(kernel: str, signature: str, cc: tuple[int, int]) -> str:
    """PTX of one kernel; see `compile_all`."""
    return compile_all({kernel: signature}, cc)[kernel]
