"""Wavelengths in nanometres, whatever unit a file gives them in or forgets to give."""

import re

import numpy as np

from tasks.ingest.header import Unreadable

C_NM_MHZ = 2.99792458e11
"""Speed of light [nm MHz]: wavelength [nm] times frequency [MHz] (exact by definition of the metre)."""

_LENGTH = {"nm": 1.0, "um": 1e3, "mm": 1e6, "cm": 1e7, "m": 1e9, "a": 0.1}
_FREQUENCY = {"hz": 1e-6, "khz": 1e-3, "mhz": 1.0, "ghz": 1e3, "thz": 1e6}
_SPELLING = (
    (r"nanomet(er|re)s?|nms?", "nm"),
    (r"micromet(er|re)s?|microns?|[µμ]m|um", "um"),
    (r"millimet(er|re)s?|mm", "mm"),
    (r"centimet(er|re)s?|cm", "cm"),
    (r"met(er|re)s?|m", "m"),
    (r"[åÅ]ngstr[oö]ms?|angstroms?|å|a", "a"),
    (r"wavenumbers?|(1/cm|cm\^?-1|cm-1)", "cm-1"),
)


def wavelength_nm(values: np.ndarray, unit: str | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Centre wavelengths in nm, and notes on what was guessed.

    Parameters
    ----------
    values : (band,) array
        As the file lists them.
    unit : str or None
        As the file spells it; None, "unknown" or "index" when it does not say.

    Returns
    -------
    (band,) float64 array or None
        None where the list cannot be wavelengths (all zero, or band numbers).
    tuple of str

    Raises
    ------
    Unreadable
        For a unit that is neither a length, a frequency nor a wavenumber, and for lists that are not finite.
    """
    values = np.asarray(values, np.float64).ravel()
    if not np.isfinite(values).all():
        raise Unreadable("the wavelengths hold NaN or Inf; list one number for each band")
    known = _spelled(unit)
    if known is None:
        return _guessed(values)
    if (values <= 0).any():
        return None, (f"the wavelengths are left out: the smallest is {values.min():g} {unit}",)
    return _converted(values, known), _order_note(values)


def _spelled(unit: str | None) -> str | None:
    text = (unit or "").strip().strip("[]()").lower()
    if text in ("", "unknown", "index", "none", "dimensionless", "1"):
        return None
    if text in _FREQUENCY:
        return text
    for pattern, name in _SPELLING:
        if re.fullmatch(pattern, text):
            return name
    raise Unreadable(f"wavelength unit {unit!r} is not known; use nm, um, mm, m, angstrom, cm-1 or a frequency unit")


def _converted(values: np.ndarray, unit: str) -> np.ndarray:
    if unit in _FREQUENCY:
        return C_NM_MHZ / (values * _FREQUENCY[unit])
    return 1e7 / values if unit == "cm-1" else values * _LENGTH[unit]


def _guessed(values: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
    steps = np.diff(values)
    if (values <= 0).any() or (len(values) > 1 and np.all(steps == 1) and values[0] in (0, 1)):
        return None, ("the wavelengths are left out: the file lists band numbers or zeros",)
    if values.max() < 100:
        note = f"wavelengths without a unit, {values.min():g} to {values.max():g}, are taken as micrometres"
        return values * 1e3, (note, *_order_note(values))
    note = f"wavelengths without a unit, {values.min():g} to {values.max():g}, are taken as nanometres"
    return values, (note, *_order_note(values))


def _order_note(values: np.ndarray) -> tuple[str, ...]:
    steps = np.diff(values)
    if len(steps) and (steps < 0).all():
        return ("wavelengths descend; the bands keep the file's order",)
    if (steps <= 0).any() and (steps > 0).any():
        return ("wavelengths neither rise nor fall throughout; the bands keep the file's order",)
    return ()


def frequency_mhz(values: np.ndarray, unit: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Channel centres in MHz, in the file's order, and notes; without a unit the size of the numbers decides."""
    values = np.asarray(values, np.float64).ravel()
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise Unreadable("the frequencies hold zero, negative or missing numbers; list one centre for each channel")
    text = (unit or "").strip().lower()
    if text in _FREQUENCY:
        return values * _FREQUENCY[text], ()
    if text:
        raise Unreadable(f"frequency unit {unit!r} is not known; use Hz, kHz, MHz or GHz")
    guess = "hz" if values.max() > 1e6 else "mhz" if values.max() > 30 else "ghz"
    return values * _FREQUENCY[guess], (f"frequencies without a unit are taken as {guess[0].upper()}{guess[1:]}",)
