"""What files of grasp synthesis are, by name and content: meshes, convex pieces, and the parts of a hand's model."""

from pathlib import Path
from xml.etree import ElementTree
from zipfile import is_zipfile

import numpy as np

MESHES = (".obj", ".stl", ".ply", ".glb")
PIECES = ".npz"


def is_object(path: Path) -> bool:
    """Whether ``path`` is a mesh, or NPZ with convex pieces."""
    if not path.is_file():
        return False
    if path.suffix.lower() != PIECES:
        return path.suffix.lower() in MESHES
    if not is_zipfile(path):
        return False
    with np.load(path) as z:
        return "n_pieces" in z


def model_files(mjcf: Path) -> list[Path]:
    """The model of a hand with every file that it includes, and the meshes that those name; all of them there.

    A file that cannot be read as XML stands for itself: MuJoCo will say what is wrong with it.
    """
    found, waiting = [], [mjcf]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.append(path)
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError:
            continue
        waiting += [mjcf.parent / part.get("file", "") for part in root.iter("include")]
        found += [p for p in _assets(root, mjcf.parent) if p.is_file() and p not in found]
    return found


def _assets(root: ElementTree.Element, home: Path) -> list[Path]:
    """Meshes of one file, where its compiler settings say they lie."""
    settings = {name: value for part in root.iter("compiler") for name, value in part.items()}
    folder = home / settings.get("meshdir", settings.get("assetdir", ""))
    return [folder / part.get("file", "") for part in root.iter("mesh") if part.get("file")]
