"""How a lane goes down: annealed stages, then a polish, a check and the opening of the hand."""

from dataclasses import dataclass

import numpy as np


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
        return np.array(
            [
                self.grasp,
                self.tip,
                self.inside,
                self.own,
                self.gap,
                self.margin,
                self.own_margin,
                self.smooth,
                self.mu,
                self.force,
                self.torque,
            ],
            np.float32,
        )


DESCENT = (
    Stage(20, 20, 300, 300, 300, 0.010, 0.004, 0.010),
    Stage(10, 20, 500, 1000, 1000, 0.004, 0.002, 0.008),
    Stage(8, 20, 1000, 2000, 2000, 0.0, 0.002, 0.005),
)
POLISH = Stage(8, 5, 3000, 4000, 4000, 0.0, 0.003, 0.004, rounds=8, damping=0.5, longest=0.5)
CHECK = Stage(1, 5, 3000, 4000, 4000, 0.0, 0.0, 0.003, mu=0.4, rounds=40)
OPEN = Stage(8, 0, 1000, 3000, 3000, 0.010, 0.003, 0.004, base_free=0, damping=0.5, longest=0.5)
LIMITS = np.array([0.05, 0.001, 0.0003, 0.0002], np.float32)
STRENGTH = np.float32(2.4)
CLEAR = np.float32(0.0005)
"""Room that every link keeps from the object before the grasp [m]: a floating object that is brushed drifts away."""
