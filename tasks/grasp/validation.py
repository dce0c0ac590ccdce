"""Verdicts of MuJoCo: does a grasp hold the object, and how deep do bodies sink into each other?

The conditions are those of DexGraspBench (Chen et al. 2025, arXiv:2412.16490, sec. V): 4 ms steps, friction 0.6 and
0.02, a 0.1 kg object, position actuators of 5 N m/rad, the base welded to a driven body.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from os import sched_getaffinity

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from .hand import SPRING, Hand
from .object import Object
from .synthesis import Grasps

MASS = 0.1
"""Mass of the object [kg]."""
FRICTION = (0.6, 0.02, 1e-4)
PUSH = 10.0 * MASS
"""Disturbing force [N]."""
TWIST = 0.02
"""Disturbing torque [N m]: the force at a lever of 2 cm."""
FAR, TILT = 0.05, 15.0
"""How far [m] and by what angle [degrees] a held object may move."""
TOUCH = 0.002
"""Two bodies nearer than this touch [m]."""


@dataclass(frozen=True)
class Verdicts:
    """What the simulator says of each grasp; every attempted grasp has a row.

    ``success`` (grasp,) bool; ``penetration`` and ``self_penetration`` (grasp,) [m] in the grasp pose;
    ``contact_number`` (grasp,) links that touch; ``contact_distance`` (grasp,) mean fingertip distance, at most 1 cm [m];
    ``seconds`` (grasp,) how long the object was held in all [s].
    """

    success: np.ndarray
    penetration: np.ndarray
    self_penetration: np.ndarray
    contact_number: np.ndarray
    contact_distance: np.ndarray
    seconds: np.ndarray

    @property
    def clean(self) -> np.ndarray:
        """Held, and nothing sinks in by 1 mm."""
        return self.success & (self.penetration < 1e-3) & (self.self_penetration < 1e-3)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95 % interval of the success rate."""
        return wilson_interval(int(self.success.sum()), len(self.success))


def wilson_interval(held: int, tried: int, z: float = 1.959964) -> tuple[float, float]:
    """Confidence interval of a rate (Wilson 1927); (0, 1) when nothing was tried."""
    if tried == 0:
        return 0.0, 1.0
    rate, share = held / tried, z * z / tried
    middle, half = rate + share / 2, z * np.sqrt(rate * (1 - rate) / tried + share / (4 * tried))
    return float(max(0.0, (middle - half) / (1 + share))), float(min(1.0, (middle + half) / (1 + share)))


def validate(
    hand: Hand, grasps: Grasps | np.ndarray, thing: Object, *, test: str = "floating", torques: bool = False
) -> Verdicts:
    """Simulate grasps in MuJoCo.

    Parameters
    ----------
    hand : Hand
    grasps : Grasps or (grasp, 3, 7 + dof) array
        Pre-grasp, grasp and squeeze poses in the object's frame [m, rad].
    thing : Object
    test : "floating" or "lift"
        Without gravity, pushed by 1 N along six directions for 2 s each; or lifted 10 cm off a table under the object.
    torques : bool
        In the floating test also twist by 0.02 N m about six directions.

    Raises
    ------
    ValueError
        If the poses do not fit the hand or the test is unknown.
    """
    poses = np.asarray(getattr(grasps, "qpos", grasps), float)
    if poses.ndim != 3 or poses.shape[1:] != (3, 7 + hand.dof):
        raise ValueError(
            f"grasps have shape {poses.shape}, expected (grasp, 3, {7 + hand.dof}) for the hand {hand.name}"
        )
    if test not in ("floating", "lift"):
        raise ValueError(f"test must be 'floating' or 'lift', got {test!r}")
    model = Bench.build(hand, thing, table=test == "lift")
    shares = np.array_split(np.arange(len(poses)), min(len(sched_getaffinity(0)), max(len(poses), 1)))

    def run(share: np.ndarray) -> list[tuple]:
        bench = Bench(model, hand)
        return [bench.judge(poses[i], test, torques) for i in share]

    with ThreadPoolExecutor(len(shares)) as pool:
        rows = np.array(list(chain.from_iterable(pool.map(run, shares))), float).reshape(len(poses), 6)
    return Verdicts(rows[:, 0] > 0, rows[:, 1], rows[:, 2], rows[:, 3].astype(int), rows[:, 4], rows[:, 5])


class Bench:
    """One simulation of a hand and an object, reset for every grasp."""

    def __init__(self, model: mujoco.MjModel, hand: Hand):
        self.model, self.data = model, mujoco.MjData(model)
        self.object = model.body("nightloom_object").id
        self.base_at = model.jnt_qposadr[model.body_jntadr[1]]
        self.object_at = model.joint("nightloom_object").qposadr[0]
        self.joints_at = [model.joint(n).qposadr[0] for n in hand.joint_names]
        self.tips = [t + 1 for t in hand.tables.tips.links]
        self.links = _links(model, hand)

    @staticmethod
    def build(hand: Hand, thing: Object, *, table: bool = False) -> mujoco.MjModel:
        """The hand on a driven base, and the object's pieces as one free body."""
        spec = mujoco.MjSpec.from_file(str(hand.mjcf))
        _set_options(spec.option)
        base = spec.worldbody.first_body()
        if base.first_joint() is None:
            base.add_freejoint(name="nightloom_base")
        _replace_actuators(spec, hand)
        for geom in spec.geoms:
            geom.friction, geom.condim = FRICTION, 4
            geom.solimp, geom.solref = [0.5, 0.99, 0.0001, 0.5, 2], [0.005, 1]
        spec.worldbody.add_body(name="nightloom_driver", mocap=True)
        weld = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1.0]
        weld += [0.0] * (mujoco.mj_versionString() >= "3.4")
        spec.add_equality(
            type=mujoco.mjtEq.mjEQ_WELD,
            name1="nightloom_driver",
            name2=base.name,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            solimp=[0.9, 0.95, 0.001, 0.5, 2],
            data=weld,
        )
        _add_object(spec, thing)
        if table:
            spec.worldbody.add_geom(
                name="nightloom_table",
                type=mujoco.mjtGeom.mjGEOM_PLANE,
                pos=[0, 0, thing.foot],
                size=[1, 1, 0.1],
                friction=FRICTION,
                condim=4,
            )
        return spec.compile()

    def judge(self, poses: np.ndarray, test: str, torques: bool) -> tuple:
        """Success, penetration, self-penetration, touching links, fingertip distance, seconds held."""
        deep, own, touching, distance = self.contacts(poses[1])
        before = self.contacts(poses[0])
        if max(before[:2]) > 0.01:
            return False, deep, own, touching, distance, 0.0
        held, seconds = self.lifts(poses) if test == "lift" else self.holds(poses, torques)
        return held, deep, own, touching, distance, seconds

    def reset(self, pose: np.ndarray) -> None:
        """Hand at ``pose``, object at rest at the origin."""
        m, d = self.model, self.data
        mujoco.mj_resetData(m, d)
        d.qpos[self.base_at : self.base_at + 7] = pose[:7]
        d.qpos[self.joints_at] = pose[7:]
        d.qpos[self.object_at : self.object_at + 7] = (0, 0, 0, 1, 0, 0, 0)
        d.ctrl[:] = pose[7:]
        d.mocap_pos[0], d.mocap_quat[0] = pose[:3], pose[3:7]
        mujoco.mj_forward(m, d)

    def contacts(self, pose: np.ndarray) -> tuple[float, float, int, float]:
        """Deepest hand-object and hand-hand penetration [m], touching links, mean fingertip distance [m]."""
        m, d = self.model, self.data
        margin = m.geom_margin.copy(), m.geom_gap.copy()
        m.geom_margin[self._object_geoms], m.geom_gap[self._object_geoms] = 0.01, 0.01
        self.reset(pose)
        deep, own, near = 0.0, 0.0, {}
        for contact in d.contact:
            one, other = int(m.geom_bodyid[contact.geom1]), int(m.geom_bodyid[contact.geom2])
            if 0 in (one, other):
                continue
            if self.object in (one, other):
                deep = max(deep, -contact.dist)
                link = self.links[one if other == self.object else other]
                near[link] = min(near.get(link, 0.01), contact.dist)
            else:
                own = max(own, -contact.dist)
        m.geom_margin[:], m.geom_gap[:] = margin
        touching = sum(abs(x) < TOUCH for x in near.values())
        return deep, own, touching, float(np.mean([max(near.get(t - 1, 0.01), 0.0) for t in self.tips]))

    @property
    def _object_geoms(self) -> np.ndarray:
        return np.flatnonzero(self.model.geom_bodyid == self.object)

    def close(self, poses: np.ndarray) -> None:
        """Pre-grasp to grasp to squeeze, 0.4 s each."""
        self.reset(poses[0])
        self.drive(poses[0], poses[1])
        self.drive(poses[1], poses[2])

    def drive(self, start: np.ndarray, end: np.ndarray) -> None:
        """Move base and joint targets in ten even steps of 40 ms."""
        m, d = self.model, self.data
        turn = Slerp([0, 1], Rotation.from_quat(np.stack([start[3:7], end[3:7]]), scalar_first=True))
        for a in np.linspace(0.1, 1.0, 10):
            d.mocap_pos[0] = start[:3] * (1 - a) + end[:3] * a
            d.mocap_quat[0] = turn(a).as_quat(scalar_first=True)
            d.ctrl[:] = start[7:] * (1 - a) + end[7:] * a
            mujoco.mj_step(m, d, 10)

    def holds(self, poses: np.ndarray, torques: bool) -> tuple[bool, float]:
        """Floating test; the closed grasp is simulated once and every disturbance starts from that state."""
        m, d = self.model, self.data
        self.close(poses)
        everything = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(m, everything))
        mujoco.mj_getState(m, d, state, everything)
        pushes = [(PUSH * s * e, np.zeros(3)) for s in (-1, 1) for e in np.eye(3)]
        if torques:
            pushes += [(np.zeros(3), TWIST * s * e) for s in (-1, 1) for e in np.eye(3)]
        seconds = 0.0
        for force, torque in pushes:
            mujoco.mj_setState(m, d, state, everything)
            d.xfrc_applied[self.object] = np.concatenate([force, torque])
            for _ in range(10):
                mujoco.mj_step(m, d, 50)
                if not self.near(0.0):
                    return False, seconds
                seconds += 0.2
        return True, seconds

    def lifts(self, poses: np.ndarray) -> tuple[bool, float]:
        """Tabletop test: weight on, close, lift the base by 10 cm in 0.4 s."""
        self.reset(poses[0])
        self.data.xfrc_applied[self.object, 2] = -PUSH
        self.drive(poses[0], poses[1])
        self.drive(poses[1], poses[2])
        up = poses[2].copy()
        up[2] += 0.1
        self.drive(poses[2], up)
        return self.near(0.1), 0.4

    def near(self, height: float) -> bool:
        """Whether the object is still where it should be."""
        place = self.data.qpos[self.object_at : self.object_at + 7]
        shift = np.linalg.norm(place[:3] - (0, 0, height))
        angle = 2 * np.degrees(np.arccos(min(1.0, abs(place[3]))))
        return bool(shift < FAR and angle < TILT)


def _links(model: mujoco.MjModel, hand: Hand) -> dict[int, int]:
    """The link of the hand's tables that each body belongs to."""
    own = {int(model.jnt_bodyid[model.joint(n).id]): link for link, n in enumerate(hand.joint_names, 1)}
    return {b: own.get(int(model.body_weldid[b]), 0) for b in range(model.nbody)}


def _set_options(option: mujoco.MjOption) -> None:
    option.timestep, option.integrator = 0.004, mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.disableflags = mujoco.mjtDisableBit.mjDSBL_GRAVITY
    option.cone, option.noslip_iterations, option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 2, 10


def _replace_actuators(spec: mujoco.MjSpec, hand: Hand) -> None:
    """One position actuator of the test's stiffness on every joint, whatever the model has."""
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for name in hand.joint_names:
        actuator = spec.add_actuator(name=f"nightloom_{name}", target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=SPRING)


def _add_object(spec: mujoco.MjSpec, thing: Object) -> None:
    body = spec.worldbody.add_body(name="nightloom_object")
    body.add_freejoint(name="nightloom_object")
    density = MASS / sum(_volume(v, f) for v, f in thing.pieces)
    for i, (v, f) in enumerate(thing.pieces):
        spec.add_mesh(name=f"nightloom_piece{i}", uservert=v.ravel().tolist(), userface=f.ravel().tolist())
        body.add_geom(
            name=f"nightloom_piece{i}",
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=f"nightloom_piece{i}",
            density=density,
            friction=FRICTION,
            condim=4,
        )


def _volume(v: np.ndarray, f: np.ndarray) -> float:
    a, b, c = (v[f[:, i]] - v.mean(0) for i in range(3))
    return float(np.abs((a * np.cross(b, c)).sum(1)).sum() / 6)
