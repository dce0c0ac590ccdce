"""Blocks of a stored cube as the kernels want them: float32 in the cube's unit, zero where not valid, and a mask."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np


class Stored(Protocol):
    """A stored cube, with its mask beside it."""

    @property
    def attrs(self) -> Mapping[str, Any]: ...

    def read(self, region: tuple[slice, ...]) -> np.ndarray: ...

    def __contains__(self, variable: str) -> bool: ...

    def __getitem__(self, variable: str) -> "Stored": ...


def read_values(cube: Stored, core: tuple[slice, ...]) -> np.ndarray:
    """Values (y, x, band) of the pixels ``core`` as they are, scaled to the cube's unit; float32."""
    block = cube.read((*core, slice(None))).astype(np.float32, copy=False)
    scale, offset = cube.attrs.get("scale_factor", 1.0), cube.attrs.get("add_offset", 0.0)
    if (scale, offset) == (1.0, 0.0):
        return block
    return block * np.float32(scale) + np.float32(offset)


def read_marked(cube: Stored, core: tuple[slice, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Values as they are, and the mask; None where all are valid."""
    values = read_values(cube, core)
    valid = np.isfinite(values)
    if "valid" in cube:
        valid &= cube["valid"].read((*core, slice(None)))
    return values, None if valid.all() else valid


def read_block(cube: Stored, core: tuple[slice, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Values with zero where not valid, and the mask; None where all are valid."""
    values, valid = read_marked(cube, core)
    return values if valid is None else np.where(valid, values, np.float32(0)), valid
