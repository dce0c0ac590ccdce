"""Windows: where patches are cut from an image, and how much of each is valid."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace


def window_origins(shape: tuple[int, int], size: int, stride: int) -> np.ndarray:
    """Upper left corners (y, x) of all windows that lie within an image, row by row.

    Windows begin at multiples of ``stride`` only: one more at the edge would overlap its neighbour unevenly, and would
    move when the image grows.

    Raises
    ------
    ValueError
        If the image is smaller than one window, or ``size`` or ``stride`` is not positive.
    """
    if size < 1 or stride < 1:
        raise ValueError(f"window size and stride must be positive, got {size} and {stride}")
    if min(shape) < size:
        raise ValueError(
            f"an image of {shape[0]} x {shape[1]} pixels holds no window of {size}; choose a smaller patch"
        )
    ys, xs = (np.arange(0, n - size + 1, stride) for n in shape)
    return np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2)


def cut_windows(image: Any, origins: np.ndarray, size: int) -> Any:
    """Windows of ``image`` (y, x, ...) at ``origins``, as one new array (record, y, x, ...)."""
    xp = namespace(image)
    if not len(origins):
        return xp.zeros((0, size, size, *image.shape[2:]), image.dtype)
    return xp.stack([image[y : y + size, x : x + size] for y, x in origins])


def valid_fraction(valid: Any, origins: np.ndarray, size: int) -> np.ndarray:
    """Share of valid pixels in each window of the mask (y, x), from its integral image."""
    total = np.zeros((valid.shape[0] + 1, valid.shape[1] + 1), np.int64)
    total[1:, 1:] = np.cumsum(np.cumsum(np.asarray(valid, bool), axis=0), axis=1)
    y, x = origins[:, 0], origins[:, 1]
    inside = total[y + size, x + size] - total[y, x + size] - total[y + size, x] + total[y, x]
    return inside / size**2
