"""Cold-plasma dispersion: how late each channel of a pulse arrives."""

from typing import Any

import numpy as np

KDM = 4.148808e3
"""Dispersion constant [s MHz^2 pc^-1 cm^3] (Lorimer & Kramer 2004)."""


def dispersion_delays(freqs: np.ndarray, dms: Any, *, reference: float) -> np.ndarray:
    """Delay of each channel behind the frequency ``reference`` [s].

    Parameters
    ----------
    freqs : (channel,) float array
        Channel centre frequencies [MHz], all positive.
    dms : (dm,) float array
        Trial dispersion measures [pc cm^-3].
    reference : float
        Frequency at which the delay is zero [MHz].

    Returns
    -------
    (dm, channel) float64 array

    Raises
    ------
    ValueError
        If a frequency is not positive.

    References
    ----------
    Lorimer & Kramer, *Handbook of Pulsar Astronomy* (2004), ch. 4.
    """
    freqs, dms = np.asarray(freqs, np.float64), np.atleast_1d(np.asarray(dms, np.float64))
    if not (freqs > 0).all():
        raise ValueError(f"freqs must be positive, got a minimum of {freqs.min()} MHz; give channel centres in MHz")
    return KDM * dms[:, None] * (freqs**-2.0 - float(reference) ** -2.0)


def band_delay(freqs: np.ndarray) -> float:
    """Delay across the whole band per unit DM [s pc^-1 cm^3]; zero for a single channel."""
    return KDM * (float(np.min(freqs)) ** -2.0 - float(np.max(freqs)) ** -2.0)
