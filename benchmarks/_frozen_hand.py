"""The Allegro hand as the kernels read it, frozen in a file: a bare GPU machine has no MuJoCo to read its model with.

python -m benchmarks._frozen_hand        after the model has changed
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tasks.grasp import _tables

FROZEN = Path(__file__).with_name("allegro.npz")
PARTS = {"chain": _tables.Chain, "skin": _tables.Skin, "tips": _tables.Tips, "joints": _tables.Joints}


def frozen_hand() -> Any:
    """What `tasks.grasp.lanes.Lanes` wants of a hand."""
    with np.load(FROZEN) as z:
        parts = [kind(*(z[f"{part}.{name}"] for name in kind._fields)) for part, kind in PARTS.items()]
    tables = _tables.HandTables(*parts)
    return SimpleNamespace(tables=tables, dof=len(tables.joints.limits))


def arrays_of(hand: Any) -> dict[str, np.ndarray]:
    """All arrays of a hand's tables by name."""
    tables = hand.tables
    return {f"{p}.{n}": np.asarray(getattr(getattr(tables, p), n)) for p, kind in PARTS.items() for n in kind._fields}


if __name__ == "__main__":
    from tasks.grasp import load_hand

    np.savez_compressed(FROZEN, **arrays_of(load_hand("allegro")))
