"""Grasps of one hand: poses, contacts and the simulator's verdict; failures are kept, they are what a critic learns from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.dataset.embed import embed_poses
from tasks.dataset.samples import Constant, Field, Samples, Source

GRASP = 1
"""The stage that embeddings look at: pre-grasp, grasp, squeeze."""

ROUNDING = 1e-4
"""Poses are stored in single precision, limits are not [rad]."""


@dataclass(frozen=True)
class GraspSamples:
    """Judged grasps of one robot hand, failures among them, in three stages: pre-grasp, grasp, squeeze.

    Sources offer the arrays of a ``grasps`` product: ``qpos`` (grasp, stage, coordinate), ``contact``, ``normal`` and
    ``force`` (grasp, contact, axis), and a number per grasp for each of ``facts``.
    """

    max_penetration: float = 3e-3
    name: str = "grasps"
    main: str = "qpos"
    channels: bool = True
    apart: bool = True
    facts: tuple[str, ...] = (
        "penetration", "self_penetration", "leftover", "gap", "demerit", "contact_number", "contact_distance", "q1",
        "qp", "joint_excess",
    )  # fmt: skip
    place: tuple[str, ...] = ("grasp",)
    group_meaning: str = "the object, at all its scales"
    gaps: tuple[str, ...] = ("Success is what a simulator says: friction, mass and control of a real hand differ.",)

    @property
    def limits(self) -> dict[str, float]:
        """Gates: what no grasp may exceed."""
        return {"penetration": self.max_penetration, "joint_excess": ROUNDING}

    def schema(self, source: Source) -> dict[str, Field]:
        """Poses, contacts, metrics, success."""
        qpos, contact = source.arrays["qpos"].shape, source.arrays["contact"].shape
        touch = ("contact", "axis"), contact[1:], "float32"
        pose = {
            "units": "m, rad",
            "long_name": "hand's base in the object frame, then the joints",
            "coordinate_names": ["x", "y", "z", "qw", "qx", "qy", "qz", *source.attrs["joints"]],
        }
        return {
            "qpos": Field(("stage", "coordinate"), qpos[1:], "float32", pose),
            "contact_point": Field(*touch, {"units": "m", "long_name": "contact points on the object"}),
            "contact_normal": Field(*touch, {"units": "1", "long_name": "outward normals of the object there"}),
            "contact_force": Field(
                *touch, {"units": "N", "long_name": "forces of the hand on the object in the squeeze"}
            ),
            "metrics": Field(("metric",), (len(self.facts),), "float32", {"long_name": " ".join(self.facts)}),
            "success": Field((), (), "uint8", {"long_name": "1 where the grasp was held through every disturbance"}),
        }

    def constants(self, source: Source) -> dict[str, Constant]:
        """None."""
        return {}

    def positions(self, source: Source) -> np.ndarray:
        """Grasp numbers, from zero."""
        return np.arange(source.arrays["qpos"].shape[0], dtype=np.int64)[:, None]

    def load(self, source: Source, positions: np.ndarray) -> Samples:
        """Read grasps; those that nobody judged, or that go too deep, are not fit."""
        rows = positions[:, 0]
        low, high = int(rows.min()), int(rows.max()) + 1

        def read(name: str) -> np.ndarray:
            array = source.arrays[name]
            return array.read((slice(low, high), *(slice(0, n) for n in array.shape[1:])))[rows - low]

        success, judged = read("success").astype(bool), read("judged").astype(bool)
        qpos = read("qpos").astype(np.float32)
        facts = {name: read(name).astype(float) for name in self.facts if name != "joint_excess"}
        facts["joint_excess"] = joint_excess(qpos, source.attrs.get("joint_limits"))
        arrays = {
            "qpos": qpos,
            "contact_point": read("contact").astype(np.float32),
            "contact_normal": read("normal").astype(np.float32),
            "contact_force": read("force").astype(np.float32),
            "metrics": np.nan_to_num(np.stack([facts[name] for name in self.facts], axis=-1)).astype(np.float32),
            "success": success.astype(np.uint8),
        }
        labels = ["success" if held else "failure" for held in success]
        return Samples(arrays, facts, labels, judged & (facts["penetration"] <= self.max_penetration))

    def embed(self, samples: Samples) -> np.ndarray:
        """The grasp's pose."""
        return embed_poses(samples.arrays["qpos"][:, GRASP])

    def picture(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Contact points over the object's x and z axes, from -0.1 to 0.1 m."""
        points = arrays["contact_point"][..., [2, 0]]
        picture = np.zeros((len(points), 48, 48), np.float32)
        cells = np.clip((points / 0.2 + 0.5) * 48, 0, 47).astype(int)
        picture[np.arange(len(points))[:, None], cells[..., 0], cells[..., 1]] = 1
        return picture

    def groups(self, source: Source, positions: np.ndarray, samples: Samples) -> list[str]:
        """The object."""
        return [source.group] * len(positions)


def joint_excess(qpos: np.ndarray, limits: Any) -> np.ndarray:
    """How far the joints of ``qpos`` (grasp, stage, 7 + joint) pass their ``limits`` (joint, 2) at most [rad].

    The squeeze, the last stage, is what the motors are told and may lie beyond; where no limits are known nothing does.
    """
    if limits is None:
        return np.zeros(len(qpos))
    low, high = np.asarray(limits, float).T
    joints = qpos[:, :-1, 7:].astype(float)
    return np.maximum(np.maximum(low - joints, joints - high), 0).max(axis=(1, 2))
