"""What a file is to grasp synthesis: an object or a person's own hand, and what is wrong with it."""

from pathlib import Path
from typing import Any

import numpy as np

from .files import PIECES
from .hand import SPRING, load_hand
from .object import load_object, open_edges, read_triangles


def describe_object(path: Path) -> dict[str, Any]:
    """Size, pieces, whether it is closed, repairs; ``problem`` and a scale where it cannot be grasped. Never raises."""
    told: dict[str, Any] = {"path": str(path), "kind": "object to grasp"}
    try:
        told |= _mesh_facts(path)
        thing = load_object(path)
    except Exception as error:  # noqa: BLE001  libraries raise what they like on damaged files
        return told | {"ok": False, "problem": _sentence(path, error)}
    sides = [round(1e3 * float(side), 1) for side in thing.extents]
    return told | {
        "ok": True,
        "size_mm": sides,
        "convex_pieces": len(thing.pieces),
        "repairs": list(thing.report) or "none",
        "scale": f"read as metres (scale=1): {max(sides):g} mm long",
    }


def describe_hand(path: Path) -> dict[str, Any]:
    """Joints, contact sites and solids of a person's own hand; ``problem`` where it cannot be used. Never raises."""
    told: dict[str, Any] = {"path": str(path), "kind": "hand"}
    try:
        hand = load_hand(str(path))
    except Exception as error:  # noqa: BLE001  libraries raise what they like on damaged files
        return told | {"ok": False, "problem": _sentence(path, error)}
    skin, tips, joints = hand.tables.skin, hand.tables.tips, hand.tables.joints
    thumbs = int(np.sum(tips.groups))
    return told | {
        "ok": True,
        "use": f"nightloom run grasp -p source=MESH -p hand={path}",
        "joints": f"{hand.dof}: {', '.join(hand.joint_names)}",
        "coupled_joints": int((joints.partners >= 0).sum()),
        "contact_sites": f"{hand.contact_bodies}: {hand.contact_bodies - thumbs} of fingers, {thumbs} of thumbs",
        "solids": f"{len(skin.solids)}, of which {len(skin.pairs)} pairs may collide",
        "torque_limit_n_m": round(float(joints.torque[0]) * SPRING, 3),
    }


def _mesh_facts(path: Path) -> dict[str, Any]:
    if path.suffix.lower() == PIECES:
        with np.load(path) as z:
            return {"given_pieces": int(z["n_pieces"])}
    mesh = read_triangles(path)
    mesh.merge_vertices()
    return {
        "triangles": len(mesh.faces),
        "size_in_file_units": [round(float(side), 4) for side in mesh.extents],
        "watertight": bool(mesh.is_watertight),
        "open_edges": open_edges(mesh),
    }


def _sentence(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    return (
        text
        if isinstance(error, ValueError)
        else f"{path.name} breaks off while it is read: {text or type(error).__name__}"
    )
