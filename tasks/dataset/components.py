"""Connected components: what hangs together through pairs."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Key = TypeVar("Key", bound=Hashable)


def components(pairs: np.ndarray, n: int) -> np.ndarray:
    """Number of each of ``n`` items' component: that of its lowest member, so the numbers do not depend on any order.

    Parameters
    ----------
    pairs : (pair, 2) int array
        Items that belong together.
    n : int
        How many items there are.
    """
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    lowest = np.full(label.max(initial=-1) + 1, n, np.int64)
    np.minimum.at(lowest, label, np.arange(n))
    return lowest[label]


def merge_groups(keys: Iterable[Key], links: Iterable[tuple[Key, Key]]) -> dict[Key, Key]:
    """The lowest key of each key's component; ``links`` to keys that are not among ``keys`` are left out."""
    ordered = sorted(set(keys))  # type: ignore[type-var]
    place = {key: i for i, key in enumerate(ordered)}
    pairs = [(place[a], place[b]) for a, b in links if a in place and b in place]
    lowest = components(_rows(pairs), len(ordered))
    return {key: ordered[lowest[i]] for i, key in enumerate(ordered)}


def _rows(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)
