"""Splits, gates, statistics and version ids: the laws that hold however a dataset grows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dataset.gates import at_least, at_most, enough_per_class, no_leak, none_of, not_finite, unique_ids
from tasks.dataset.moments import merge, moments
from tasks.dataset.splits import SplitPlan, assign_splits, crossing
from tasks.dataset.versions import recipe_hash, version_id
from tasks.dataset.windows import cut_windows, valid_fraction, window_origins

PLAN = SplitPlan({"train": 0.6, "val": 0.2, "test": 0.2}, salt="s")


@st.composite
def growth(draw):
    """Nights of new samples, each in a group, with near-duplicates among all so far."""
    nights, samples = [], []
    for night in range(draw(st.integers(1, 5))):
        groups = draw(st.lists(st.integers(0, 25), max_size=8))
        fresh = [(f"{night}-{i}", f"g{g}") for i, g in enumerate(groups)]
        samples += fresh
        ends = st.integers(0, max(0, len(samples) - 1))
        pairs = draw(st.lists(st.tuples(ends, ends), max_size=6)) if fresh else []
        nights.append((fresh, [(samples[a][0], samples[b][0]) for a, b in pairs]))
    return nights


@settings(max_examples=150, deadline=None)
@given(growth())
def test_no_group_and_no_pair_is_ever_in_two_splits(nights):
    stored, group_of, kept, pairs = {}, {}, {}, []
    for fresh, new_pairs in nights:
        group_of |= dict(fresh)
        pairs += new_pairs
        before = dict(stored)
        links = [(group_of[a], group_of[b]) for a, b in new_pairs]
        stored |= assign_splits({g: g[-1] for g in group_of.values()}, links, stored, PLAN)
        assert {g: stored[g] for g in before} == before
        kept |= {sample: stored[group] for sample, group in fresh}
        for sample in crossing(pairs, kept, PLAN):
            assert kept[sample] != "test"
            del kept[sample]
        ids = sorted(kept)
        assert no_leak(ids, [group_of[i] for i in ids], [kept[i] for i in ids], pairs).passed


@given(growth(), st.randoms())
def test_splits_do_not_depend_on_order(nights, order):
    groups = {g: g[-1] for fresh, _ in nights for _, g in fresh}
    group_of = {s: g for fresh, _ in nights for s, g in fresh}
    links = [(group_of[a], group_of[b]) for _, pairs in nights for a, b in pairs]
    shuffled, turned = list(groups.items()), [(b, a) for a, b in links]
    order.shuffle(shuffled)
    order.shuffle(turned)
    assert assign_splits(groups, links, {}, PLAN) == assign_splits(dict(shuffled), turned, {}, PLAN)


@pytest.mark.parametrize("n", [3, 5, 20, 200])
def test_the_first_version_has_every_split_in_its_proportion(n):
    splits = list(assign_splits({f"g{i}": "one" for i in range(n)}, [], {}, PLAN).values())
    assert abs(splits.count("train") - 0.6 * n) <= 1
    assert splits.count("val") >= 1
    assert splits.count("test") >= 1


def test_strata_are_cut_apart_and_small_ones_together():
    groups = {f"a{i}": "a" for i in range(10)} | {f"b{i}": "b" for i in range(5)} | {f"c{i}": f"c{i}" for i in range(5)}
    splits = assign_splits(groups, [], {}, PLAN)
    for stratum, n in (("a", 10), ("b", 5), ("c", 5)):
        given = [s for g, s in splits.items() if g.startswith(stratum)]
        assert given.count("test") == given.count("val") == n // 5


def test_later_groups_follow_their_hash():
    stored = {"old": "train"}
    many = assign_splits({f"g{i}": "x" for i in range(3000)} | {"old": "x"}, [], stored, PLAN)
    assert "old" not in many
    assert abs(list(many.values()).count("test") / 3000 - 0.2) < 0.03
    few = assign_splits({"g7": "x", "old": "x"}, [], stored, PLAN)
    assert few["g7"] == many["g7"]


def test_a_group_like_a_stored_one_joins_it():
    stored = {"a": "test", "b": "train"}
    assert assign_splits(
        {"c": "x", "d": "x", **dict.fromkeys(stored, "x")}, [("c", "d"), ("d", "a")], stored, PLAN
    ) == {"c": "test", "d": "test"}
    assert assign_splits({"c": "x"}, [("c", "a"), ("c", "b")], stored, PLAN) == {"c": "train"}
    assert crossing([("c1", "a1"), ("c1", "b1")], {"a1": "test", "b1": "train", "c1": "train"}, PLAN) == {"c1"}


def test_impossible_fractions_are_refused():
    with pytest.raises(ValueError, match="fractions"):
        SplitPlan({"train": 0.0})


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 99))
def test_moments_merge_to_those_of_the_whole(sizes, seed):
    rng = np.random.default_rng(seed)
    parts = [1000 + rng.standard_normal((n, 2, 3)) for n in sizes]
    valid = [rng.random(p.shape) > 0.3 for p in parts]
    merged, whole = (
        merge(moments(p, v) for p, v in zip(parts, valid, strict=True)),
        moments(np.concatenate(parts), np.concatenate(valid)),
    )
    for name in ("count", "mean", "m2", "low", "high"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=1e-9, atol=1e-9)


def test_moments_are_those_of_numpy():
    x = np.random.default_rng(0).standard_normal((50, 4, 3))
    m = moments(x)
    np.testing.assert_allclose(m.std, x.std(axis=(0, 1)))
    np.testing.assert_allclose(m.mean, x.mean(axis=(0, 1)))


def test_gates_name_the_offenders():
    ids = ["a", "b", "c"]
    assert none_of("nan", ids, np.array([False, True, True])).offenders == ("b", "c")
    assert at_least("valid", ids, np.array([1, 0.5, np.nan]), 0.7).offenders == ("b", "c")
    assert at_most("depth", ids, np.array([0.1, 0.5, 0.2]), 0.5).passed
    assert at_most("depth", [], np.zeros(0), 0.5).passed
    few = enough_per_class(["x", "x", "y"], 2, wanted=["z"])
    assert few.offenders == ("y", "z")
    assert few.found == 0
    assert "gate class_minimum failed: found 0, limit 2; first of them: y, z" in str(few)
    assert unique_ids(["a", "b", "a"]).offenders == ("a",)
    assert no_leak(ids, ["g", "g", "h"], ["train", "test", "test"], []).offenders == ("g",)
    assert no_leak(ids, ["f", "g", "h"], ["train", "test", "test"], [("a", "b")]).offenders == ("a",)


def test_not_finite_looks_at_every_float_array():
    a, b = np.ones((3, 2)), np.ones((3, 4, 4), np.float32)
    a[0, 1], b[2, 3, 3] = np.nan, np.inf
    assert not_finite({"a": a, "b": b, "c": np.ones(3, int)}).tolist() == [True, False, True]


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=6), st.randoms())
def test_a_version_id_depends_on_content_only(shards, order):
    recipe = {"b": [1, 2], "a": {"x": 1.5}}
    items = list(shards.items())
    order.shuffle(items)
    assert version_id(shards, recipe) == version_id(dict(items), dict(reversed(recipe.items())))
    assert version_id(shards, recipe) != version_id({**shards, "more": "0"}, recipe)
    assert recipe_hash(recipe) != recipe_hash({**recipe, "c": 0})


@pytest.mark.parametrize(("shape", "size", "stride"), [((10, 7), 4, 2), ((8, 8), 8, 3), ((33, 9), 5, 5)])
def test_windows_and_their_valid_share(xp, shape, size, stride):
    rng = np.random.default_rng(0)
    image, valid = rng.random((*shape, 2)), rng.random(shape) > 0.4
    origins = window_origins(shape, size, stride)
    assert (origins + size <= shape).all()
    assert (origins % stride == 0).all()
    cut = cut_windows(xp.asarray(image), origins, size)
    assert cut.shape == (len(origins), size, size, 2)
    expected = [valid[y : y + size, x : x + size].mean() for y, x in origins]
    np.testing.assert_allclose(valid_fraction(valid, origins, size), expected)


def test_images_without_a_window_are_named():
    with pytest.raises(ValueError, match="holds no window of 9"):
        window_origins((8, 20), 9, 4)
