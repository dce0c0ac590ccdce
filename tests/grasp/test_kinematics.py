"""Forward kinematics against MuJoCo, gradients against finite differences, link distances against MuJoCo."""

import mujoco
import numpy as np
import pytest
from numba import njit

from tasks.grasp import load_hand
from tasks.grasp.body._solids import separation
from tasks.grasp.lanes import Lanes
from tasks.grasp.object import field_of
from tasks.grasp.picture import link_frames
from tasks.grasp.seeds import seed_poses
from tasks.grasp.stages import Stage
from tests.grasp.shapes import ball

HANDS = ("allegro", "leap", "shadow")


def lanes_of(name, n=6, seed=1, table=False):
    hand, thing = load_hand(name), ball(0.035)
    lanes = Lanes(hand, field_of([thing], table=table), np.zeros(n, np.int64))
    active = np.arange(n)
    lanes.begin(active, seed_poses(hand, thing, n, attempts=1, seed=seed)[:, 0])
    return hand, lanes, active


@pytest.mark.parametrize("name", HANDS)
def test_links_stand_where_mujoco_puts_them(name):
    hand, lanes, active = lanes_of(name)
    lanes.evaluate(active, Stage(1, 20, 300, 300, 300, 0.01, 0.002, 0.01))
    model, data = floating(hand)
    for lane in active:
        data.qpos[:] = lanes.poses[lane]
        mujoco.mj_kinematics(model, data)
        for link, joint in enumerate(hand.joint_names, 1):
            body = model.jnt_bodyid[model.joint(joint).id]
            assert np.allclose(lanes.X[lane, link, 9:], data.xpos[body], atol=2e-6)
            assert np.allclose(lanes.X[lane, link, :9], data.xmat[body], atol=1e-5)
        frames = link_frames(hand, lanes.poses[lane].astype(float))
        assert np.allclose(frames[-1][1], lanes.X[lane, -1, 9:], atol=2e-6)


@pytest.mark.parametrize(("name", "table"), [*((name, False) for name in HANDS), ("allegro", True)])
def test_the_backward_sweep_is_the_gradient(name, table):
    _, lanes, active = lanes_of(name, table=table)
    # A small smoothing radius: smoothed normals are not quite the slope of the interpolated distance.
    stage = Stage(1, 0, 30, 100, 100, 0.0, 0.004, 0.001, own_margin=0.004)
    # Trilinear interpolation has kinks between its cells, and energies are float32: percents, not digits.
    assert np.median(slope_error(lanes, active, stage)) < 0.03


def slope_error(lanes, active, stage, h=2e-4):
    """Relative differences between the gradient and central differences along the gradient itself."""
    lanes.evaluate(active, stage)
    start = lanes.poses.copy()
    lanes.move(active, stage)  # fills grad, as a side effect moves the poses
    grad = lanes.grad.copy()
    errors = []
    for lane in active:
        g = grad[lane].copy()
        coupled = np.flatnonzero(lanes.tables.joints.partners >= 0)
        g[6 + coupled] = g[6 + lanes.tables.joints.partners[coupled]] = 0  # the tendon's share is not in the report
        g[3:6] = 0  # shifts and joints are plain coordinates; turns are tested by the hand's frames above
        size = np.linalg.norm(g)
        if size < 1:  # nothing pushes this lane: float32 has no slope to compare
            continue
        step = g / np.abs(g).max() * h
        values = []
        for sign in (1, -1):
            lanes.poses[:] = start
            lanes.poses[lane, :3] += sign * step[:3]
            lanes.poses[lane, 7:] += sign * step[6:]
            lanes.evaluate(active, stage)
            values.append(float(lanes.report[lane, 0]))
        errors.append(abs((values[0] - values[1]) / 2 - g @ step) / (g @ step))
    lanes.poses[:] = start
    return errors


@njit
def _separations(S, pairs, out):
    for k in range(pairs.shape[0]):
        out[k] = separation(0, S, pairs[k, 0], pairs[k, 1])[0]


@pytest.mark.parametrize("name", HANDS)
def test_links_are_as_far_apart_as_mujoco_says(name):
    hand, lanes, active = lanes_of(name, n=1)
    pairs = hand.tables.skin.pairs
    model, data = floating(hand)
    rng, seen = np.random.default_rng(0), 0
    for _ in range(6):
        lanes.poses[0, 7:] = rng.uniform(*hand.tables.joints.stops.T)
        data.qpos[:] = lanes.poses[0]
        mujoco.mj_forward(model, data)
        lanes.evaluate(active, Stage(1, 0, 30, 100, 100, 0.0, 0.0, 0.01))
        ours = np.empty(len(pairs), np.float32)
        _separations(lanes.body.S, pairs, ours)
        truth = np.array([mujoco.mj_geomDistance(model, data, a, b, 0.05, np.zeros(6)) for a, b in pairs])
        boxes = (model.geom_type[pairs] == mujoco.mjtGeom.mjGEOM_BOX).all(1)
        sunk = boxes & (truth < 0)
        assert np.allclose(ours[sunk], truth[sunk], atol=1e-4)  # penetration of two boxes: exact
        near = (
            (truth > -0.006) & (truth < 0.05) & (truth != 0)
        )  # 0: MuJoCo found no answer; deeper, a capsule's core has entered the box and its depth is a guess
        assert (ours < truth + 5e-4)[near].all()  # never farther apart than they are
        seen += int((truth < 0).sum())
    assert seen > 0


def floating(hand):
    """MuJoCo's model of a hand whose base moves freely, and its data."""
    spec = mujoco.MjSpec.from_file(str(hand.mjcf))
    spec.worldbody.first_body().add_freejoint()
    model = spec.compile()
    return model, mujoco.MjData(model)


def test_pairs_are_those_that_mujoco_collides():
    for name in HANDS:
        hand = load_hand(name)
        model, data = floating(hand)
        pairs = {tuple(p) for p in hand.tables.skin.pairs}
        rng = np.random.default_rng(2)
        for _ in range(50):
            data.qpos[7:] = rng.uniform(*hand.tables.joints.stops.T)
            mujoco.mj_forward(model, data)
            found = {tuple(sorted((int(c.geom1), int(c.geom2)))) for c in data.contact}
            assert found <= pairs
