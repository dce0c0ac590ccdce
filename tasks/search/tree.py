"""The fast DM transform: sums that many DM trials share are formed once, in a binary tree over the channels.

A trial follows a path of whole numbers of half samples down the tree: a node passes its span (the delay between its first
and its last channel) on to its halves, each time rounded. All trials with the same span at a node, and the same half of a
sample at its beginning, share one row there. The paths are known (`Tree.delays`), so the variance of a trial is exact and
a plain sum along its path is the very same trial. After Zackay & Ofek (2017), with the rows of a node restricted to those
that some trial needs.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

TREE_COST = 6.0
"""Time of one addition in the tree over that of one in the fused sum, which stays in the innermost cache (measured)."""


@dataclass(frozen=True)
class Tree:
    """A tree for passes of ``n`` sums per trial.

    Nodes of odd depth keep their rows in one buffer, those of even depth in another, addressed from 0.

    Attributes
    ----------
    n : int
    delays : (dm, channel) int32 array
        Half samples by which the tree delays each channel in each trial.
    leaves : (leaf, 5) int64 array
        Rows (channel, half, base, length, address): samples ``base`` to ``base + length`` of a channel, or, where ``half``
        is 1, the means of each of these with its successor.
    merges : (row, 4) int64 array
        Rows (address, first, second, length): ``out[address + t] = in[first + t] + in[second + t]``.
    leaf_ends, merge_ends : (depth,) int64 arrays
        Where the leaves and the merges of each depth end, the deepest first; the last depth is 1.
    roots : (dm, 2) int64 array
        Trial ``i`` is ``in[first + t] + in[second + t]`` of the rows of depth 1.
    sizes : (int, int)
        Length of the buffers of even and odd depths.
    """

    n: int
    delays: np.ndarray
    leaves: np.ndarray
    merges: np.ndarray
    leaf_ends: np.ndarray
    merge_ends: np.ndarray
    roots: np.ndarray
    sizes: tuple[int, int]

    @property
    def additions(self) -> float:
        """Additions per sum of all trials, a copied leaf counted as one."""
        return (self.leaves[:, 3].sum() + self.merges[:, 3].sum()) / self.n + len(self.roots)


class _Node:
    """Channels ``low`` to ``high``, and of every trial its span and offset there [half samples]."""

    def __init__(self, depth: int, low: int, high: int, span: np.ndarray, offset: np.ndarray, n: int):
        self.depth, self.low, self.high, self.span, self.offset = depth, low, high, span, offset
        keys, self.first, self.row = np.unique(2 * span + (offset & 1), return_index=True, return_inverse=True)
        start, last = np.full(len(keys), np.iinfo(np.int64).max), np.zeros(len(keys), np.int64)
        np.minimum.at(start, self.row, offset >> 1)
        np.maximum.at(last, self.row, offset >> 1)
        self.base, self.length = start, n + last - start
        self.address = np.zeros(len(keys), np.int64)
        self.halves: tuple[_Node, _Node] | None = None

    def reading(self, trial: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Address of sample ``at`` of the rows of the trials ``trial``."""
        row = self.row[trial]
        return self.address[row] + at - self.base[row]


def is_cheaper(units: np.ndarray, dms: np.ndarray, n: int) -> bool:
    """Whether the tree is expected to take less time than summing every channel for every trial."""
    fused = len(dms) * len(units)
    if len(units) < 4 or fused < TREE_COST * (len(dms) + len(units)):  # a tree adds at least that much
        return False
    return TREE_COST * grow(units.tobytes(), dms.tobytes(), n).additions < fused


@lru_cache(maxsize=32)
def grow(units: bytes, dms: bytes, n: int) -> Tree:
    """The tree for trials ``dms`` and passes of ``n`` sums.

    ``units`` and ``dms`` are the bytes of float64 arrays: the delay of each channel behind the first to arrive, per unit DM
    [half samples], and the trials.
    """
    unit, trials = np.frombuffer(units), np.frombuffer(dms)
    order = np.argsort(unit, kind="stable")
    unit = unit[order]
    zero = np.zeros(len(trials), np.int64)
    root = _Node(0, 0, len(unit), np.arange(len(trials)), zero, n)  # every trial a row of its own
    levels = [[root]]
    while any(node.high - node.low > 1 for node in levels[-1]):
        levels.append([half for node in levels[-1] for half in _split(node, unit, trials, n)])
    delays = np.zeros((len(trials), len(unit)), np.int32)
    leaves, merges, leaf_ends, merge_ends, sizes = [], [], [0], [0], [0, 0]
    for nodes in reversed(levels[1:]):
        used = 0
        for node in nodes:
            node.address = used + np.concatenate([[0], np.cumsum(node.length)[:-1]])
            used += int(node.length.sum())
            if node.halves is None:
                channel = order[node.low]
                delays[:, channel] = node.offset
                leaves.append(_leaves(node, int(channel)))
            else:
                merges.append(_merges(node))
        sizes[nodes[0].depth % 2] = max(sizes[nodes[0].depth % 2], used)
        leaf_ends.append(sum(map(len, leaves)))
        merge_ends.append(sum(map(len, merges)))
    return Tree(
        n,
        delays,
        np.concatenate(leaves),
        np.concatenate([np.zeros((0, 4), np.int64), *merges]),
        np.array(leaf_ends),
        np.array(merge_ends),
        _merges(root)[:, 1:3].copy(),
        (sizes[0], sizes[1]),
    )


def _split(node: _Node, unit: np.ndarray, dms: np.ndarray, n: int) -> tuple[_Node, ...]:
    """The halves of a node; at the root the trials' own DMs decide, below it the DM that a span stands for."""
    if node.high - node.low < 2:
        return ()
    middle = (node.low + node.high) // 2
    spread = unit[node.high - 1] - unit[node.low]
    dm = dms if node.depth == 0 else node.span / spread if spread > 0 else np.zeros(len(dms))

    def rounded(delay: float) -> np.ndarray:
        return np.rint(dm * delay).astype(np.int64)

    first = rounded(unit[middle - 1] - unit[node.low]), node.offset
    second = rounded(unit[node.high - 1] - unit[middle]), node.offset + rounded(unit[middle] - unit[node.low])
    node.halves = (
        _Node(node.depth + 1, node.low, middle, *first, n),
        _Node(node.depth + 1, middle, node.high, *second, n),
    )
    return node.halves


def _leaves(node: _Node, channel: int) -> np.ndarray:
    half = node.offset[node.first] & 1
    return np.stack([np.full(len(half), channel), half, node.base, node.length, node.address], 1).astype(np.int64)


def _merges(node: _Node) -> np.ndarray:
    assert node.halves is not None
    left, right = node.halves
    trial = node.first
    late = (right.offset[trial] >> 1) - (node.offset[trial] >> 1)
    first, second = left.reading(trial, node.base), right.reading(trial, node.base + late)
    return np.stack([node.address, first, second, node.length], 1).astype(np.int64)
