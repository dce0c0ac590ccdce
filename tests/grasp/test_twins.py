"""The CUDA twins of the grasp kernels, run in Numba's simulator against the CPU twins."""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip(
        "the simulator must be chosen before Numba is imported: NUMBA_ENABLE_CUDASIM=1", allow_module_level=True
    )

from tasks.grasp import _cpu, _gpu, load_hand
from tasks.grasp.field import _faces
from tasks.grasp.lanes import Lanes
from tasks.grasp.object import field_of
from tasks.grasp.seeds import seed_poses
from tasks.grasp.stages import DESCENT
from tests.grasp.shapes import box

pytestmark = pytest.mark.cudasim


def test_a_step_is_the_same_on_both_twins():
    hand, thing = load_hand("allegro"), box((0.05, 0.05, 0.08))
    seeds = seed_poses(hand, thing, 2, attempts=1, seed=3)[:, 0]
    active, stage = np.arange(2), DESCENT[-1]
    ours, theirs = (Lanes(hand, field_of([thing], table=True), np.zeros(2, np.int64)) for _ in range(2))
    for lanes, kernels in ((ours, _cpu), (theirs, _gpu)):
        lanes.kernels = kernels
        lanes.begin(active, seeds)
        lanes.evaluate(active, stage)
        lanes.move(active, stage)

    assert np.allclose(ours.X, theirs.X, atol=1e-6)
    assert np.allclose(ours.K, theirs.K, atol=1e-4)
    assert np.allclose(ours.force.Z, theirs.force.Z, atol=1e-4)
    assert np.allclose(ours.report, theirs.report, rtol=1e-3, atol=1e-5)
    assert np.allclose(ours.grad, theirs.grad, rtol=1e-2, atol=1e-2 * np.abs(ours.grad).max())
    assert np.allclose(ours.poses, theirs.poses, atol=1e-4)
    assert np.allclose(ours.squeeze(active), theirs.squeeze(active), atol=1e-4)


def test_the_distance_grids_agree():
    triangles, planes, starts = _faces(list(box((0.02, 0.03, 0.02)).pieces))
    grids = [np.empty((4, 5, 4), np.float32) for _ in range(2)]
    for kernels, values in zip((_cpu, _gpu), grids, strict=True):
        kernels.fill_distances(triangles, planes, starts, np.full(3, -0.03, np.float32), np.float32(0.015), values)
    assert np.allclose(*grids, atol=1e-6)
