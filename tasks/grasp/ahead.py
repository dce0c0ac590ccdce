"""The grasp kernels compiled ahead, side by side: one after the other takes longer than a person likes to wait.

Compiling holds the interpreter, so that each share has a process of its own; what it compiled lies in the cache on disk,
where the process that grows grasps finds it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tasks.array.compiled import cache_directory, sources_digest

SHARES = (("force_lanes", "move_lanes", "squeeze_lanes"), ("collide_lanes", "touch_lanes"))
"""Kernels of a process; together they take about equally long."""
DONE = "grasp-kernels"
"""Begin of the name of the file that says that the kernels of these sources are in the cache."""


@contextmanager
def compiling() -> Iterator[None]:
    """Compile what the cache lacks while the block does something else; at its end everything is there."""
    done = Path(cache_directory()) / f"{DONE}-{sources_digest()}"
    if done.exists():
        yield
        return
    environment = os.environ | {"NUMBA_CACHE_DIR": cache_directory(), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["NUMBA_OPT"] = "2"  # the kernels are as fast as with the usual 3, and ready earlier
    todo = f"import sys; from {__name__} import compile_kernels; compile_kernels(sys.argv[1:])"
    with ExitStack() as stack:
        commands = ([sys.executable, "-c", todo, *names] for names in SHARES)
        shares = [stack.enter_context(subprocess.Popen(command, env=environment)) for command in commands]
        try:
            yield
        except BaseException:
            for share in shares:  # what went wrong is said at once
                share.terminate()
            raise
    if not any(share.returncode for share in shares):  # otherwise the kernels are compiled when they are first called
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()


def compile_kernels(names: list[str]) -> None:
    """Compile the kernels of `tasks.grasp._cpu` called ``names``, for the arrays that lanes call them with."""
    from tasks.grasp._tables import Field
    from tasks.grasp.hand import load_hand
    from tasks.grasp.lanes import Lanes
    from tasks.grasp.stages import CHECK

    nowhere = Field(np.zeros(8, np.float32), np.zeros((1, 4), np.int64), np.zeros((1, 10), np.float32))
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
