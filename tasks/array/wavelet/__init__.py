"""Undecimated orthonormal wavelets on periodic images: the mean over all cyclic shifts of the decimated transform.

Shrinking the coefficients of this transform equals cycle spinning over every shift (Coifman & Donoho 1995), so its
answer commutes with shifts and does not know where a tile began. The package is also the example of a compiled
twin: `_cpu` (Numba) and `_gpu` (CUDA) have equal names and signatures and share the scalar `_formulas`.
"""

from typing import Any

import numpy as np

from tasks.array.namespace import native

SYM4 = (
    -0.07576571478927333, -0.02963552764599851, 0.49761866763201545, 0.80373875180591614,
    0.29785779560527736, -0.09921954357684722, -0.01260396726203783, 0.03222310060404270,
)  # fmt: skip
"""Low-pass taps of Daubechies' least asymmetric wavelet with four vanishing moments (Ten Lectures, table 6.3)."""


def filters() -> tuple[np.ndarray, np.ndarray]:
    """The orthonormal pair (low, high) of eight float32 taps."""
    low = np.asarray(SYM4, np.float64)
    high = low[::-1] * (-1.0) ** np.arange(low.size)
    return low.astype(np.float32), high.astype(np.float32)


def reach(levels: int) -> int:
    """Pixels on each side that ``levels`` analyses and syntheses may look at."""
    return (len(SYM4) - 1) * (2**levels - 1)


def analyse(image: Any, low: Any, high: Any, step: int) -> tuple[Any, Any]:
    """Split images into a coarse image and three of details, all of the same size.

    Parameters
    ----------
    image : (n, y, x) float32 array
    low, high : (tap,) float32 arrays
        From `filters`; on the device of ``image``.
    step : int
        Distance between taps [pixels]: ``2**level``.

    Returns
    -------
    coarse : (n, y, x) float32 array
    details : (n, 3, y, x) float32 array
        Detail along y, along x, along both. White noise of unit variance has unit variance in all four.

    References
    ----------
    Holschneider, Kronland-Martinet, Morlet, Tchamitchian (1989), "a trous"; Coifman & Donoho (1995).
    """
    _check(image, step)
    return native(image, __package__).analyse(image, low, high, step)


def synthesise(coarse: Any, details: Any, low: Any, high: Any, step: int) -> Any:
    """The images whose `analyse` gave ``coarse`` and ``details``: the mean over both shifts along both axes."""
    _check(coarse, step)
    return native(coarse, __package__).synthesise(coarse, details, low, high, step)


def magnitude_counts(values: Any, weights: Any, scale: float, n_bins: int) -> Any:
    """Histogram of magnitudes per image: integers, so parts merge exactly and in any order.

    Parameters
    ----------
    values : (n, y, x) float32 array
    weights : (y, x) bool array
        Pixels to count.
    scale : float
        Bins per unit.
    n_bins : int
        Number of bins; the last one takes everything beyond.

    Returns
    -------
    (n, bin) int64 array
    """
    return native(values, __package__).magnitude_counts(values, weights, np.float32(scale), n_bins)


def _check(image: Any, step: int) -> None:
    if image.ndim != 3 or image.dtype != np.float32:
        raise ValueError(
            f"wavelets expect a (n, y, x) float32 array, got {image.ndim} axes of {image.dtype}; "
            "add a leading axis or convert it"
        )
    if step < 1:
        raise ValueError(f"the distance between taps must be at least 1 pixel, got {step}; pass 2**level")


__all__ = ["SYM4", "analyse", "filters", "magnitude_counts", "reach", "synthesise"]
