"""The stages of grasp synthesis: prepare the object, grow batches of grasps, judge some of them in MuJoCo."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from prefect import task

from storage.grasp import flat_pieces
from storage.product import Product
from tasks.array.namespace import to_device
from tasks.array.tiling import Tile, tiles
from tasks.stage import StageReport, run_stage

from ._tables import Field
from .hand import Hand, load_hand
from .object import Object, field_of
from .picture import contact_sheet
from .quality import diversity, smallest_wrench, unanswered_wrench
from .seeds import seed_poses
from .synthesis import ATTEMPTS, Grasps, grow
from .validation import FRICTION, validate, wilson_interval

GROWN = tuple(f.name for f in fields(Grasps) if f.name not in ("penetration", "self_penetration"))
"""What synthesis writes; of penetrations the simulator's word is stored."""


@task
def keep_object(thing: Object, product: Product) -> None:
    """Write an object's grid, mesh and pieces."""
    vertices, faces, ends = flat_pieces(thing.pieces)
    values = {
        "sdf": thing.sdf[0],
        "vertices": thing.vertices,
        "faces": thing.faces,
        "piece_vertices": vertices,
        "piece_faces": faces,
        "piece_starts": ends,
    }
    for name, array in values.items():
        product[name].write(tuple(slice(0, size) for size in array.shape), array)


def read_object(product: Product) -> Object:
    """The object of a product, its grid as it was stored."""
    vertices, faces, ends = (product[f"piece_{part}"].read() for part in ("vertices", "faces", "starts"))
    begin = np.vstack([[0, 0], ends[:-1]])
    pieces = tuple((vertices[a:c], faces[b:d]) for (a, b), (c, d) in zip(begin, ends, strict=True))
    thing = Object(product.group_attrs["object"], pieces, product["vertices"].read(), product["faces"].read())
    origin = np.array([float(product[axis].read(None)[0]) for axis in "xyz"])
    thing.__dict__["sdf"] = (product["sdf"].read(), origin, float(product.group_attrs["spacing_m"]))
    return thing


@task
def grow_all(
    things: Sequence[Product], grasps: Product, hand: str, seed: int, test: str, mark: str = ""
) -> StageReport:
    """Fill ``grasps``, equally many of each object in turn; for the test "lift" the objects stand on a table."""
    plan = tiles(grasps.shape[:1], grasps.grid[:1])
    n = grasps.shape[0] // len(things)
    return run_stage(grow_batch, plan, things, grasps, hand, n, seed, test == "lift", name=f"grow_batch{mark}")


def grow_batch(
    tile: Tile, things: Sequence[Product], grasps: Product, hand: str, n: int, seed: int, table: bool
) -> dict[str, float]:
    """Grow one batch, in which the ``n`` grasps of an object may begin or end; the same grasps whatever the batch."""
    (rows,) = tile.core
    target, scenes, seeds, meshes = load_hand(hand), [], [], []
    for k in range(rows.start // n, -(-rows.stop // n)):
        begin, end = max(rows.start - k * n, 0), min(rows.stop - k * n, n)
        scenes += [len(meshes)] * (end - begin)
        meshes.append(read_object(things[k]))
        seeds.append(seed_poses(target, meshes[-1], end, attempts=ATTEMPTS, seed=seed, start=begin, table=table))
    field = Field(*map(to_device, field_of(meshes, table=table)))
    grown = grow(target, field, np.array(scenes), np.concatenate(seeds))
    for name in GROWN:
        values = getattr(grown, name)
        grasps[name].write((rows, *(slice(0, size) for size in values.shape[1:])), values)
    return {"converged": int(grown.converged.sum()), "tries": int(grown.tries.sum())}


@task
def judge_all(thing: Product, grasps: Product, hand: str, chosen: np.ndarray, test: str, torques: bool) -> StageReport:
    """Simulate the ``chosen`` grasps (one flag each) and write their verdicts."""
    plan = tiles(grasps.shape[:1], grasps.grid[:1])
    return run_stage(judge_batch, plan, thing, grasps, hand, chosen, test, torques)


def judge_batch(
    tile: Tile, thing: Product, grasps: Product, hand: str, chosen: np.ndarray, test: str, torques: bool
) -> int:
    """Judge the chosen grasps of one batch; the others keep their empty verdict."""
    (rows,) = tile.core
    mesh, here = read_object(thing), np.flatnonzero(chosen[rows])
    n = rows.stop - rows.start
    qpos = grasps["qpos"].read((rows, slice(None), slice(None)))
    empty = {"judged": np.zeros(n, bool), "success": np.zeros(n, bool), "contact_number": np.zeros(n, np.int32)}
    empty |= {name: np.full(n, np.nan, np.float32) for name in ("penetration", "self_penetration", "contact_distance")}
    if len(here):
        verdicts = validate(load_hand(hand), qpos[here], mesh, test=test, torques=torques)
        empty["judged"][here] = True
        for name in set(empty) - {"judged"}:
            empty[name][here] = getattr(verdicts, name)
    for name, values in empty.items():
        grasps[name].write((rows,), values)
    for name, values in _resistance(grasps, rows, mesh).items():
        grasps[name].write((rows,), values)
    return len(here)


def _resistance(grasps: Product, rows: slice, mesh: Object) -> dict[str, np.ndarray]:
    """Q1 and the QP metric of every grasp of a batch."""
    points, normals = (grasps[k].read((rows, slice(None), slice(None))) for k in ("contact", "normal"))
    length, pairs = float(np.linalg.norm(mesh.extents)) / 2, list(zip(points, normals, strict=True))
    q1 = [smallest_wrench(p, m, mu=FRICTION[0], centre=mesh.centre, length=length) for p, m in pairs]
    qp = [unanswered_wrench(p, m, centre=mesh.centre) for p, m in pairs]
    return {"q1": np.array(q1, np.float32), "qp": np.array(qp, np.float32)}


def evenly(n: int, wanted: int) -> np.ndarray:
    """Flags of ``wanted`` of ``n`` grasps, evenly spread over the set: unfiltered, so that they speak for all."""
    chosen = np.zeros(n, bool)
    chosen[np.linspace(0, n - 1, min(wanted, n)).astype(int)] = wanted > 0
    return chosen


def summarise(grasps: Product) -> dict[str, Any]:
    """Figures of a finished set; None where nothing was simulated."""
    judged, success, demerit = (grasps[k].read() for k in ("judged", "success", "demerit"))
    passed, tried, held = demerit <= 1, int(judged.sum()), int((judged & success).sum())
    figures: dict[str, Any] = {
        "n": len(judged),
        "judged": tried,
        "filter_yield": float(passed.mean()),
        "diversity": diversity(grasps["qpos"].read()[:, 1]),
    }
    names = (
        "success",
        "success_low",
        "success_high",
        "clean",
        "penetration_mm",
        "self_penetration_mm",
        "filter_success",
    )
    if not tried:
        return figures | dict.fromkeys(names)
    deep, own = (grasps[k].read()[judged] for k in ("penetration", "self_penetration"))
    low, high = wilson_interval(held, tried)
    kept = judged & passed
    return figures | {
        "success": held / tried, "success_low": low, "success_high": high,
        "clean": float((success[judged] & (deep < 1e-3) & (own < 1e-3)).mean()),
        "penetration_mm": float(1e3 * deep.mean()), "self_penetration_mm": float(1e3 * own.mean()),
        "filter_success": float(success[kept].mean()) if kept.any() else None,
    }  # fmt: skip


def sheet(hand: Hand, thing: Object, grasps: Product, most: int = 12) -> bytes:
    """Contact sheet of the best grasps: those that held come first, then by what the optimiser thought of them."""
    judged, success, demerit = (grasps[k].read() for k in ("judged", "success", "demerit"))
    best = np.lexsort((demerit, ~success, ~judged))[:most]
    poses = grasps["qpos"].read()[best, 1].astype(float)
    held = [bool(success[i]) if judged[i] else None for i in best]
    figures = f"{int(success.sum())} of {int(judged.sum())} simulated grasps held" if judged.any() else "not simulated"
    return contact_sheet(hand, thing, poses, held, f"{hand.name} on {thing.name}: {len(judged)} grasps, {figures}")
