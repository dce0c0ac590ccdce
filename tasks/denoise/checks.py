"""What a cube must be before any method sees it, and one clear sentence where it is not."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace


def checked_cube(cube: Any, mask: Any = None) -> tuple[Any, Any]:
    """The cube as float32, and which samples are valid (None where all are).

    Parameters
    ----------
    cube : (y, x, band) array of integers or floats
    mask : (y, x), (band,) or (y, x, band) bool array, optional
        True = valid.

    Returns
    -------
    cube : (y, x, band) float32 array
        Zero wherever a sample is not valid, so that nothing of it can leak.
    valid : (y, x, band) bool array or None

    Raises
    ------
    ValueError
        Wrong axes, type or mask; NaN or infinity in a sample called valid; nothing valid at all.
    """
    xp = namespace(cube)
    cube = xp.asarray(cube)
    if cube.ndim != 3 or 0 in cube.shape:
        raise ValueError(
            f"the cube has shape {tuple(cube.shape)}, expected three non-empty axes (y, x, band); "
            "add the missing axis, or choose another variable"
        )
    if cube.dtype.kind not in "iuf":
        raise ValueError(f"the cube holds {cube.dtype}, expected integers or real floats; convert it first")
    valid = None if mask is None else full_mask(xp.asarray(mask), cube.shape)
    valid = None if valid is None or valid.all() else valid
    cube = cube.astype(xp.float32, copy=False)
    _check_finite(xp, cube, valid)
    if valid is None:
        return cube, None
    return xp.where(valid, cube, xp.float32(0)), valid


def full_mask(mask: Any, shape: tuple[int, ...]) -> Any:
    """A (y, x), (band,) or (y, x, band) mask as (y, x, band), without a copy.

    Raises
    ------
    ValueError
        If it holds no booleans, fits no axis of the cube, or calls nothing valid.
    """
    if mask.dtype != bool:
        raise ValueError(f"the mask holds {mask.dtype}, expected booleans (True = valid); pass mask.astype(bool)")
    shapes = {shape[:2]: (..., None), shape[2:]: (None, None, slice(None)), tuple(shape): (...,)}
    if mask.shape not in shapes:
        raise ValueError(
            f"the mask has shape {mask.shape}, expected {shape[:2]} (pixels), {shape[2:]} (bands) or {tuple(shape)}; "
            "reshape it to match the cube"
        )
    if not mask.any():
        raise ValueError("the mask calls no sample valid, expected True somewhere; True means valid, so invert it?")
    return namespace(mask).broadcast_to(mask[shapes[mask.shape]], shape)


def _check_finite(xp: Any, cube: Any, valid: Any) -> None:
    bad = ~xp.isfinite(cube)
    if valid is not None:
        bad &= valid
    n_bad = int(bad.sum())
    if n_bad:
        raise ValueError(
            f"{n_bad} samples are NaN or infinite but not masked, expected finite values; "
            "pass mask=np.isfinite(cube) to leave them out"
        )


def checked_rank(rank: int | None, n_band: int) -> int | None:
    """``rank`` if a scene of ``n_band`` bands can have it.

    Raises
    ------
    ValueError
        If it is not between 1 and the number of bands.
    """
    if rank is not None and not 1 <= int(rank) <= n_band:
        raise ValueError(f"the rank is {rank}, expected 1 to {n_band} (the usable bands); lower it or leave it out")
    return None if rank is None else int(rank)


def usable_bands(seen: np.ndarray, least: float = 0.5) -> np.ndarray:
    """Bands with valid samples at ``least`` this fraction of the pixels that the best band has.

    The others would leave too few pixels with complete spectra; methods pass them through unchanged.
    """
    return seen > least * max(int(seen.max()), 1) if seen.max() else np.zeros(seen.shape, bool)
