"""The grasp kernels compiled ahead, side by side: one after the other takes longer than a person likes to wait.

Compiling holds the interpreter, so that each share has a process of its own; what it compiled lies in the cache on disk,
where the process that grows grasps finds it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tasks.array.compiled import cache_directory

SHARES = (("force_lanes", "squeeze_lanes"), ("collide_lanes", "move_lanes", "touch_lanes"))
"""Kernels of a process; together they take about equally long."""
DONE = "grasp-kernels"
"""Name of the file that says that the kernels are in the cache."""


@contextmanager
def compiling() -> Iterator[None]:
    """Compile what the cache lacks while the block does something else; at its end everything is there."""
    done = Path(cache_directory()) / DONE
    if done.exists():
        yield
        return
    environment = os.environ | {"NUMBA_CACHE_DIR": cache_directory(), "PYTHONPATH": os.pathsep.join(sys.path)}
    todo = f"import sys; from {__name__} import compile_kernels; compile_kernels(sys.argv[1:])"
    shares = [subprocess.Popen([sys.executable, "-c", todo, *names], env=environment) for names in SHARES]
    try:
        yield
    finally:
        ended = [share.wait() for share in shares]
    if not any(ended):  # otherwise the kernels are compiled when they are first called
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()


def compile_kernels(names: list[str]) -> None:
    """Compile the kernels of `tasks.grasp._cpu` called ``names``, for the arrays that lanes call them with."""
    from tasks.grasp._tables import Field
    from tasks.grasp.hand import load_hand
    from tasks.grasp.lanes import Lanes
    from tasks.grasp.stages import CHECK

    nowhere = Field(np.zeros(8, np.float32), np.zeros((1, 4), np.int64), np.zeros((1, 9), np.float32))
    lanes = Lanes(load_hand("allegro"), nowhere, np.zeros(1, np.int64))
    lanes.kernels = _Compiler(names)  # type: ignore[assignment]
    active = np.arange(1)
    lanes.evaluate(active, CHECK)
    lanes.move(active, CHECK)
    lanes.squeeze(active)


class _Compiler:
    """Stands in for the module of kernels: what is called is compiled and not run."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def __getattr__(self, name: str) -> Any:
        import numba

        from tasks.grasp import _cpu

        def compiled(*arguments: Any) -> None:
            if name in self._names:
                getattr(_cpu, name).compile(tuple(numba.typeof(argument) for argument in arguments))

        return compiled
