"""Small scenes with a known truth: smooth spectra, mixed smoothly over the pixels, with a few sharp fields."""

import numpy as np
from scipy.ndimage import gaussian_filter


def scene(ny=48, nx=40, n_band=24, n_end=3, seed=0):
    """(y, x, band) float64 cube in (0, 1) of rank ``n_end``."""
    rng = np.random.default_rng(seed)
    axis = np.linspace(0, 1, n_band)
    centres, widths = rng.uniform(0, 1, (n_end, 4)), rng.uniform(0.08, 0.3, (n_end, 4))
    heights = rng.uniform(-0.2, 0.3, (n_end, 4))
    bumps = heights[..., None] * np.exp(-0.5 * ((axis - centres[..., None]) / widths[..., None]) ** 2)
    spectra = np.clip(rng.uniform(0.3, 0.6, (n_end, 1)) + bumps.sum(1), 0.05, 0.95)
    fields = np.stack([gaussian_filter(rng.standard_normal((ny, nx)), 4, mode="wrap") for _ in range(n_end)])
    fields /= np.maximum(fields.std((1, 2), keepdims=True), 1e-3)
    fields[0, ny // 4 : ny // 2, nx // 4 : nx // 2] += 3
    shares = np.exp(1.5 * fields)
    return np.tensordot(shares / shares.sum(0), spectra, (0, 0))


def noisy(clean, sigma=0.03, seed=1):
    """``clean`` plus Gaussian noise; ``sigma`` is one number or one per band. float32."""
    rng = np.random.default_rng(seed)
    return (clean + rng.standard_normal(clean.shape) * sigma).astype(np.float32)


def psnr(clean, restored):
    """Mean over bands of the peak signal-to-noise ratio [dB], peak 1."""
    error = ((np.asarray(restored, float) - clean) ** 2).mean((0, 1))
    return float((-10 * np.log10(np.maximum(error, 1e-30))).mean())
