"""Scalar rules and sizes that the CPU and the GPU kernels share."""

LANES = 64
"""Neighbouring pixels that the CPU works on at once: four AVX-512 registers, and a tile that stays in the L2 cache."""

CELL = 16
"""Trial start times that compete for one event per pixel [samples of the level]; the cells lie on a fixed lattice."""

QUANTUM = 64
"""Levels per sigma of the image statistics: whole numbers, so that their sums do not depend on any order."""

CLIP = 3.0
"""Deviations beyond this many sigma count as this many: no burst and no source can drag a baseline or a variance."""

SUB_BLOCK = 64
"""Samples from which one robust level is formed; the levels of all sub-blocks are then combined just as robustly."""


def median_of_five(a: float, b: float, c: float, d: float, e: float):
    """The middle one of five values, by comparisons only."""
    low = max(min(a, b), min(c, d))
    high = min(max(a, b), max(c, d))
    return max(min(low, high), min(max(low, high), e))
