"""What is compiled ahead is what is called later, and it is compiled once."""

import pytest

from tasks.array.compiled import sources_digest
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


def test_what_is_in_the_cache_is_not_compiled_again(monkeypatch, tmp_path):
    monkeypatch.setattr(ahead, "cache_directory", lambda: str(tmp_path))
    (tmp_path / f"{ahead.DONE}-{sources_digest()}").touch()
    monkeypatch.setattr(ahead.subprocess, "Popen", lambda *_, **__: pytest.fail("nothing is left to compile"))
    with ahead.compiling():
        pass


def test_an_error_is_not_kept_waiting(monkeypatch, tmp_path):
    monkeypatch.setattr(ahead, "cache_directory", lambda: str(tmp_path))
    with pytest.raises(ValueError, match="bad mesh"), ahead.compiling():
        raise ValueError("bad mesh")
    assert not list(tmp_path.glob(f"{ahead.DONE}*"))


def test_a_process_that_fails_leaves_the_work_to_the_first_call(monkeypatch, tmp_path):
    monkeypatch.setattr(ahead, "cache_directory", lambda: str(tmp_path))
    monkeypatch.setattr(ahead, "SHARES", (("no_such_kernel",),))
    monkeypatch.setattr(ahead.sys, "executable", "/bin/false")
    with ahead.compiling():
        pass
    assert not list(tmp_path.glob(f"{ahead.DONE}*"))
