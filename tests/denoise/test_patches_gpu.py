"""The CUDA twin of the patch filter, run in Numba's simulator on a handful of groups."""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip(
        "the simulator must be chosen before Numba is imported: NUMBA_ENABLE_CUDASIM=1", allow_module_level=True
    )

from tasks.denoise.patches import _cpu, _gpu

pytestmark = pytest.mark.cudasim

RNG = np.random.default_rng(0)
Y, X = np.mgrid[:12, :13]
CLEAN = np.stack([8 * np.sin(Y / 3) + 0.5 * X, 3 * np.cos(X / 4), 0 * X])
NOISY = (CLEAN + RNG.standard_normal(CLEAN.shape)).astype(np.float32)
ROWS, COLS = np.array([0, 3, 4]), np.array([0, 5])
LATTICE = (ROWS, COLS, np.array([0, 3]), np.array([0, 2]), 3)


def test_the_twins_find_the_same_groups():
    assert np.array_equal(_gpu.find_similar(NOISY, ROWS, COLS, 3, 8), _cpu.find_similar(NOISY, ROWS, COLS, 3, 8))


@pytest.mark.parametrize("wiener", [False, True])
def test_the_twins_agree(wiener):
    similar = _cpu.find_similar(NOISY, ROWS, COLS, 3, 4)
    pilot = CLEAN.astype(np.float32) if wiener else NOISY
    level = np.float32(1.3 if wiener else 3.0)
    found = _gpu.collaborate(NOISY[:2], pilot[:2], similar, LATTICE, level, wiener)
    wanted = _cpu.collaborate(
        np.ascontiguousarray(NOISY[:2]), np.ascontiguousarray(pilot[:2]), similar, LATTICE, level, wiener
    )
    assert np.abs(found - wanted).max() < 2e-4  # float32 sums in another order


def test_more_groups_than_blocks(monkeypatch):
    similar = _cpu.find_similar(NOISY, ROWS[:2], COLS[:1], 3, 2)
    whole = _gpu.collaborate(NOISY[:1], NOISY[:1], similar, LATTICE, np.float32(3), False)
    monkeypatch.setattr(_gpu, "BLOCKS", 1)
    assert np.array_equal(whole, _gpu.collaborate(NOISY[:1], NOISY[:1], similar, LATTICE, np.float32(3), False))


def test_too_many_images_are_refused():
    with pytest.raises(ValueError, match="in batches"):
        _gpu.collaborate(np.zeros((13, 8, 8), np.float32), None, np.zeros((1, 2), np.int32), LATTICE, 3, False)
