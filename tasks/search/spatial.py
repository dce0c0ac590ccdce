"""Spatial matched filter for images whose pixel noise is white: a Gaussian beam that shrinks with frequency."""

from typing import Any

import numpy as np

from tasks.array.namespace import native

FWHM_PER_SIGMA = 2.3548200450309493


def matched_filter(cube: Any, freqs: np.ndarray, valid: np.ndarray, psf_fwhm: float) -> Any:
    """Correlate every image with the beam of its channel.

    Parameters
    ----------
    cube : (time, channel, y, x) array
        Images with white pixel noise.
    freqs : (channel,) float array
        Channel centres [MHz].
    valid : (time, channel) bool array
        Images to filter; the others come out zero.
    psf_fwhm : float
        Beam width at the mean frequency [pixels]; in other channels it scales as 1/frequency.

    Returns
    -------
    (time, channel, y, x) float32 array
        The amplitude of a point source at each pixel. Its noise is the same everywhere in an image, also at the
        edges, where the part of the beam inside the image is used.

    Raises
    ------
    ValueError
        If ``psf_fwhm`` is not positive.
    """
    if not psf_fwhm > 0:
        raise ValueError(f"psf_fwhm must be positive, got {psf_fwhm} pixels; give None for dirty images")
    sigmas = psf_fwhm / FWHM_PER_SIGMA * np.mean(freqs) / np.asarray(freqs, np.float64)
    reach = int(np.ceil(3.5 * sigmas.max()))
    kernels = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigmas[:, None]) ** 2)
    norms = [_inside_norms(kernels, size) for size in cube.shape[2:]]
    return native(cube, __package__).smooth_images(cube, valid, kernels.astype(np.float32), norms)


def _inside_norms(kernels: np.ndarray, size: int) -> np.ndarray:
    """1 / (norm of the taps inside an axis of ``size`` pixels * norm of all taps), per channel and pixel."""
    inside = np.stack([np.convolve(np.ones(size), k**2)[len(k) // 2 :][:size] for k in kernels])
    return (1 / np.sqrt(inside * (kernels**2).sum(1)[:, None])).astype(np.float32)
