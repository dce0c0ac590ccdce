"""Blocks of a stored cube as the kernels want them: float32 in the cube's unit, zero where not valid, and a mask."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

STRIP_BYTES = 16 << 20
"""What is read at a time: enough for a GPU, and little enough that the memory of one strip serves the next."""

STRIPS = 8
"""Arrays of a strip's size that are held while it is restored."""


class Stored(Protocol):
    """A stored cube, with its mask beside it."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def rows(self) -> int: ...

    @property
    def attrs(self) -> Mapping[str, Any]: ...

    def read(self, region: tuple[slice, ...]) -> np.ndarray: ...

    def __contains__(self, variable: str) -> bool: ...

    def __getitem__(self, variable: str) -> "Stored": ...


def strips(core: tuple[slice, ...], *cubes: Stored) -> Iterator[tuple[slice, ...]]:
    """Parts of a core (y, x), from top to bottom, that cut no chunk of the first cube and few of the others."""
    ys, xs = core
    step, start = strip_rows(core, *cubes), ys.start
    while start < ys.stop:
        stop = min((start // step + 1) * step, ys.stop)
        yield slice(start, stop), xs
        start = stop


def strip_rows(core: tuple[slice, ...], *cubes: Stored) -> int:
    """Rows of such a part."""
    row_bytes = 4 * (core[1].stop - core[1].start) * cubes[0].shape[2]
    wanted = max(-(-STRIP_BYTES // row_bytes), *(cube.rows for cube in cubes))
    return -(-wanted // cubes[0].rows) * cubes[0].rows


def core_bytes(core: tuple[slice, ...], cube: Stored) -> int:
    """Size of a core as float32."""
    return 4 * (core[0].stop - core[0].start) * (core[1].stop - core[1].start) * cube.shape[2]


def strip_bytes(core: tuple[slice, ...], *cubes: Stored) -> int:
    """Memory in which one strip after the other is restored: what was given, found and removed, and parts of them."""
    ys, xs = core
    stop = min(ys.stop, ys.start + strip_rows(core, *cubes))
    return STRIPS * core_bytes((slice(ys.start, stop), xs), cubes[0])


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
    valid = cube["valid"].read((*core, slice(None))) if "valid" in cube else None
    if not _all_finite(values):
        finite = np.isfinite(values)
        valid = finite if valid is None else finite & valid
    return values, None if valid is None or valid.all() else valid


def _all_finite(values: np.ndarray) -> bool:
    """A sum that is finite has no term that is not; one that overflows is looked at term by term."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())


def read_block(cube: Stored, core: tuple[slice, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Values with zero where not valid, and the mask; None where all are valid."""
    values, valid = read_marked(cube, core)
    return values if valid is None else np.where(valid, values, np.float32(0)), valid
