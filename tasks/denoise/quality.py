"""How good a denoised cube is: against a reference, and, without one, by what the residual still holds."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace, scipy_for


def psnr(reference: Any, cube: Any, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio [dB], mean over bands; ``peak`` in the unit of the cubes."""
    xp = namespace(reference)
    error = ((reference.astype(xp.float64) - cube) ** 2).mean((0, 1))
    return float((10 * xp.log10(peak**2 / xp.maximum(error, 1e-30))).mean())


def ssim(reference: Any, cube: Any, peak: float = 1.0) -> float:
    """Structural similarity, mean over bands and over the pixels 5 away from the border.

    Wang, Bovik, Sheikh & Simoncelli, IEEE TIP 13(4), 2004: Gaussian window of 1.5 pixels, K = 0.01 and 0.03.
    """
    blur = scipy_for(reference, "ndimage").gaussian_filter
    small, large = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    found = []
    for band in range(reference.shape[2]):
        a, b = (c[..., band].astype(np.float64) for c in (reference, cube))
        mean_a, mean_b, aa, bb, ab = (blur(v, 1.5, truncate=3.5) for v in (a, b, a * a, b * b, a * b))
        alike = (2 * mean_a * mean_b + small) * (2 * (ab - mean_a * mean_b) + large)
        spread = (mean_a**2 + mean_b**2 + small) * (aa - mean_a**2 + bb - mean_b**2 + large)
        found.append(float((alike / spread)[5:-5, 5:-5].mean()))
    return float(np.mean(found))


def spectral_angle(reference: Any, cube: Any) -> float:
    """Mean angle between spectra [deg]."""
    xp = namespace(reference)
    a, b = reference.astype(xp.float64), cube.astype(xp.float64)
    lengths = xp.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    cosine = (a * b).sum(-1) / xp.maximum(lengths, 1e-300)
    return float(xp.degrees(xp.arccos(xp.clip(cosine, -1, 1))).mean())


def ergas(reference: Any, cube: Any, ratio: float = 1.0) -> float:
    """Relative global error in synthesis (Wald 2000): 100·ratio·rms over bands of error over mean."""
    xp = namespace(reference)
    error = ((reference.astype(xp.float64) - cube) ** 2).mean((0, 1))
    mean = reference.astype(xp.float64).mean((0, 1))
    return float(100 * ratio * xp.sqrt((error / xp.maximum(mean**2, 1e-300)).mean()))


def residual_correlation(residual: Any) -> Any:
    """Correlation between horizontal and vertical neighbours of what was removed, (band,): zero for white noise."""
    xp = namespace(residual)
    r = residual.astype(xp.float64) - residual.mean((0, 1), dtype=xp.float64)
    products = (r[:, 1:] * r[:, :-1]).mean((0, 1)) + (r[1:] * r[:-1]).mean((0, 1))
    return products / xp.maximum(2 * (r * r).mean((0, 1)), 1e-300)


def leakage(residual: Any, clean: Any) -> Any:
    """Correlation of what was removed with what was kept, (band,): signal that went with the noise makes it grow."""
    xp = namespace(residual)
    r = residual.astype(xp.float64) - residual.mean((0, 1), dtype=xp.float64)
    c = clean.astype(xp.float64) - clean.mean((0, 1), dtype=xp.float64)
    scale = xp.sqrt((r * r).sum((0, 1)) * (c * c).sum((0, 1)))
    return (r * c).sum((0, 1)) / xp.maximum(scale, 1e-300)


def rare_signals(residual: Any, sigma: Any, limit: float = 6.0) -> Any:
    """Pixels from which more was removed than noise: a rare material that the scene's components do not hold.

    Parameters
    ----------
    residual : (y, x, band) float array
        Input less result.
    sigma : (band,) array
        Noise of each band; bands of zero noise are left out.
    limit : float
        Standard deviations of the energy that noise alone would have.

    Returns
    -------
    (y, x) bool array
    """
    xp = namespace(residual)
    sigma = xp.asarray(sigma)
    n_band = max(int((sigma > 0).sum()), 1)
    scaled = residual * xp.where(sigma > 0, 1 / xp.where(sigma > 0, sigma, 1), 0).astype(residual.dtype)
    scaled *= scaled
    energy = scaled.sum(-1) / n_band
    return energy > 1 + limit * np.sqrt(2 / n_band)


def with_rare(clean: Any, cube: Any, valid: Any, sigma: Any) -> tuple[Any, Any]:
    """``clean`` where rare pixels have their valid samples as in ``cube``, and which pixels those are (y, x)."""
    xp = namespace(clean)
    residual = cube - clean
    if valid is not None:
        residual = xp.where(valid, residual, xp.float32(0))
    rare = rare_signals(residual, sigma)
    back = rare[..., None] if valid is None else rare[..., None] & valid
    return xp.where(back, cube, clean), rare
