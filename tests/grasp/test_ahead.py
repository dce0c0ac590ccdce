"""What is compiled ahead is what is called later, and it is compiled once."""

from pathlib import Path

import pytest

from tasks.array.compiled import cache_directory
from tasks.grasp import _cpu, ahead, load_hand, load_object, synthesize
from tasks.grasp.shapes import write_samples

KERNELS = [name for share in ahead.SHARES for name in share]


def test_the_signatures_are_those_of_a_real_call(tmp_path):
    write_samples(tmp_path)
    synthesize(load_hand("leap"), load_object(sorted(tmp_path.glob("*.npz"))[0]), n=1)
    called = {name: list(getattr(_cpu, name).signatures) for name in KERNELS}
    ahead.compile_kernels(KERNELS)
    assert {name: list(getattr(_cpu, name).signatures) for name in KERNELS} == called
    assert all(len(found) == 1 for found in called.values())


def test_what_is_in_the_cache_is_not_compiled_again(monkeypatch):
    done = Path(cache_directory()) / ahead.DONE
    monkeypatch.setattr(ahead.subprocess, "Popen", lambda *_, **__: pytest.fail("nothing is left to compile"))
    existed = done.exists()
    done.touch()
    try:
        with ahead.compiling():
            pass
    finally:
        if not existed:
            done.unlink()


def test_a_process_that_fails_leaves_the_work_to_the_first_call(monkeypatch, tmp_path):
    monkeypatch.setattr(ahead, "cache_directory", lambda: str(tmp_path))
    monkeypatch.setattr(ahead, "SHARES", (("no_such_kernel",),))
    monkeypatch.setattr(ahead.sys, "executable", "/bin/false")
    with ahead.compiling():
        pass
    assert not (tmp_path / ahead.DONE).exists()
