"""Two hundred damaged files of all formats: each is read or refused in one sentence; none crashes, hangs or eats memory."""

import subprocess
import sys
from pathlib import Path

import pytest

N_FILES = 200


@pytest.mark.parametrize("how", ["read", "night"])
def test_damaged_files_are_read_or_refused(tmp_path, how):
    command = [sys.executable, str(Path(__file__).parent / "malformed.py"), how, str(tmp_path), str(N_FILES), "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1].startswith(f"all {N_FILES} peak MB")
    assert int(done.stdout.split()[-1]) < 1000
