"""What a run records about what it removed."""

import numpy as np

from tasks.denoise.figures import ResidualSums


def residual_sums(before, after, valid):
    sums = ResidualSums(before.shape[2])
    for row in range(len(before)):
        sums.add(before[row : row + 1], after[row : row + 1], valid[row : row + 1])
    return sums.record()


def test_sums_are_those_of_what_was_removed_from_valid_samples():
    rng = np.random.default_rng(0)
    before, after = rng.normal(100, 5, (2, 7, 9, 4)).astype(np.float32)
    valid = rng.random(before.shape) > 0.2
    removed = np.where(valid, before.astype(float) - after, 0)
    found = residual_sums(before, after, valid)
    np.testing.assert_array_equal(found["count"], valid.sum((0, 1)))
    np.testing.assert_allclose(found["total"], removed.sum((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(found["square"], (removed**2).sum((0, 1)), rtol=1e-5)
    left = np.where(valid, after.astype(float), 0)
    np.testing.assert_allclose(found["both"], (removed * left).sum((0, 1)), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found["peak"], left.max((0, 1)), rtol=1e-6)
    cosine = (removed * left).sum(2) / np.sqrt((removed**2).sum(2) * (left**2).sum(2))
    assert np.isclose(found["angle"] / found["angles"], np.degrees(np.arccos(cosine)).mean())
    np.testing.assert_allclose(found["lag"], (removed[:, 1:] * removed[:, :-1]).sum((0, 1)), rtol=1e-4, atol=1e-3)


def test_one_column_has_no_neighbours():
    one = np.ones((3, 1, 2), np.float32)
    assert residual_sums(one, 0 * one, one > 0)["lag"] == [0.0, 0.0]
