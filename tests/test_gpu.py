"""Every hot kernel on a GPU against the CPU's answer. Imports no more than NumPy, SciPy, CuPy, Numba and pytest."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import gpu
from benchmarks._figures import Figure
from benchmarks._frozen_hand import arrays_of, frozen_hand
from benchmarks._gpu_cases import CASES
from tasks.array.namespace import _cupy
from tasks.grasp import load_hand

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
HEAVY = "prefect dask distributed zarr xarray sqlalchemy pandas mujoco sklearn storage flows deployments"


@pytest.mark.gpu
@every_case
def test_a_kernel_gives_the_cpus_answer(case):
    if (cupy := _cupy()) is None:
        pytest.skip("no GPU answers here: the CUDA twins are proven in the simulator and by compilation")
    arrays = case.make(case.small, np.random.default_rng(1))
    expected, found = case.run(*arrays), case.run(*map(cupy.asarray, arrays))
    for want, got in zip(expected, found, strict=True):
        got = got.get() if hasattr(got, "get") else np.asarray(got)
        assert np.abs(got - want).max() <= case.tolerance * np.abs(want).max()


@every_case
def test_a_case_is_a_kernel_with_a_cost(case):
    found = case.run(*case.make(case.small, np.random.default_rng(1)))
    assert all(np.isfinite(np.asarray(part)).all() for part in found)
    assert np.abs(np.asarray(found[0])).max() > 0
    assert case.operations(case.full) > case.operations(case.small) > 0
    assert case.least_bytes(case.full) < 4e9


def test_the_frozen_hand_is_the_hand():
    """`python -m benchmarks._frozen_hand` freezes it again."""
    frozen, known = arrays_of(frozen_hand()), arrays_of(load_hand("allegro"))
    for name, values in known.items():
        np.testing.assert_array_equal(frozen[name], values, err_msg=name)


def test_a_bare_machine_can_run_them():
    """With everything blocked that such a machine lacks."""
    block = (
        "import sys\n"
        "class Block:\n"
        f"    def find_spec(self, name, path=None, target=None):\n        if name.split('.')[0] in {HEAVY.split()}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
    )
    root = Path(__file__).parents[1]
    work = block + "import tests.conftest, benchmarks.gpu\nbenchmarks.gpu.main()"
    done = subprocess.run([sys.executable, "-c", work], cwd=root, capture_output=True, text=True, check=False)
    assert "no GPU answers here" in done.stderr or done.returncode == 0, done.stderr


class Event:
    """Stands for a device event, on the host's clock."""

    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        """Everything here is done already."""


def test_the_figures_of_a_machine_are_an_entry_of_the_page(tmp_path, monkeypatch):
    """The script on NumPy in CuPy's place: what it measures on a GPU only a GPU can tell."""
    runtime = SimpleNamespace(getDeviceProperties=lambda _: {"name": b"a device"}, driverGetVersion=lambda: 13000)
    times = {"Event": Event, "get_elapsed_time": lambda a, b: 1e3 * (b.at - a.at)}
    cuda = SimpleNamespace(runtime=runtime, Device=lambda: SimpleNamespace(id=0), **times)
    names = ("ones", "empty_like", "copyto", "asarray")
    stand_in = SimpleNamespace(cuda=cuda, __version__="0", **{name: getattr(np, name) for name in names})
    monkeypatch.setattr("tasks.array.namespace._cupy", lambda: stand_in)
    monkeypatch.setattr(gpu, "CASES", [replace(case, full=case.small) for case in CASES[:2]])
    monkeypatch.setattr(gpu, "COPIED", 1 << 10)
    monkeypatch.setattr(sys, "argv", ["gpu", "--json", str(tmp_path / "gpu.json"), "--seconds", "0.01"])
    gpu.main()
    entry = json.loads((tmp_path / "gpu.json").read_text())
    assert "a device" in entry["machine"]
    rows = [Figure(**row) for row in entry["rows"]]
    assert [row.name for row in rows[1::2]] == [f"{c.name}, {' x '.join(map(str, c.small))}" for c in CASES[:2]]
    assert all(row.value > 0 for row in rows)
