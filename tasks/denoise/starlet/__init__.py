"""Isotropic undecimated wavelets: an image as the sum of its details and what remains after ever wider smoothing.

Images lie side by side along the last axis, as scores do: a filter across pixels then runs through memory in order.

Starck, Murtagh & Fadili, Sparse Image and Signal Processing (2010), ch. 3.
"""

from functools import cache
from typing import Any

import numpy as np

from tasks.array.namespace import namespace, native

LEVELS = 3
REACH = 2 * (2**LEVELS - 1)
"""Pixels around a core that the details depend on."""


def smoothed(images: Any, step: int) -> Any:
    """Images (y, x, n) float32 convolved with the B3 spline along both axes, taps ``step`` apart; periodic."""
    return native(images, __package__).smoothed(namespace(images).ascontiguousarray(images), step)


def smoothings(images: Any) -> tuple[Any, ...]:
    """The images (y, x, n) and their ever wider smoothings: a detail is the difference of two neighbours."""
    found = [images]
    for level in range(LEVELS):
        found.append(smoothed(found[-1], 2**level))
    return tuple(found)


def products(levels: tuple[Any, ...], valid: Any, halo: int) -> Any:
    """Sums over valid pixels of the products of scales, (n, scale, scale) float64.

    Parameters
    ----------
    levels : (LEVELS + 1) arrays (y, x, n) float32
        Of `smoothings`. The scales are the details, finest first, and what remains.
    valid : (y, x) bool array
    halo : int
        Pixels on each side that do not count.
    """
    return native(levels[0], __package__).products(*levels, valid, halo)


def add_up(levels: tuple[Any, ...], gain: np.ndarray, halo: int, out: Any) -> None:
    """Write to ``out`` (y, x, n) the sum of the scales of each image, each times its ``gain`` (n, scale), less the halo."""
    steps = namespace(out).asarray(np.diff(gain, axis=1, prepend=0.0).T, np.float32)
    native(out, __package__).add_up(*levels, steps, halo, out)


@cache
def traces() -> np.ndarray:
    """How much of a pixel comes back in each scale at its own place; they sum to one."""
    impulse = np.zeros((64, 64, 1), np.float32)
    impulse[32, 32] = 1
    kept = [level[32, 32, 0] for level in smoothings(impulse)]
    return -np.diff(kept, append=0.0).astype(float)
