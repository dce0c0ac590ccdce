"""Sums with one tree, and spreads that outliers cannot move."""

import numpy as np
import pytest

from tasks.array.namespace import to_host
from tasks.array.statistics import mad_sigma, tree_reduce, weighted_mean


def test_tree_is_fixed_by_the_number_of_parts():
    assert tree_reduce(list("abcdefg"), lambda a, b: f"({a}{b})") == "(((ab)(cd))((ef)g))"


def test_tree_sums_like_a_sum():
    values = np.random.default_rng(0).standard_normal(1001)
    assert np.isclose(tree_reduce(values, lambda a, b: a + b), values.sum())


def test_tree_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no parts"):
        tree_reduce([], lambda a, b: a)


def test_mad_ignores_outliers_and_nan(xp):
    values = np.random.default_rng(1).standard_normal((20_000, 2)) * [1.0, 3.0]
    values[::5] = 1e6
    values[1::50] = np.nan
    found = to_host(mad_sigma(xp.asarray(values), axis=0))
    assert np.allclose(found, [1.35, 4.05], rtol=0.05)  # a fifth of gross outliers inflates the MAD by 1.35


def test_weighted_mean_skips_what_has_no_weight(xp):
    values = xp.asarray([[1.0, 2.0, np.nan], [np.nan, np.nan, np.nan]])
    weights = xp.asarray([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    found = to_host(weighted_mean(values, weights, axis=1))
    assert found[0] == 1.75 and np.isnan(found[1])
