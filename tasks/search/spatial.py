"""Spatial matched filter for images whose pixel noise is white: a Gaussian beam that shrinks with frequency."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.array.namespace import native

FWHM_PER_SIGMA = 2.3548200450309493


@dataclass(frozen=True)
class Beam:
    """The matched filter of every channel: ``kernels`` (channel, tap) along both axes, norms (channel, y), (channel, x)."""

    kernels: np.ndarray
    norm_y: np.ndarray
    norm_x: np.ndarray

    @property
    def reach(self) -> int:
        """Pixels that the filter needs on each side."""
        return self.kernels.shape[1] // 2


def make_beam(freqs: np.ndarray, psf_fwhm: float, shape: tuple[int, int]) -> Beam:
    """The filter for images of ``shape`` (y, x) whose beam is ``psf_fwhm`` pixels wide at the mean of ``freqs``.

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
    return Beam(kernels.astype(np.float32), *(_inside_norms(kernels, size) for size in shape))


def matched_filter(cube: Any, valid: np.ndarray, beam: Beam, rows: slice, columns: slice) -> Any:
    """Correlate every image with the beam of its channel.

    Parameters
    ----------
    cube : (time, channel, y, x) array
        Images with white pixel noise: all of them, or the part ``rows`` x ``columns`` with `Beam.reach` more pixels on
        each side that is not the image's edge.
    valid : (time, channel) bool array
        Images to filter; the others come out zero.
    beam : Beam
    rows, columns : slice
        The part of the whole image that ``cube`` holds.

    Returns
    -------
    (time, channel, y, x) float32 array
        The amplitude of a point source at each pixel. Its noise is the same everywhere in an image, also at the
        edges, where the part of the beam inside the image is used.
    """
    norms = beam.norm_y[:, rows], beam.norm_x[:, columns]
    return native(cube, __package__).smooth_images(cube, valid, beam.kernels, norms)


def _inside_norms(kernels: np.ndarray, size: int) -> np.ndarray:
    """1 / (norm of the taps inside an axis of ``size`` pixels * norm of all taps), per channel and pixel."""
    inside = np.stack([np.convolve(np.ones(size), k**2)[len(k) // 2 :][:size] for k in kernels])
    return (1 / np.sqrt(inside * (kernels**2).sum(1)[:, None])).astype(np.float32)
