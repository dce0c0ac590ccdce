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
    found, roots, waiting = [], [], [mjcf]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.append(path)
        try:
            roots.append(ElementTree.parse(path).getroot())
        except ElementTree.ParseError:
            continue
        waiting += [mjcf.parent / part.get("file", "") for part in roots[-1].iter("include")]
    return found + [path for path in _meshes(roots, mjcf.parent) if path.is_file()]


def _meshes(roots: list[ElementTree.Element], home: Path) -> list[Path]:
    """Meshes of a model, where its compiler settings say they lie: one file may set what another needs."""
    settings = {name: value for root in roots for part in root.iter("compiler") for name, value in part.items()}
    folder = home / settings.get("meshdir", settings.get("assetdir", ""))
    names = (part.get("file") for root in roots for part in root.iter("mesh"))
    return [folder / name for name in dict.fromkeys(names) if name]
