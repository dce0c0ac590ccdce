"""Denoising of hyperspectral cubes (y, x, band): every method behind one function, and the noise behind another."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.denoise.checks import checked_cube, usable_bands
from tasks.denoise.methods import METHODS
from tasks.denoise.methods import method as find_method
from tasks.denoise.quality import with_rare
from tasks.denoise.streaming import denoise_cube, survey_cube


def denoise(cube: Any, method: str = "auto", mask: Any = None, **params: Any) -> Any:
    """Remove the noise of a cube.

    Parameters
    ----------
    cube : (y, x, band) array of integers or floats
        In any unit; NumPy or CuPy.
    method : str
        A name from `METHODS`.
    mask : (y, x), (band,) or (y, x, band) bool array, optional
        True = valid. Samples that are not valid have no influence; in the result they are estimated from what
        surrounds them, unless their band is invalid or constant almost everywhere: then they stay as they are.
    **params
        The method's own parameters; and ``keep_rare=True`` to give pixels from which more than noise was removed
        their valid values back.

    Returns
    -------
    (y, x, band) float32 array
        On the device of ``cube``, in its unit.

    Raises
    ------
    ValueError
        One sentence, for a cube, mask or parameter that cannot be used.
    """
    keep_rare = params.pop("keep_rare", False)
    chosen = find_method(method, **params)
    checked, valid = checked_cube(cube, mask)
    run = getattr(chosen, "denoise", None)
    clean = run(checked, valid) if run else denoise_cube(chosen, checked, valid)
    if keep_rare:
        clean, _ = with_rare(clean, checked, valid, survey_cube(checked, valid).sigma)
    return clean if valid is None else _keep_unused_bands(clean, cube, valid)


def _keep_unused_bands(clean: Any, cube: Any, valid: Any) -> Any:
    """``clean`` with the bands that are almost never valid as they came; zero where they were not even finite."""
    xp = namespace(clean)
    for band in np.flatnonzero(~usable_bands(to_host(valid.sum((0, 1))))):
        given = cube[..., band].astype(xp.float32)
        clean[..., band] = xp.where(xp.isfinite(given), given, xp.float32(0))
    return clean


def estimate_noise(cube: Any, mask: Any = None) -> np.ndarray:
    """Standard deviation of the noise of each band, in the unit of the cube.

    Parameters
    ----------
    cube : (y, x, band) array
    mask : bool array, optional
        True = valid; see `denoise`.

    Returns
    -------
    (band,) float64 array
        Zero for bands that are constant or almost never valid.
    """
    checked, valid = checked_cube(cube, mask)
    return survey_cube(checked, valid).sigma


__all__ = ["METHODS", "denoise", "estimate_noise"]
