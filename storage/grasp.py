"""What grasp synthesis leaves behind: objects with their distance grids, grasps with verdicts, and a row per run."""

from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Double, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Base
from storage.layout import Coordinate, Layout, Variable, variable
from storage.listing import Listing

STAGES = ("pre-grasp", "grasp", "squeeze")


class GraspSummary(Base):
    """How the grasps of one hand on one object fared; every attempted grasp is in the denominator."""

    __tablename__ = "grasp_summary"
    __table_args__ = (Index("ix_grasp_summary_product", "product_id"),)

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(16), index=True)
    product_id: Mapped[str] = mapped_column(String(16))
    hand: Mapped[str] = mapped_column(String(64))
    object: Mapped[str] = mapped_column(String(128))
    test: Mapped[str] = mapped_column(String(16))
    n: Mapped[int]
    judged: Mapped[int]
    success: Mapped[float | None] = mapped_column(Double)
    success_low: Mapped[float | None] = mapped_column(Double)
    success_high: Mapped[float | None] = mapped_column(Double)
    clean: Mapped[float | None] = mapped_column(Double)
    penetration_mm: Mapped[float | None] = mapped_column(Double)
    self_penetration_mm: Mapped[float | None] = mapped_column(Double)
    filter_yield: Mapped[float] = mapped_column(Double)
    filter_success: Mapped[float | None] = mapped_column(Double)
    diversity: Mapped[float | None] = mapped_column(Double)


def object_(thing: Any) -> Layout:
    """An object's signed-distance grid, its mesh and its convex pieces (vertices and faces end to end)."""
    values, origin, spacing = thing.sdf
    vertices, faces, starts = flat_pieces(thing.pieces)
    arrays = {
        "sdf": variable(
            ("x", "y", "z"), values.shape, "float32", units="m", long_name="signed distance to the surface"
        ),
        "vertices": variable(("vertex", "axis"), thing.vertices.shape, "float64", units="m", long_name="mesh vertices"),
        "faces": variable(("face", "corner"), thing.faces.shape, "int64", long_name="mesh triangles"),
        "piece_vertices": variable(
            ("piece_vertex", "axis"), vertices.shape, "float64", units="m", long_name="vertices of the convex pieces"
        ),
        "piece_faces": variable(
            ("piece_face", "corner"),
            faces.shape,
            "int64",
            long_name="triangles of the pieces, vertices counted within a piece",
        ),
        "piece_starts": variable(
            ("piece", "kind"), starts.shape, "int64", long_name="where a piece's vertices and faces end"
        ),
    }
    coords = {
        name: Coordinate(
            (name,),
            origin[i] + spacing * np.arange(values.shape[i]),
            {"units": "m", "long_name": f"{name} of the node"},
        )
        for i, name in enumerate("xyz")
    }
    group = {"object": thing.name, "spacing_m": spacing, "repairs": list(thing.report), "Conventions": "CF-1.11"}
    return Layout("object", arrays, coords, group)


def flat_pieces(pieces: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices and faces of all pieces end to end, and where each piece's end (piece, 2)."""
    starts = np.cumsum([[len(v), len(f)] for v, f in pieces], axis=0)
    return np.concatenate([v for v, _ in pieces]), np.concatenate([f for _, f in pieces]), starts


def grasps(n: int, joints: tuple[str, ...], n_contact: int, batch: int, **attrs: Any) -> Layout:
    """Grasps of one hand on one object: poses, contacts, the optimiser's figures and the simulator's verdicts."""

    def per_grasp(dtype: str, long_name: str, units: str = "1", fill: Any = 0) -> Variable:
        return variable(("grasp",), (n,), dtype, (batch,), fill_value=fill, units=units, long_name=long_name)

    def per_contact(size: int, long_name: str, units: str) -> Variable:
        dims = ("grasp", "contact", "axis")
        return variable(
            dims, (n, n_contact, size), "float32", (batch, n_contact, size), units=units, long_name=long_name
        )

    arrays = {
        "qpos": variable(
            ("grasp", "stage", "coordinate"),
            (n, 3, 7 + len(joints)),
            "float32",
            (batch, 3, 7 + len(joints)),
            units="m, rad",
            long_name="hand base in the object frame (x y z qw qx qy qz), then the joints",
        ),
        "contact": per_contact(3, "contact point on the object", "m"),
        "normal": per_contact(3, "outward normal of the object at the contact", "1"),
        "force": per_contact(3, "force of the hand on the object in the squeeze", "N"),
        "leftover": per_grasp("float32", "mean part of a unit disturbance that the contact forces cannot answer"),
        "gap": per_grasp("float32", "largest distance of a fingertip from the surface", "m"),
        "demerit": per_grasp("float32", "at most 1 where every criterion of the cheap filter is met"),
        "tries": per_grasp("int32", "seeds the lane used"),
        "judged": per_grasp("bool", "whether the grasp was simulated", fill=False),
        "success": per_grasp("bool", "held through every disturbance; false where not simulated", fill=False),
        "penetration": per_grasp("float32", "deepest penetration of hand and object", "m", fill=float("nan")),
        "self_penetration": per_grasp("float32", "deepest penetration of the hand's own links", "m", fill=float("nan")),
        "contact_number": per_grasp("int32", "links nearer than 2 mm to the object"),
        "contact_distance": per_grasp(
            "float32", "mean distance of the fingertips, at most 1 cm each", "m", fill=float("nan")
        ),
        "q1": per_grasp(
            "float32", "radius of the largest ball of wrenches the grasp resists, arms over the object's size"
        ),
        "qp": per_grasp("float32", "what bounded contact forces leave of a wrench of 0.1, mean over six directions"),
    }
    group = {"joints": list(joints), "stages": list(STAGES), "Conventions": "CF-1.11", **attrs}
    return Layout("grasps", arrays, {}, group)


def export(product: str, target: Path, layout: str = "parquet") -> str:
    """Write a product's grasps to TARGET: ``parquet`` (one table) or ``dexgraspbench`` (a folder of .npy files)."""
    from storage.errors import BadInputError
    from storage.product import Product
    from storage.sources import product_row

    row = product_row(product)
    if row is None or row.kind != "grasps":
        raise BadInputError(f"{product} is no product of kind grasps; nightloom products ls shows them")
    source = Product(row.uri)
    if layout == "parquet":
        _table(source).to_parquet(target)
    elif layout == "dexgraspbench":
        _write_folder(source, Path(target))
    else:
        raise BadInputError(f"layout is {layout!r}; expected parquet or dexgraspbench")
    return f"{source['qpos'].shape[0]} grasps written to {target}"


def _table(source: Any) -> Any:
    import pandas as pd

    joints, columns = source.group_attrs["joints"], {}
    qpos = source["qpos"].read()
    for k, stage in enumerate(STAGES):
        for c, name in enumerate(["x", "y", "z", "qw", "qx", "qy", "qz", *joints]):
            columns[f"{stage}.{name}"] = qpos[:, k, c]
    for name in (
        "leftover",
        "gap",
        "demerit",
        "tries",
        "judged",
        "success",
        "penetration",
        "self_penetration",
        "contact_number",
        "contact_distance",
        "q1",
        "qp",
    ):
        columns[name] = source[name].read()
    return pd.DataFrame(columns)


def _write_folder(source: Any, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    attrs, qpos = source.group_attrs, source["qpos"].read()
    for i, poses in enumerate(qpos):
        entry = {
            "pregrasp_qpos": poses[0],
            "grasp_qpos": poses[1],
            "squeeze_qpos": poses[2],
            "joint_names": attrs["joints"],
            "obj_scale": np.ones(3),
            "obj_pose": np.array([0, 0, 0, 1.0, 0, 0, 0]),
            "object": attrs["object"],
        }
        np.save(target / f"{i:05d}.npy", np.array(entry, dtype=object), allow_pickle=True)


LISTINGS = {
    "grasps": Listing(
        row=GraspSummary,
        columns=(
            "id",
            "object",
            "hand",
            "n",
            "judged",
            "success",
            "success_low",
            "success_high",
            "clean",
            "penetration_mm",
            "self_penetration_mm",
            "filter_yield",
            "filter_success",
            "test",
            "run_id",
        ),
        order="success",
        commands={"export": export},
    ),
}
