"""Grasp synthesis: lanes of seeds go down the energy together; finished lanes leave, hopeless ones start again."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from os import sched_getaffinity
from typing import Any

import numpy as np

from tasks.array.namespace import namespace, to_host

from ._tables import Field
from .ahead import compiling
from .hand import SPRING, Hand
from .lanes import Lanes
from .object import Object, field_of
from .seeds import seed_poses
from .stages import CHECK, CLEAR, DESCENT, LIMITS, OPEN, POLISH, STRENGTH

LANES = 32
"""Lanes that share one set of arrays: enough to hide the calls, few enough to stay in a core's cache."""
DEVICE_LANES = 8192
"""The same on a GPU: several for each of its arithmetic units."""
SHARE = 128
"""Grasps that a thread takes at a time: few enough for threads to end together."""
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

    def part(self, rows: slice) -> "Grasps":
        """Some of them."""
        return Grasps(*(getattr(self, f.name)[rows] for f in fields(self)))

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
    return synthesize_all(hand, [thing], n, seed, start=start, table=table)[0]


def synthesize_all(
    hand: Hand, things: Sequence[Object], n: int = 256, seed: int = 0, *, start: int = 0, table: bool = False
) -> list[Grasps]:
    """Grasps of several objects, which share lanes: a hard one does not keep the others waiting.

    Each object's grasps are byte for byte those that `synthesize`, whose parameters these are, makes of it alone.
    """
    if not 0 <= start < n:
        raise ValueError(f"n must be positive and larger than start, got n={n} and start={start}")
    with compiling():
        of_each = [seed_poses(hand, t, n, attempts=ATTEMPTS, seed=seed, start=start, table=table) for t in things]
        field, seeds = field_of(list(things), table=table), np.concatenate(of_each)
    scenes, threads = np.repeat(np.arange(len(things)), n - start), len(sched_getaffinity(0))
    share = -(-len(seeds) // max(threads, len(seeds) // SHARE or 1))

    def run(first: int) -> Grasps:
        return grow(hand, field, scenes[first : first + share], seeds[first : first + share])

    with ThreadPoolExecutor(threads) as pool:
        grown = Grasps.joined(list(pool.map(run, range(0, len(seeds), share))))
    return [grown.part(slice(i * (n - start), (i + 1) * (n - start))) for i in range(len(things))]


def grow(hand: Hand, field: Field, scenes: np.ndarray, seeds: np.ndarray) -> Grasps:
    """Bring each grasp to its end, from its seeds (grasp, attempt, 7 + dof) in turn, around the object ``scenes`` names.

    The best attempt of a grasp is kept. A lane whose grasp is finished takes the next one, so that all stay busy.
    """
    xp = namespace(field.grid)
    n, attempts, width = seeds.shape
    lanes = Lanes(hand, field, scenes[: LANES if xp is np else DEVICE_LANES].copy())
    best = _Best(xp, n, width, lanes.K.shape[1])
    seeds, scenes, tries = xp.asarray(seeds), xp.asarray(scenes), np.zeros(n, np.int32)
    work, waiting = np.arange(len(lanes.scenes)), len(lanes.scenes)  # the grasp of each lane; the next to enter
    while len(work):
        active, mine = xp.arange(len(work)), xp.asarray(work)
        lanes.scenes[active] = scenes[mine]
        lanes.begin(active, seeds[mine, xp.asarray(tries[work])])
        best.keep(mine, *_attempt(lanes, active))
        tries[work] += 1
        done = (to_host(best.demerit[mine]) <= 1) | (tries[work] == attempts)
        entering = np.arange(waiting, min(waiting + int(done.sum()), n))
        waiting, work = waiting + len(entering), np.concatenate([work[~done], entering])
    return best.grasps(tries)


def _attempt(lanes: Lanes, active: Any) -> tuple[Any, ...]:
    """From the seeds in the lanes to grasps: how bad they are, what the check reports, poses and contacts."""
    for stage in DESCENT:
        lanes.descend(active, stage)
    lanes.polish(active, POLISH)
    lanes.evaluate(active, CHECK)
    xp = lanes.xp
    report = xp.maximum(lanes.report[active, 1:], 0)
    grasp, squeezed, touched = lanes.poses[active], lanes.squeeze(active), lanes.contacts(active)
    score = xp.maximum((report / xp.asarray(LIMITS)).max(1), approach(lanes, active))
    return score, report, xp.stack([lanes.poses[active], grasp, squeezed], 1), touched


class _Best:
    """The best attempt of each grasp so far, on the device."""

    def __init__(self, xp: Any, n: int, width: int, contacts: int) -> None:
        self.qpos, self.contact = xp.zeros((n, 3, width), "f4"), xp.zeros((n, contacts, 9), "f4")
        self.found, self.demerit = xp.zeros((n, 4), "f4"), xp.full(n, np.inf, "f4")

    def keep(self, grasps: Any, score: Any, report: Any, qpos: Any, contact: Any) -> None:
        """Take in an attempt at each of ``grasps`` where it is better."""
        better = score < self.demerit[grasps]
        kept = grasps[better]
        self.found[kept], self.demerit[kept] = report[better], score[better]
        self.qpos[kept], self.contact[kept] = qpos[better], contact[better]

    def grasps(self, tries: np.ndarray) -> Grasps:
        """All of them, on the host."""
        contact = to_host(self.contact)
        leftover, gap, penetration, own = to_host(self.found).T
        force = contact[..., 6:] * np.float32(STRENGTH * SPRING)
        measures = leftover, gap, penetration, own, to_host(self.demerit), tries
        return Grasps(to_host(self.qpos), contact[..., :3], contact[..., 3:6], force, *measures)


def approach(lanes: Lanes, active: Any) -> Any:
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
