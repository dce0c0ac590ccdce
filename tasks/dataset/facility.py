"""Facility location: the samples that best stand for all others, or for a target set (unlabelled cutouts near known ones)."""

from typing import Any

import numpy as np

from tasks.array.namespace import namespace, to_host
from tasks.dataset._cpu import cover_greedily

BLOCK = 1 << 22
"""Distances held at once."""


def facility_location(x: Any, k: int, targets: Any = None, neighbours: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Choose ``k`` rows such that every target has a chosen row like it; within 1 - 1/e of the optimum on the graph.

    Similarity falls linearly with distance, from one to zero at the largest distance in the graph that links each
    target to its nearest rows.

    Parameters
    ----------
    x : (record, feature) float array
        Embeddings to choose from.
    k : int
        How many to choose.
    targets : (target, feature) float array, optional
        What is to be covered; all rows by default. With targets apart from ``x`` this is SimCore's open-set selection.
    neighbours : int
        Edges of the graph per target.

    Returns
    -------
    chosen : (k,) int64 array
        Row numbers, best first.
    gains : (k,) float64 array
        Similarity that each added to the sum over targets; never increasing.

    Raises
    ------
    ValueError
        If ``k`` is not between 0 and the number of rows.

    References
    ----------
    Minoux, *Accelerated greedy algorithms* (1978); Kim et al., *Coreset Sampling from Open-Set for Fine-Grained
    Self-Supervised Learning*, CVPR 2023 (SimCore).
    """
    if not 0 <= k <= len(x):
        raise ValueError(f"k is {k}, expected between 0 and the {len(x)} rows there are")
    if not len(x):
        return np.zeros(0, np.int64), np.zeros(0)
    wanted = x if targets is None else targets
    near, square = _nearest(x, wanted, min(neighbours, len(x)))
    distance = np.sqrt(np.maximum(square, 0))
    similarity = 1 - distance / max(float(distance.max(initial=0)), 1e-30)
    target = np.repeat(np.arange(len(wanted)), near.shape[1])
    order = np.argsort(near.ravel(), kind="stable")
    starts = np.searchsorted(near.ravel()[order], np.arange(len(x) + 1))
    return cover_greedily(target[order], similarity.ravel()[order].astype(np.float64), starts, len(wanted), k)


def _nearest(x: Any, wanted: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``n`` nearest rows of ``x`` to each target, and their squared distances."""
    xp = namespace(x, wanted)
    x, wanted = xp.asarray(x, xp.float32), xp.asarray(wanted, xp.float32)
    square, step = (x * x).sum(axis=1), max(1, BLOCK // len(x))
    found, reach = [], []
    for start in range(0, len(wanted), step):
        block = wanted[start : start + step]
        distance = square - 2 * (block @ x.T) + (block * block).sum(axis=1)[:, None]
        row = xp.argpartition(distance, n - 1, axis=1)[:, :n]
        found.append(to_host(row))
        reach.append(to_host(xp.take_along_axis(distance, row, axis=1)))
    return np.concatenate(found), np.concatenate(reach)
