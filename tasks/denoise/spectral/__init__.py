"""Total variation along the spectrum with an absolute misfit: spikes of a band or two go, edges and ramps stay."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace, native

STEPS = 40


def without_spikes(spectra: Any, weight: float, scale: Any) -> Any:
    """Minimise |h - x| + weight·|difference of x along the bands| for each spectrum, summed absolutely.

    Parameters
    ----------
    spectra : (pixel, band) float32 array
    weight : float
        Above 0.5 a single band that stands out is drawn back; above 1 also two in a row.
    scale : float
        Differences of about this size are settled first; the noise will do. In the unit of ``spectra``.

    Returns
    -------
    (pixel, band) float32 array

    References
    ----------
    Boyd et al., Found. Trends Mach. Learn. 3 (2011): alternating directions, in `STEPS` steps.
    """
    xp = namespace(spectra)
    if spectra.shape[1] < 3:
        return spectra
    upper, pivot = factors(spectra.shape[1])
    return native(spectra, __package__).without_spikes(
        xp.ascontiguousarray(spectra),
        xp.asarray(upper),
        xp.asarray(pivot),
        np.float32(scale),
        np.float32(weight * scale),
        STEPS,
    )


def factors(n_band: int) -> tuple[np.ndarray, np.ndarray]:
    """Elimination of the tridiagonal matrix 1 + D'D: multipliers above the diagonal, and inverse pivots; float32."""
    diagonal = np.full(n_band, 3.0)
    diagonal[[0, -1]] = 2.0
    upper, pivot = np.zeros(n_band), np.zeros(n_band)
    pivot[0] = 1 / diagonal[0]
    for i in range(1, n_band):
        upper[i - 1] = -pivot[i - 1]
        pivot[i] = 1 / (diagonal[i] + upper[i - 1])
    return upper.astype(np.float32), pivot.astype(np.float32)
