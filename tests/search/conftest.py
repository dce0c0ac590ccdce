"""Noise and plans that several tests of the search share."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.search.calibration import stretches
from tasks.search.find import _block, _calibrate, _check, _Sky, make_plan, typical_weight


@pytest.fixture(scope="session")
def prepared():
    """A function that calibrates a cube and returns its plan, its only block and the baseline."""

    def prepare(cube, freqs, dt, mask=None, threshold=6.0, **trials):
        sky = _Sky(cube, _check(cube, freqs, dt, mask), mask, None)
        options = {"dm_max": 1000.0} | trials
        plan = make_plan(cube.shape, sky.freqs, dt, threshold, **options)
        weights, level = _calibrate(sky, stretches(cube.shape[0])[0])
        plan = replace(plan, typical=typical_weight(weights.u))
        return plan, _block(sky, plan, weights, [level], 0, np.arange(cube.shape[2] * cube.shape[3])), weights

    return prepare
