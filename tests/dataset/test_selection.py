"""Near-duplicates, coresets and mixtures against their plain definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.array.namespace import to_host
from tasks.dataset import neighbours
from tasks.dataset.components import components, merge_groups
from tasks.dataset.content import content_hashes, first_of_each
from tasks.dataset.embed import embed_images, embed_patches, embed_poses, pool
from tasks.dataset.facility import facility_location
from tasks.dataset.kcenter import k_center
from tasks.dataset.mixture import class_limits, mixture_limits, take_by_rank, unit_hash
from tasks.dataset.neighbours import near_duplicates
from tasks.dataset.sensitivity import sensitivities, sensitivity_sample


def cloud(n, kind="clustered", d=16, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    if kind == "clustered":
        x = rng.standard_normal((8, d))[rng.integers(8, size=n)] + 0.2 * x
    if kind == "repeated":
        x = x[rng.integers(max(1, n // 3), size=n)]
    return x.astype(np.float32)


def all_pairs(x, radius, other=None):
    distance = np.sqrt(((x[:, None].astype(float) - (x if other is None else other)) ** 2).sum(-1))
    i, j = (distance <= radius).nonzero()
    keep = i < j if other is None else slice(None)
    return np.stack([i[keep], j[keep]], axis=1)


@pytest.mark.parametrize("kind", ["clustered", "even", "repeated"])
@pytest.mark.parametrize("radius", [0.0, 0.5, 3.0])
def test_near_duplicates_are_those_exact_search_finds(xp, kind, radius):
    x = cloud(400, kind)
    pairs, distance = (to_host(a) for a in near_duplicates(xp.asarray(x), radius))
    np.testing.assert_array_equal(pairs, all_pairs(x, radius))
    np.testing.assert_allclose(distance, np.linalg.norm(x[pairs[:, 0]].astype(float) - x[pairs[:, 1]], axis=1))


@pytest.mark.parametrize("radius", [0.0, 1.0])
def test_near_duplicates_of_earlier_samples(xp, radius):
    x, old = cloud(60), np.concatenate([cloud(300, seed=1), cloud(60)[:7]])
    pairs = to_host(near_duplicates(xp.asarray(x), radius, xp.asarray(old))[0])
    np.testing.assert_array_equal(pairs, all_pairs(x, radius, old))


def test_a_narrow_border_still_finds_nearly_all_pairs(monkeypatch):
    rng = np.random.default_rng(3)
    x = cloud(3000, "even", d=64)
    x /= np.linalg.norm(x, axis=1)[:, None]
    x[1500:] = x[:1500] + 0.12 / 8 * rng.standard_normal((1500, 64))
    exact = {tuple(p) for p in near_duplicates(x, 0.15)[0].tolist()}
    monkeypatch.setattr(neighbours, "WORK", 0)
    quick = {tuple(p) for p in near_duplicates(x, 0.15)[0].tolist()}
    assert quick <= exact
    assert len(quick) >= 0.999 * len(exact) >= 1450


def test_near_duplicates_at_the_edges(xp):
    empty = xp.zeros((0, 4), xp.float32)
    assert near_duplicates(empty, 1.0)[0].shape == (0, 2)
    assert near_duplicates(xp.zeros((1, 4)), 1.0)[0].shape == (0, 2)
    assert near_duplicates(xp.zeros((3, 4)), 1.0, empty)[0].shape == (0, 2)
    assert len(near_duplicates(xp.zeros((30, 4)), 0.0)[0]) == 30 * 29 // 2
    with pytest.raises(ValueError, match="NaN"):
        near_duplicates(xp.full((3, 4), xp.nan), 1.0)
    with pytest.raises(ValueError, match="negative"):
        near_duplicates(xp.zeros((3, 4)), -1.0)


def plain_k_center(x, k, covered=()):
    near, chosen, reach = np.full(len(x), np.inf), [], []
    for centre in covered:
        near = np.minimum(near, np.linalg.norm(x - centre, axis=1))
    for _ in range(k):
        chosen.append(int(near.argmax()))
        reach.append(near[chosen[-1]])
        near = np.minimum(near, np.linalg.norm(x - x[chosen[-1]], axis=1))
    return chosen, reach


@pytest.mark.parametrize("kind", ["clustered", "even", "repeated"])
@pytest.mark.parametrize("n_covered", [0, 9])
def test_k_center_chooses_as_the_plain_form_does(xp, kind, n_covered):
    x, covered = cloud(500, kind, d=7), cloud(n_covered, "even", d=7, seed=5)
    chosen, reach = (to_host(a) for a in k_center(xp.asarray(x), 80, xp.asarray(covered) if n_covered else None))
    plain, plain_reach = plain_k_center(x, 80, covered)
    assert chosen.tolist() == plain
    np.testing.assert_allclose(reach, plain_reach, rtol=1e-5)
    assert (np.diff(reach[1:]) <= 1e-6).all()


def test_k_center_may_choose_all_rows():
    assert sorted(k_center(cloud(20, "even"), 20)[0]) == list(range(20))
    with pytest.raises(ValueError, match="between 0 and the 20"):
        k_center(cloud(20), 21)


def test_facility_location_is_greedy():
    x = cloud(60, "even", d=3)
    distance = np.linalg.norm(x[:, None] - x, axis=-1)
    similarity = 1 - distance / distance.max()
    covered, plain = np.zeros(60), []
    for _ in range(10):
        gain = np.maximum(similarity - covered[:, None], 0).sum(axis=0)
        plain.append(int(gain.argmax()))
        covered = np.maximum(covered, similarity[:, plain[-1]])
    chosen, gains = facility_location(x, 10, neighbours=60)
    assert chosen.tolist() == plain
    assert gains.sum() == pytest.approx(covered.sum(), rel=1e-5)
    assert (np.diff(gains) <= 1e-9).all()


def test_facility_location_finds_what_is_like_the_targets():
    x = np.concatenate([cloud(50, "even", seed=1), cloud(10, "even", seed=2) + 9])
    chosen, _ = facility_location(x, 3, targets=x[50:] + 0.01, neighbours=5)
    assert (chosen >= 50).all()


def test_sensitivity_weights_keep_sums():
    values = cloud(4000, "even", d=4).astype(float) ** 3 + 1
    shares = sensitivities(values)
    estimates = [
        values[rows].T @ weights for rows, weights in (sensitivity_sample(shares, 800, seed) for seed in range(40))
    ]
    np.testing.assert_allclose(np.mean(estimates, axis=0), values.sum(axis=0), rtol=0.1)
    assert shares.sum() == pytest.approx(1)
    assert sensitivities(np.zeros((4, 2))).tolist() == [0.25] * 4
    with pytest.raises(ValueError, match="NaN"):
        sensitivity_sample(np.array([1, np.nan]), 2, 0)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_components_are_named_after_their_lowest_member(pairs):
    label = components(np.array(pairs).reshape(-1, 2), 20)
    assert all(label[a] == label[b] for a, b in pairs)
    assert all(label[label[i]] == label[i] <= i for i in range(20))
    assert merge_groups(range(20), pairs) == dict(enumerate(label.tolist()))


def test_content_hashes_see_every_array():
    a, b = np.arange(12.0).reshape(4, 3), np.array([1, 1, 2, 1])
    a[3] = a[0]
    hashes = content_hashes([a, b])
    assert hashes[0] == hashes[3]
    assert len(set(hashes)) == 3
    assert content_hashes([a.astype("f4"), b])[0] != hashes[0]
    assert first_of_each(hashes, earlier=[hashes[1]]).tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match=r"\[3, 4\]"):
        content_hashes([a, b[:3]])


def test_class_limits_and_mixtures():
    assert class_limits(["a"] * 10 + ["b"] * 2, 3) == {"a": 6, "b": 2}
    assert mixture_limits({"x": 100, "y": 30}, {"x": 2, "y": 1}) == {"x": 60, "y": 30}
    assert mixture_limits({"x": 100, "y": 30}, {"x": 1, "y": 0}) == {"x": 100, "y": 0}
    for available, weights in (
        ({"x": 1}, {"y": 1}),
        ({"x": 1}, {"x": 1, "y": 1}),
        ({"x": 0}, {"x": 1}),
        ({"x": 1}, {"x": -1}),
    ):
        with pytest.raises(ValueError, match="source"):
            mixture_limits(available, weights)


@given(ids=st.lists(st.text(max_size=4), unique=True, max_size=30), limit=st.integers(0, 30), order=st.randoms())
def test_what_is_taken_does_not_depend_on_the_order(ids, limit, order):
    shuffled = ids.copy()
    order.shuffle(shuffled)

    def taken(names):
        return {
            i for i, t in zip(names, take_by_rank(names, ["c"] * len(names), {"c": limit}, "salt"), strict=True) if t
        }

    assert taken(ids) == taken(shuffled)
    assert len(taken(ids)) == min(limit, len(ids))


def test_hashes_are_even_and_salted():
    u = np.array([unit_hash("a", str(i)) for i in range(2000)])
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 0.03
    assert unit_hash("a", "x") != unit_hash("b", "x")


def test_embeddings_hardly_see_noise_but_see_another_scene(xp):
    rng = np.random.default_rng(0)
    coarse = rng.random((2, 4, 4, 31)).repeat(8, axis=1).repeat(8, axis=2)
    scenes = 5 + coarse
    noisy = scenes[0] + 0.1 * rng.standard_normal((32, 32, 31))
    a, b, c = to_host(embed_patches(xp.asarray(np.stack([scenes[0], noisy, scenes[1]]))))
    assert np.linalg.norm(a - b) < 0.1 < 1 < np.linalg.norm(a - c)
    assert a.shape == (64,)
    assert np.linalg.norm(a) == pytest.approx(1)


def test_image_embeddings_ignore_brightness_and_sky(xp):
    y, x = np.mgrid[:64, :64]
    source = np.exp(-((y - 20) ** 2 + (x - 40) ** 2) / 50)
    a, b, c = to_host(embed_images(xp.asarray(np.stack([source, 3 * source + 7, source[::-1]]))))
    assert np.linalg.norm(a - b) < 0.05 < 0.5 < np.linalg.norm(a - c)


def test_a_quaternion_and_its_negative_are_one_pose(xp):
    qpos = np.random.default_rng(0).standard_normal((1, 23))
    other = qpos.copy()
    other[:, 3:7] *= -2
    np.testing.assert_allclose(
        to_host(embed_poses(xp.asarray(qpos))), to_host(embed_poses(xp.asarray(other))), atol=1e-6
    )


def test_pool_keeps_means(xp):
    values = xp.arange(30.0).reshape(2, 15)
    assert to_host(pool(values, 1, 5)).tolist() == to_host(values.reshape(2, 5, 3).mean(axis=2)).tolist()
    assert pool(values, 1, 99) is values


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 120), d=st.integers(1, 5), radius=st.floats(0, 2), seed=st.integers(0, 99))
def test_any_cloud_gives_exactly_the_close_pairs(n, d, radius, seed):
    x = np.random.default_rng(seed).integers(-2, 3, (n, d)).astype(np.float32) / 2
    np.testing.assert_array_equal(near_duplicates(x, radius)[0], all_pairs(x, radius))
