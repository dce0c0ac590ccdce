"""A pulse between the trials: its own time, width, DM and place, and never a smaller S/N than the trial."""

import numpy as np
import pytest

from tasks.search.refine import Patch, Pulse, refine
from tests.search.oracle import DT, FREQS, pulse

SHAPE = (80, 8, 7, 7)


def patch(cube, origin=(0, 0, 0)):
    """Unit noise, and a baseline known from far more data than the patch."""
    return Patch(cube.astype(float), np.ones(cube.shape[:2]), np.full(cube.shape[1], 1e6), origin)


@pytest.mark.parametrize(("dy", "dx"), [(0.0, 0.0), (0.4, -0.3), (-0.25, 0.45)])
def test_what_lies_between_the_trials_is_found(dy, dx):
    truth = {"time": 5.31, "dm": 437.0, "width": 0.55, "y": 3 + dy, "x": 3 + dx}
    cube = pulse(SHAPE, FREQS, amplitude=5.0, fwhm=3.0, **truth)
    ideal = 5.0 * np.sqrt((pulse(SHAPE, FREQS, amplitude=1.0, **(truth | {"y": 3, "x": 3})) ** 2).sum())
    trial = Pulse(0.85 * ideal, 5.2 / DT, 3.0, 3.0, 400.0, 6.0)
    found = refine(trial, patch(cube), FREQS, DT, 1000.0)
    assert abs(found.time * DT - 5.31) < 0.2 * DT
    assert abs(found.width * DT - 0.55) < 0.15
    assert abs(found.dm - 437) < 60
    assert np.hypot(found.y - truth["y"], found.x - truth["x"]) < 0.15
    assert 0.97 * ideal < found.snr < 1.02 * ideal


def test_noise_never_lowers_the_snr_and_the_patch_may_lie_anywhere():
    cube = np.random.default_rng(3).standard_normal(SHAPE)
    trial = Pulse(5.5, 40.0, 3.0, 3.0, 500.0, 4.0)
    found = refine(trial, patch(cube), FREQS, DT, 1000.0)
    assert found.snr >= 5.5
    moved = refine(Pulse(5.5, 140.0, 53.0, 23.0, 500.0, 4.0), patch(cube, (100, 50, 20)), FREQS, DT, 1000.0)
    np.testing.assert_allclose(
        [moved.snr, moved.time - 100, moved.y - 50, moved.x - 20, moved.dm, moved.width],
        [found.snr, found.time, found.y, found.x, found.dm, found.width],
    )


def test_at_the_edge_of_the_image_the_pixel_itself_is_the_place():
    cube = pulse(SHAPE, FREQS, time=5.0, dm=300.0, width=0.5, y=0, x=3, amplitude=5.0, fwhm=3.0)
    found = refine(Pulse(10.0, 5.0 / DT, 0.0, 3.0, 300.0, 4.0), patch(cube), FREQS, DT, 1000.0)
    assert (found.y, found.x) == (0.0, 3.0)
