"""Isotropic undecimated wavelets: an image as the sum of its details and what remains after ever wider smoothing.

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
    """Images (n, y, x) float32 convolved with the B3 spline along both axes, taps ``step`` apart; periodic."""
    return native(images, __package__).smoothed(namespace(images).ascontiguousarray(images), step)


def split(images: Any) -> Any:
    """Details and remainder of each image, (n, level + 1, y, x) float32: their sum is the image."""
    xp = namespace(images)
    parts = xp.empty((len(images), LEVELS + 1, *images.shape[1:]), xp.float32)
    for level in range(LEVELS):
        coarse = smoothed(images, 2**level)
        xp.subtract(images, coarse, out=parts[:, level])
        images = coarse
    parts[:, -1] = images
    return parts


@cache
def traces() -> np.ndarray:
    """How much of a pixel comes back in each part at its own place; they sum to one."""
    impulse = np.zeros((1, 64, 64), np.float32)
    impulse[0, 32, 32] = 1
    return split(impulse)[0, :, 32, 32].astype(float)
