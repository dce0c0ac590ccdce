"""Sensitivity sampling: a small weighted sample on which any loss is nearly what it is on all samples."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace


def sensitivities(rows: Any) -> Any:
    """Upper bounds, up to a factor, on each row's share of any sum over rows: half uniform, half by squared norm.

    With embeddings centred by the caller these are the lightweight coreset's (k-means loss); with a row of losses of
    each sample under several models they are AutoCoreset's vector summation.

    Parameters
    ----------
    rows : (record, feature) float array
        Centred embeddings, or losses.

    Returns
    -------
    (record,) float64 array
        They sum to one.

    References
    ----------
    Bachem, Lucic & Krause, *Scalable k-means clustering via lightweight coresets*, KDD 2018; Maalouf et al.,
    *AutoCoreset*, ICML 2023.
    """
    xp = namespace(rows)
    norms = (xp.asarray(rows, xp.float64) ** 2).sum(axis=1)
    total = norms.sum()
    uniform = xp.full(len(rows), 1 / max(1, len(rows)))
    return (uniform + norms / total) / 2 if total > 0 else uniform


def sensitivity_sample(shares: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``n`` rows with probabilities ``shares``; weights make weighted sums unbiased.

    Parameters
    ----------
    shares : (record,) float array
        Non-negative; scaled to sum to one.
    n : int
        Draws, with replacement; a row drawn repeatedly is returned once with the sum of its weights.
    seed : int
        The same seed draws the same rows.

    Returns
    -------
    chosen : (m,) int64 array
        Row numbers, ascending, ``m <= n``.
    weights : (m,) float64 array
        What each stands for: over draws, ``weights`` times any values sums to their sum over all rows on average.

    Raises
    ------
    ValueError
        If a share is negative or NaN, or all are zero.
    """
    shares = np.asarray(shares, np.float64)
    if not (shares >= 0).all() or not shares.sum() > 0:
        raise ValueError("shares must not be negative and not all zero; look for NaN among the rows")
    p = shares / shares.sum()
    chosen, count = np.unique(np.random.default_rng(seed).choice(len(p), n, p=p), return_counts=True)
    return chosen, count / (n * p[chosen])
