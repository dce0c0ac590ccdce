"""Noise of every kind that sensors have, added to a clean cube: seeded, out of place, with the truth handed back."""

from typing import Any

import numpy as np

Rng = np.random.Generator


def _as_float(cube: np.ndarray) -> np.ndarray:
    return np.asarray(cube, np.float64)


def sigma_for(cube: np.ndarray, snr_db: float) -> float:
    """Standard deviation of the noise that gives a cube this signal-to-noise ratio [dB]."""
    return float(np.sqrt((_as_float(cube) ** 2).mean() / 10 ** (snr_db / 10)))


def gaussian(cube: np.ndarray, snr_db: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Equal Gaussian noise in all bands; the noisy cube (float32) and sigma (band,)."""
    sigma = np.full(cube.shape[2], sigma_for(cube, snr_db))
    return _with_gaussian(cube, sigma, seed), sigma


def per_band(
    cube: np.ndarray, snr_db: float, spread: tuple[float, float] = (0.2, 2.0), seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian noise whose level varies over the bands by factors from ``spread``, at this mean power."""
    factors = np.random.default_rng((seed, 1)).uniform(*spread, cube.shape[2])
    sigma = sigma_for(cube, snr_db) * factors / np.sqrt((factors**2).mean())
    return _with_gaussian(cube, sigma, seed), sigma


def poisson(cube: np.ndarray, counts: float, seed: int = 0) -> np.ndarray:
    """Photon noise: ``counts`` photons where the cube is 1.

    Raises
    ------
    ValueError
        If a value is negative.
    """
    lowest = float(np.min(cube))
    if lowest < 0:
        raise ValueError(f"the cube goes down to {lowest:g}, photon noise expects no negative values; shift or clip it")
    rng = np.random.default_rng(seed)
    return (rng.poisson(_as_float(cube) * counts) / counts).astype(np.float32)


def impulses(
    cube: np.ndarray, fraction: float, bands: Any = slice(None), values: tuple[float, float] = (0.0, 1.0), seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Samples replaced by one of two extreme ``values``; the cube and where they are, (y, x, band) bool."""
    rng = np.random.default_rng(seed)
    hit = np.zeros(cube.shape, bool)
    hit[..., bands] = rng.random(hit[..., bands].shape) < fraction
    which = np.where(rng.random(cube.shape) < 0.5, *values)
    return np.where(hit, which, cube).astype(np.float32), hit


def stripes(
    cube: np.ndarray, fraction: float, amplitude: float, bands: Any = slice(None), seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Columns shifted by an offset from -amplitude to amplitude; the cube and the offsets (x, band)."""
    rng = np.random.default_rng(seed)
    shape = cube.shape[1:]
    chosen = np.zeros(shape, bool)
    chosen[:, bands] = rng.random(chosen[:, bands].shape) < fraction
    offsets = np.where(chosen, rng.uniform(-amplitude, amplitude, shape), 0.0)
    return (_as_float(cube) + offsets).astype(np.float32), offsets


def dead_lines(
    cube: np.ndarray, fraction: float, bands: Any = slice(None), value: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Columns stuck at ``value``; the cube and where they are, (x, band) bool."""
    rng = np.random.default_rng(seed)
    dead = np.zeros(cube.shape[1:], bool)
    dead[:, bands] = rng.random(dead[:, bands].shape) < fraction
    return np.where(dead, value, cube).astype(np.float32), dead


def _with_gaussian(cube: np.ndarray, sigma: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(cube.shape)
    return (_as_float(cube) + noise * sigma).astype(np.float32)
