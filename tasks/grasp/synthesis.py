"""Grasp synthesis: lanes of seeds go down the energy together; finished lanes leave, hopeless ones start again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import sched_getaffinity

import numpy as np

from .hand import Hand
from .lanes import Lanes
from .object import Object, field_of
from .seeds import seed_poses
from .stages import CHECK, DESCENT, LIMITS, OPEN, POLISH

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
