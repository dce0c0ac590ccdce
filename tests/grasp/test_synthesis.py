"""What a person relies on: more grasps extend the set, the same seed gives the same bytes, grasps hold."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tasks.grasp import load_hand, synthesize, synthesize_all, validate
from tasks.grasp.field import distance_grid
from tasks.grasp.quality import diversity, smallest_wrench, unanswered_wrench
from tasks.grasp.validation import Bench, wilson_interval
from tests.grasp.shapes import ball, box


@pytest.fixture(scope="module")
def made():
    hand, thing = load_hand("allegro"), box((0.05, 0.05, 0.08))
    return hand, thing, synthesize(hand, thing, n=40, seed=2)


def test_more_grasps_extend_the_set(made):
    hand, thing, grasps = made
    fewer = synthesize(hand, thing, n=9, seed=2)
    assert fewer.qpos.tobytes() == grasps.qpos[:9].tobytes()
    rest = synthesize(hand, thing, n=40, seed=2, start=30)
    assert rest.qpos.tobytes() == grasps.qpos[30:].tobytes()
    assert synthesize(hand, thing, n=9, seed=3).qpos.tobytes() != fewer.qpos.tobytes()


def test_objects_that_share_lanes_get_the_grasps_they_get_alone(made):
    hand, thing, grasps = made
    hard = box((0.16, 0.01, 0.16))  # a plate: some grasps need several seeds
    shared = synthesize_all(hand, [hard, thing, ball(0.03)], n=40, seed=2)
    assert shared[0].tries.max() > 1
    assert shared[1].qpos.tobytes() == grasps.qpos.tobytes()
    assert shared[1].tries.tobytes() == grasps.tries.tobytes()
    alone = synthesize(hand, hard, n=40, seed=2)
    for name in ("qpos", "force", "demerit", "tries"):
        assert getattr(shared[0], name).tobytes() == getattr(alone, name).tobytes(), name


def test_grasps_are_poses_of_the_hand(made):
    hand, _, grasps = made
    assert grasps.qpos.shape == (40, 3, 23) and np.isfinite(grasps.qpos).all()
    assert np.allclose(np.linalg.norm(grasps.qpos[..., 3:7], axis=-1), 1, atol=1e-5)
    stops = hand.tables.joints.stops
    assert (grasps.qpos[..., 7:] >= stops[:, 0] - 1e-6).all() and (grasps.qpos[..., 7:] <= stops[:, 1] + 1e-6).all()


def test_most_grasps_touch_and_hold(made):
    hand, thing, grasps = made
    assert grasps.converged.mean() > 0.9
    verdicts = validate(hand, grasps.qpos[:6], thing)
    assert verdicts.success.mean() > 0.6
    assert verdicts.penetration.mean() < 5e-4 and verdicts.self_penetration.max() < 1e-3
    assert (verdicts.contact_number >= 3).all()


def test_a_hand_that_does_not_touch_holds_nothing(made):
    hand, thing, grasps = made
    away = grasps.qpos[:2].copy()
    away[..., 0] += 0.5
    verdicts = validate(hand, away, thing)
    assert not verdicts.success.any() and (verdicts.contact_number == 0).all()


def test_the_grid_holds_exact_distances():
    pieces = list(box((0.04, 0.06, 0.02)).pieces)
    values, origin, spacing = distance_grid(pieces)
    rng = np.random.default_rng(0)
    where = np.column_stack([rng.integers(0, n, 200) for n in values.shape])
    x = np.abs(origin + spacing * where) - np.array([0.02, 0.03, 0.01])
    truth = np.linalg.norm(np.maximum(x, 0), axis=1) + np.minimum(x.max(1), 0)
    found = values[tuple(where.T)]
    assert np.allclose(found[truth > 0], truth[truth > 0], atol=1e-6)
    assert np.allclose(found[truth < 0], truth[truth < 0], atol=1e-6)


def test_a_ball_resists_more_the_wider_it_is_held():
    points = np.array([[1, 0, 0], [-0.5, 0.87, 0], [-0.5, -0.87, 0], [0, 0, 1]])
    wide = smallest_wrench(points, points, mu=0.6, centre=np.zeros(3), length=1.0)
    assert wide > 0.05
    assert smallest_wrench(points[:2], points[:2], mu=0.6, centre=np.zeros(3), length=1.0) < wide


def test_contacts_on_all_sides_answer_every_wrench():
    n = np.concatenate([np.eye(3), -np.eye(3)])
    turned = Rotation.random(rng=1).as_matrix()
    for axes in (np.eye(3), turned):  # pyramids are not cones: a turned one answers a little more or less
        short, long = (unanswered_wrench(r * n @ axes, n @ axes, centre=np.zeros(3)) for r in (0.05, 0.5))
        assert short < 0.02  # arms of 5 cm and half the friction cannot give all of 0.1 N m
        assert long < 1e-4


def test_contacts_on_one_side_answer_little():
    n = np.array([[0, 0, 1.0], [0, 0, 1.0]])
    points = np.array([[0.02, 0, 0.05], [-0.02, 0, 0.05]])
    assert unanswered_wrench(points, n, centre=np.zeros(3)) > 0.5  # they must push, and nothing pushes back
    assert unanswered_wrench(np.zeros((0, 3)), np.zeros((0, 3)), centre=np.zeros(3)) == 2


def test_alike_grasps_have_no_diversity(made):
    assert diversity(np.repeat(made[2].qpos[:1, 1], 5, 0)) < 1e-6
    assert diversity(made[2].qpos[:, 1]) > 0.3


def test_wilson_intervals():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    low, high = wilson_interval(29, 30)
    assert low == pytest.approx(0.833, abs=2e-3) and high == pytest.approx(0.994, abs=2e-3)


def test_on_a_table_the_hand_keeps_above_it_and_lifts(made):
    hand, thing, _ = made
    grasps = synthesize(hand, thing, n=24, seed=2, table=True)
    bench = Bench(Bench.build(hand, thing, table=True), hand)
    for pose in grasps.qpos[:, :2].reshape(-1, 23)[np.repeat(grasps.converged, 2)]:
        bench.reset(pose)
        sunk = [-c.dist for c in bench.data.contact if 0 in bench.model.geom_bodyid[[c.geom1, c.geom2]]]
        assert max(sunk, default=0) < 1e-3
    assert validate(hand, grasps, thing, test="lift").success.mean() > 0.9


def test_a_lift_is_judged(made):
    hand, _, _ = made
    thing = ball(0.035)
    grasps = synthesize(hand, thing, n=3, seed=1)
    assert validate(hand, grasps, thing, test="lift").success.shape == (3,)
