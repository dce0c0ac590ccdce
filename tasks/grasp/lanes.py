"""Lanes: the state of many grasps in progress, on the device their arrays live on, and the kernels that move it."""

from typing import TYPE_CHECKING

import numpy as np

from tasks.array.namespace import namespace, native

from ._tables import Body, Field, Force
from .body._wrench import TARGETS
from .stages import STRENGTH, Stage

if TYPE_CHECKING:
    from .hand import Hand


class Lanes:
    """The state of some lanes and the four kernels that move it."""

    def __init__(self, hand: "Hand", field: Field, scenes: np.ndarray) -> None:
        xp = namespace(field.grid)
        t, n = hand.tables, len(scenes)
        links, contacts, size = len(t.chain.links), len(t.tips.groups), 6 + hand.dof
        v, deep = 3 * contacts, 6 + links

        def zeros(*shape: int, dtype: str = "f4") -> np.ndarray:
            return xp.zeros((n, *shape), dtype)

        self.hand, self.field, self.scenes, self.xp = hand, field, xp.asarray(scenes), xp
        self.tables = type(t)(*(type(part)(*map(xp.asarray, part)) for part in t))
        self.kernels = native(field.grid, __package__)
        self.poses, self.X, self.K, self.arms = (
            zeros(7 + hand.dof),
            zeros(links, 12),
            zeros(contacts, 16),
            zeros(contacts, 3),
        )
        self.force = Force(
            zeros(v, v),
            zeros(6, v),
            zeros(v, TARGETS),
            zeros(v, TARGETS),
            zeros(v, TARGETS),
            zeros(2, 2, TARGETS),
            zeros(6),
            zeros(6, v),
        )
        self.body = Body(
            zeros(len(t.skin.solids), 16),
            zeros(contacts, dtype="i4"),
            zeros(contacts, deep, dtype="i4"),
            zeros(contacts, 3, deep),
            zeros(deep, dtype="i4"),
            zeros(deep),
            zeros(size),
        )
        self.g, self.M = zeros(v), zeros(v, v)
        self.W, self.H = zeros(links, 6), zeros(size, size)
        self.grad, self.steps, self.report = zeros(size), zeros(size), zeros(5)

    def begin(self, active: np.ndarray, seeds: np.ndarray) -> None:
        """Put ``seeds`` into the active lanes and forget the forces of earlier ones."""
        self.poses[active] = seeds
        self.force.Z[active] = 0
        self.force.U[active] = 0
        self.force.floors[active, 0] = 0.5
        self.force.floors[active, 1] = 0

    def evaluate(self, active: np.ndarray, stage: Stage) -> None:
        """Energy, leftover, gap, penetration and self-penetration of the active lanes into ``report``."""
        t, k, row = self.tables, self.kernels, self.xp.asarray(stage.row)
        k.touch_lanes(active, t.chain, t.tips, self.field, self.scenes, row, self.poses, self.X, self.K, self.arms)
        k.force_lanes(
            active,
            t.tips,
            self.field,
            self.scenes,
            row,
            stage.rounds,
            self.K,
            self.arms,
            self.force,
            self.g,
            self.M,
            self.report,
        )
        k.collide_lanes(
            active,
            t.chain,
            t.tips,
            t.skin,
            self.field,
            self.scenes,
            row,
            self.X,
            self.K,
            self.g,
            self.M,
            self.body,
            self.W,
            self.H,
            self.report,
        )

    def move(self, active: np.ndarray, stage: Stage) -> None:
        """One damped step of the active lanes."""
        t = self.tables
        self.kernels.move_lanes(
            active,
            t.chain,
            t.joints,
            np.float32(stage.damping),
            np.float32(stage.longest),
            stage.base_free,
            self.X,
            self.W,
            self.H,
            self.grad,
            self.steps,
            self.poses,
        )

    def descend(self, active: np.ndarray, stage: Stage) -> None:
        """All steps of one stage."""
        for _ in range(stage.steps):
            self.evaluate(active, stage)
            self.move(active, stage)

    def polish(self, active: np.ndarray, stage: Stage) -> None:
        """The steps of one stage, back to the iterate of least energy."""
        least, best = self.xp.full(len(active), np.inf, "f4"), self.poses[active]
        for step in range(stage.steps + 1):
            self.evaluate(active, stage)
            energy = self.report[active, 0]
            better = energy < least
            least[better], best[better] = energy[better], self.poses[active[better]]
            if step < stage.steps:
                self.move(active, stage)
        self.poses[active] = best

    def squeeze(self, active: np.ndarray) -> np.ndarray:
        """Squeeze targets for the grasps last evaluated."""
        out, t = self.poses.copy(), self.tables
        self.kernels.squeeze_lanes(
            active, t.chain, t.joints, t.tips, STRENGTH, self.X, self.K, self.force.Z, self.steps, self.body, out
        )
        return out[active]

    def contacts(self, active: np.ndarray) -> np.ndarray:
        """Contact points on the object, outward normals and mean forces (lane, contact, 9) of the grasps last evaluated."""
        xp, tips = self.xp, self.tables.tips
        reach = (self.K[active, :, 3] + tips.sites[:, 3])[..., None]
        centre, normal = self.K[active, :, :3], self.K[active, :, 4:7]
        force = self.force.Z[active].mean(2).reshape(len(active), len(tips.sites), 3)
        return xp.concatenate([centre - reach * normal, normal, force], 2)
