"""The house rules that a program can check."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("deployments", "flows", "tasks", "storage")


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_come_from_this_checkout(name):
    assert Path(import_module(name).__file__).parent == ROOT / name


def test_imports_point_inwards():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_long_modules_say_why():
    for name in PACKAGES:
        for path in (ROOT / name).rglob("*.py"):
            lines = path.read_text(encoding="utf-8").splitlines()
            assert len(lines) <= 300 or "300 lines" in "\n".join(lines[:12]), (
                f"{path} has {len(lines)} lines and no reason"
            )
