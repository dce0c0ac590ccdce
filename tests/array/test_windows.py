"""Windows: their weights sum to one, and blending is invisible to an operator that does not look too far."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from tasks.array.windows import blended, window_starts, window_weights


@pytest.mark.parametrize(
    ("size", "window", "overlap", "reach"),
    [(100, 32, 8, 0), (97, 20, 9, 3), (31, 31, 5, 2), (5, 10, 3, 1), (64, 16, 15, 7)],
)
def test_weights_are_a_partition_of_unity(size, window, overlap, reach):
    starts, weights = window_weights(size, window, overlap, reach)
    total = np.zeros(size)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + len(weight)] += weight
    assert np.allclose(total, 1)
    assert (weights >= 0).all()


def test_starts_cover_the_axis():
    assert window_starts(100, 32, 8) == [0, 24, 48, 68]
    assert window_starts(10, 32, 8) == [0]


def test_a_box_filter_leaves_no_seam(xp):
    cube = np.random.default_rng(0).standard_normal((70, 55, 12)).astype(np.float32)

    def box(part):
        for axis, size in ((0, 9), (1, 9), (2, 3)):
            part = uniform_filter1d(part, size, axis=axis, mode="nearest")
        return part

    found = blended(box, cube, (32, 24, 6), (12, 12, 4), (4, 4, 1))
    assert np.abs(found - box(cube)).max() < 1e-5


def test_too_little_overlap_is_refused():
    with pytest.raises(ValueError, match="more than twice the reach of 4"):
        window_weights(100, 32, 6, 4)
