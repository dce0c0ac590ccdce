"""Draws that fill a space evenly and can be continued: tomorrow's injections go on where today's stopped."""

from collections.abc import Mapping

import numpy as np


def continued_draws(start: int, n: int, ranges: Mapping[str, tuple[float, float]], seed: int) -> dict[str, np.ndarray]:
    """Points ``start`` to ``start + n`` of a scrambled Sobol sequence, logarithmically within ``ranges``.

    Parameters
    ----------
    start, n : int
        The index that earlier draws reached, and how many to draw; draws made before never change.
    ranges : mapping of name to (low, high)
        Positive limits, one dimension each, in this order.
    seed : int
        Of the scrambling.

    Returns
    -------
    dict of (n,) float64 arrays

    Raises
    ------
    ValueError
        If a range is empty or not positive.

    References
    ----------
    Owen, *Scrambling Sobol' and Niederreiter-Xing points*, J. Complexity 14 (1998).
    """
    from scipy.stats import qmc

    for name, (low, high) in ranges.items():
        if not 0 < low <= high:
            raise ValueError(f"the range of {name} is {low} to {high}; give positive limits in ascending order")
    sequence = qmc.Sobol(len(ranges), rng=np.random.default_rng(seed))
    # One point first: SciPy warns of a beginning that is no power of two, but this sequence has no last night.
    points = np.concatenate([sequence.random(1), sequence.random(start + n)])[start : start + n]
    limits = np.log(np.array(list(ranges.values())))
    values = np.exp(limits[:, 0] + points * (limits[:, 1] - limits[:, 0]))
    return dict(zip(ranges, values.T, strict=True))
