"""What a run over tiles would take, told before it starts."""

from math import prod
from typing import Any

from tasks.array.tiling import tiles

WORKING_COPIES = 4
"""A tile's input, its result and what the kernels need between them, in multiples of the tile; measured on every workload."""


def tiled(shape: tuple[int, ...], cell: tuple[int, ...], itemsize: int) -> dict[str, Any]:
    """Tiles, bytes and memory of a pass over an array of ``shape`` in cores of ``cell``."""
    core = prod(min(c, n) for c, n in zip(cell, shape, strict=True))
    return {
        "shape": list(shape),
        "tiles": len(tiles(shape, cell)),
        "bytes": prod(shape) * itemsize,
        "memory_per_worker_bytes": WORKING_COPIES * core * itemsize,
    }
