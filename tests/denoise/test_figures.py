"""What a run records about what it removed."""

import numpy as np

from tasks.denoise.figures import residual_sums


def test_sums_are_those_of_what_was_removed_from_valid_samples():
    rng = np.random.default_rng(0)
    before, after = rng.normal(100, 5, (2, 7, 9, 4)).astype(np.float32)
    valid = rng.random(before.shape) > 0.2
    removed = np.where(valid, before.astype(float) - after, 0)
    found = residual_sums(before, after, valid)
    np.testing.assert_array_equal(found["count"], valid.sum((0, 1)))
    np.testing.assert_allclose(found["total"], removed.sum((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(found["square"], (removed**2).sum((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found["lag"], (removed[:, 1:] * removed[:, :-1]).sum((0, 1)), rtol=1e-4, atol=1e-3)


def test_one_column_has_no_neighbours():
    one = np.ones((3, 1, 2), np.float32)
    assert residual_sums(one, 0 * one, one > 0)["lag"] == [0.0, 0.0]
