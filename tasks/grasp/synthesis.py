"""Grasp synthesis: lanes of seeds go down the energy together; finished lanes leave, hopeless ones start again."""

from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import sched_getaffinity

import numpy as np

from tasks.array.namespace import native

from .body._wrench import TARGETS
from .hand import Hand
from .object import Object, field_of
from .seeds import seed_poses

Force = namedtuple("Force", "inverse G Z U B floors rest J")
Body = namedtuple("Body", "S counts tip_where tip_rows where row signed")

LANES = 64
"""Lanes that share one set of arrays: enough to hide the calls, few enough to stay in a core's cache."""


@dataclass(frozen=True)
class Grasps:
    """Synthesised grasps: poses and what the optimiser says of them."""

    qpos: np.ndarray
    leftover: np.ndarray
    gap: np.ndarray
    penetration: np.ndarray
    self_penetration: np.ndarray
    demerit: np.ndarray
    tries: np.ndarray

    @property
    def converged(self) -> np.ndarray:
        """Whether a grasp meets every criterion of the cheap filter."""
        return self.demerit <= 1

    def __len__(self) -> int:
        return len(self.qpos)


@dataclass(frozen=True)
class Stage:
    """Weights [1/unit], targets and lengths [m] of one stretch of the descent; see `body._energy`."""

    steps: int
    grasp: float
    tip: float
    inside: float
    own: float
    gap: float
    margin: float
    smooth: float
    mu: float = 0.1
    own_margin: float = 0.001
    force: float = 0.2
    torque: float = 0.1
    rounds: int = 10
    damping: float = 1.0
    longest: float = 1.0
    base_free: int = 1

    @property
    def row(self) -> np.ndarray:
        """The stage as the kernels read it."""
        return np.array([self.grasp, self.tip, self.inside, self.own, self.gap, self.margin, self.own_margin, self.smooth,
                         self.mu, self.force, self.torque], np.float32)


DESCENT = (
    Stage(20, 20, 300, 300, 300, 0.010, 0.004, 0.010),
    Stage(10, 20, 500, 1000, 1000, 0.004, 0.002, 0.008),
    Stage(8, 20, 1000, 2000, 2000, 0.0, 0.002, 0.005),
)
POLISH = Stage(8, 5, 3000, 4000, 4000, 0.0, 0.001, 0.004, rounds=8, damping=0.5, longest=0.5)
CHECK = Stage(1, 5, 3000, 4000, 4000, 0.0, 0.0, 0.003, mu=0.2, rounds=40)
OPEN = Stage(8, 0, 1000, 2000, 2000, 0.010, 0.003, 0.004, base_free=0, damping=0.5, longest=0.5)
LIMITS = np.array([0.3, 0.001, 0.0003, 0.0002], np.float32)
STRENGTH = np.float32(2.4)


class Lanes:
    """The state of some lanes and the four kernels that move it."""

    def __init__(self, hand: Hand, field, scenes: np.ndarray):
        t, n = hand.tables, len(scenes)
        links, contacts, size = len(t.chain.links), len(t.tips.groups), 6 + hand.dof
        v, deep, f = 3 * contacts, 6 + links, np.float32
        self.hand, self.field, self.scenes, self.tables = hand, field, scenes, t
        self.kernels = native(scenes, __package__)
        self.poses = np.zeros((n, 7 + hand.dof), f)
        self.X, self.K, self.arms = np.zeros((n, links, 12), f), np.zeros((n, contacts, 16), f), np.zeros((n, contacts, 3), f)
        self.force = Force(np.zeros((n, v, v), f), np.zeros((n, 6, v), f), *(np.zeros((n, v, TARGETS), f) for _ in range(3)),
                           np.zeros((n, 2, 2, TARGETS), f), np.zeros((n, 6), f), np.zeros((n, 6, v), f))
        self.body = Body(np.zeros((n, len(t.skin.solids), 16), f), np.zeros((n, contacts), np.int32),
                         np.zeros((n, contacts, deep), np.int32), np.zeros((n, contacts, 3, deep), f),
                         np.zeros((n, deep), np.int32), np.zeros((n, deep), f), np.zeros((n, size), f))
        self.g, self.M = np.zeros((n, v), f), np.zeros((n, v, v), f)
        self.W, self.H = np.zeros((n, links, 6), f), np.zeros((n, size, size), f)
        self.grad, self.steps, self.report = np.zeros((n, size), f), np.zeros((n, size), f), np.zeros((n, 5), f)

    def begin(self, active, seeds):
        """Put ``seeds`` into the active lanes and forget the forces of earlier ones."""
        self.poses[active] = seeds
        self.force.Z[active] = 0
        self.force.U[active] = 0
        self.force.floors[active, 0] = 0.5
        self.force.floors[active, 1] = 0

    def evaluate(self, active, stage: Stage):
        """Energy, leftover, gap, penetration and self-penetration of the active lanes into ``report``."""
        t, k, row = self.tables, self.kernels, stage.row
        k.touch_lanes(active, t.chain, t.tips, self.field, self.scenes, row, self.poses, self.X, self.K, self.arms)
        k.force_lanes(active, t.tips, self.field, self.scenes, row, stage.rounds, self.K, self.arms, self.force, self.g, self.M, self.report)
        k.collide_lanes(active, t.chain, t.tips, t.skin, self.field, self.scenes, row, self.X, self.K, self.g, self.M,
                        self.body, self.W, self.H, self.report)

    def move(self, active, stage: Stage):
        """One damped step of the active lanes."""
        t = self.tables
        self.kernels.move_lanes(active, t.chain, t.joints, np.float32(stage.damping), np.float32(stage.longest), stage.base_free,
                                self.X, self.W, self.H, self.grad, self.steps, self.poses)

    def descend(self, active, stage: Stage):
        """All steps of one stage."""
        for _ in range(stage.steps):
            self.evaluate(active, stage)
            self.move(active, stage)

    def polish(self, active, stage: Stage):
        """The steps of one stage, back to the iterate of least energy."""
        least, best = np.full(len(active), np.inf, np.float32), self.poses[active]
        for step in range(stage.steps + 1):
            self.evaluate(active, stage)
            better = self.report[active, 0] < least
            least[better] = self.report[active, 0][better]
            best[better] = self.poses[active][better]
            if step < stage.steps:
                self.move(active, stage)
        self.poses[active] = best

    def squeeze(self, active) -> np.ndarray:
        """Squeeze targets for the grasps last evaluated."""
        out, t = self.poses.copy(), self.tables
        self.kernels.squeeze_lanes(active, t.chain, t.joints, t.tips, STRENGTH, self.X, self.K, self.force.Z, self.steps, self.body, out)
        return out[active]


def grow(lanes: Lanes, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses (lane, 3, 7 + dof) and verdicts (leftover, gap, penetration, self, demerit, tries) of some lanes."""
    n, attempts, width = seeds.shape
    qpos, verdicts = np.zeros((n, 3, width), np.float32), np.full((n, 6), np.inf, np.float32)
    verdicts[:, 5] = 0
    for attempt in range(attempts):
        active = np.flatnonzero(~(verdicts[:, 4] <= 1))
        if not len(active):
            break
        lanes.begin(active, seeds[active, attempt])
        for stage in DESCENT:
            lanes.descend(active, stage)
        lanes.polish(active, POLISH)
        lanes.evaluate(active, CHECK)
        found = np.maximum(lanes.report[active, 1:], 0)
        score = (found / LIMITS).max(1)
        verdicts[active, 5] += 1
        better = score < verdicts[active, 4]
        kept = active[better]
        verdicts[kept, :4], verdicts[kept, 4] = found[better], score[better]
        qpos[kept, 1] = lanes.poses[kept]
        qpos[kept, 2] = lanes.squeeze(active)[better]
    everyone = np.arange(n)
    lanes.poses[:] = qpos[:, 1]
    lanes.polish(everyone, OPEN)
    qpos[:, 0] = lanes.poses
    return qpos, verdicts


def synthesize(hand: Hand, thing: Object, *, n: int = 256, seed: int = 0, attempts: int = 6) -> Grasps:
    """Grasps of one object."""
    field = field_of([thing])
    seeds = seed_poses(hand, thing, n, attempts=attempts, seed=seed)

    def run(start):
        part = seeds[start : start + LANES]
        return grow(Lanes(hand, field, np.zeros(len(part), np.int64)), part)

    with ThreadPoolExecutor(len(sched_getaffinity(0))) as pool:
        qpos, verdicts = (np.concatenate(a) for a in zip(*pool.map(run, range(0, n, LANES))))
    return Grasps(qpos, *verdicts.T)
