"""Grasp synthesis: lanes of seeds go down the energy together; finished lanes leave, hopeless ones start again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from os import sched_getaffinity

import numpy as np

from tasks.array.namespace import to_host

from .ahead import compiling
from .hand import SPRING, Hand
from .lanes import Lanes
from .object import Object, field_of
from .seeds import seed_poses
from .stages import CHECK, CLEAR, DESCENT, LIMITS, OPEN, POLISH, STRENGTH

LANES = 32
"""Lanes that share one set of arrays: enough to hide the calls, few enough to stay in a core's cache."""
ATTEMPTS = 6
"""Seeds a lane may use before it settles for its best."""


@dataclass(frozen=True)
class Grasps:
    """Synthesised grasps, and what the optimiser says of them; not what a simulator says.

    ``qpos`` (grasp, 3, 7 + dof) pre-grasp, grasp, squeeze [m, rad]; ``contact``, ``normal``, ``force`` (grasp, contact, 3)
    on the object [m, -, N]; ``leftover`` mean part of a unit disturbance the forces cannot answer; ``gap`` worst
    fingertip gap, ``penetration``, ``self_penetration`` [m]; ``demerit`` at most 1 where all criteria are met; ``tries``
    seeds used. All float32 but ``tries``.
    """

    qpos: np.ndarray
    contact: np.ndarray
    normal: np.ndarray
    force: np.ndarray
    leftover: np.ndarray
    gap: np.ndarray
    penetration: np.ndarray
    self_penetration: np.ndarray
    demerit: np.ndarray
    tries: np.ndarray

    @property
    def converged(self) -> np.ndarray:
        """Whether a grasp passes the cheap filter."""
        return self.demerit <= 1

    def __len__(self) -> int:
        return len(self.qpos)

    @staticmethod
    def joined(parts: "list[Grasps]") -> "Grasps":
        """Several sets end to end."""
        return Grasps(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Grasps)))


def synthesize(
    hand: Hand, thing: Object, n: int = 256, seed: int = 0, *, start: int = 0, table: bool = False
) -> Grasps:
    """Synthesise grasps of one object.

    Parameters
    ----------
    hand, thing : Hand, Object
    n : int
        How many; more grasps extend the set and never change the first ones.
    seed : int
        Same seed, same bytes.
    start : int
        Leave out the first ``start`` grasps of the set.
    table : bool
        The object stands on a table, at its lowest point along z: the hand comes from above and keeps clear of it.

    Returns
    -------
    Grasps
        ``n - start`` of them, in the order of the set, none filtered out.

    Raises
    ------
    ValueError
        If ``n`` is not positive.
    """
    if not 0 <= start < n:
        raise ValueError(f"n must be positive and larger than start, got n={n} and start={start}")
    with compiling():
        seeds = seed_poses(hand, thing, n, attempts=ATTEMPTS, seed=seed, table=table)[start:]
        field, shares = field_of([thing], table=table), range(0, n - start, LANES)

    def run(first: int) -> Grasps:
        part = seeds[first : first + LANES]
        return grow(Lanes(hand, field, np.zeros(len(part), np.int64)), part)

    with ThreadPoolExecutor(len(sched_getaffinity(0))) as pool:
        return Grasps.joined(list(pool.map(run, shares)))


def grow(lanes: Lanes, seeds: np.ndarray) -> Grasps:
    """Bring every lane to a grasp, from its seeds (lane, attempt, 7 + dof) in turn; the best of a lane is kept."""
    xp, (n, attempts, width), contacts = lanes.xp, seeds.shape, lanes.K.shape[1]
    qpos, contact = xp.zeros((n, 3, width), "f4"), xp.zeros((n, contacts, 9), "f4")
    found, demerit = xp.zeros((n, 4), "f4"), xp.full(n, np.inf, "f4")
    tries, seeds, limits = xp.zeros(n, "i4"), xp.asarray(seeds), xp.asarray(LIMITS)
    for attempt in range(attempts):
        active = xp.flatnonzero(~(demerit <= 1))
        if not len(active):
            break
        lanes.begin(active, seeds[active, attempt])
        for stage in DESCENT:
            lanes.descend(active, stage)
        lanes.polish(active, POLISH)
        lanes.evaluate(active, CHECK)
        report = xp.maximum(lanes.report[active, 1:], 0)
        grasp, squeezed, touched = lanes.poses[active], lanes.squeeze(active), lanes.contacts(active)
        score = xp.maximum((report / limits).max(1), approach(lanes, active))
        tries[active] += 1
        better = score < demerit[active]
        kept = active[better]
        found[kept], demerit[kept], contact[kept] = report[better], score[better], touched[better]
        qpos[kept] = xp.stack([lanes.poses[active], grasp, squeezed], 1)[better]
    qpos, contact = to_host(qpos), to_host(contact)
    leftover, gap, penetration, own = to_host(found).T
    force = contact[..., 6:] * np.float32(STRENGTH * SPRING)
    return Grasps(
        qpos,
        contact[..., :3],
        contact[..., 3:6],
        force,
        leftover,
        gap,
        penetration,
        own,
        to_host(demerit),
        to_host(tries),
    )


def approach(lanes: Lanes, active: np.ndarray) -> np.ndarray:
    """Open the hand from its grasps, leaving it open; how far the way is from clear, at most 1 where it is."""
    grasp = lanes.poses[active]
    lanes.polish(active, OPEN)
    opened, worst = lanes.poses[active], 0.0
    for part in (0.5, 0.0):
        lanes.poses[active] = part * grasp + (1 - part) * opened
        lanes.evaluate(active, OPEN)
        worst = lanes.xp.maximum(worst, 2 + lanes.report[active, 3] / CLEAR)
    lanes.poses[active] = opened
    return worst
