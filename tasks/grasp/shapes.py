"""Objects made by formula, for a first night without meshes at hand."""

import itertools
from pathlib import Path

import numpy as np


def _block(size: tuple[float, ...], centre: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
    return np.array([np.multiply(c, size) / 2 + centre for c in itertools.product((-1, 1), repeat=3)], float)


def _cylinder(radius: float, height: float, sides: int = 40) -> np.ndarray:
    turn = 2 * np.pi * np.arange(sides) / sides
    ring = radius * np.column_stack([np.cos(turn), np.sin(turn)])
    return np.concatenate([np.column_stack([ring, np.full(sides, z)]) for z in (-height / 2, height / 2)])


SAMPLES = {
    "sample_box": [_block((0.06, 0.05, 0.09))],
    "sample_cylinder": [_cylinder(0.028, 0.1)],
    "sample_bracket": [_block((0.024, 0.04, 0.1), (-0.025, 0, 0)), _block((0.06, 0.04, 0.024), (0.017, 0, -0.038))],
}


def write_samples(folder: Path) -> list[str]:
    """Write the samples as NPZ of convex pieces, those that are not there yet."""
    from scipy.spatial import ConvexHull

    lines = []
    for name, parts in SAMPLES.items():
        path = folder / f"{name}.npz"
        if not path.exists():
            arrays = {"vertices": np.concatenate(parts), "faces": np.zeros((0, 3), int), "n_pieces": len(parts)}
            for i, points in enumerate(parts):
                arrays |= {f"piece{i:02d}_v": points, f"piece{i:02d}_f": ConvexHull(points).simplices}
            offsets = np.cumsum([0, *(len(p) for p in parts[:-1])])
            arrays["faces"] = np.concatenate([arrays[f"piece{i:02d}_f"] + o for i, o in enumerate(offsets)])
            np.savez(path, **arrays)
        lines.append(f"{path}: object of {len(parts)} convex piece{'s' * (len(parts) > 1)} made by formula, to grasp")
    return lines
