"""Which records make up which batch: a permutation that seed, epoch, rank and step determine, so training can resume.

Multi-grid training (Wu et al., *A Multigrid Method for Efficiently Training Video Models*, CVPR 2020) alternates crops
of several sizes and keeps crop times batch constant: small crops come in large batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

Crop = dict[str, slice]


@dataclass(frozen=True)
class MultiGrid:
    """Crop sizes (y, x) to alternate between, step by step, within samples of ``full`` pixels."""

    full: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        for size in self.sizes:
            if not all(0 < s <= f for s, f in zip(size, self.full, strict=True)):
                raise ValueError(
                    f"a crop of {size} pixels does not fit samples of {self.full}; choose sizes up to that"
                )

    def batch(self, step: int, full_batch: int) -> int:
        """Records in the batch of ``step``: as many as keep the pixels of a full-size batch of ``full_batch``."""
        y, x = self.sizes[step % len(self.sizes)]
        return max(1, full_batch * self.full[0] * self.full[1] // (y * x))

    def crop(self, step: int, rng: np.random.Generator) -> Crop:
        """Where the batch of ``step`` is cut out."""
        size = self.sizes[step % len(self.sizes)]
        at = [int(rng.integers(f - s + 1)) for f, s in zip(self.full, size, strict=True)]
        return {dim: slice(a, a + s) for dim, a, s in zip(("y", "x"), at, size, strict=True)}


@dataclass(frozen=True, eq=False)
class Schedule:
    """The batches of every epoch for one of ``world`` training processes.

    All ranks cut the same permutation, so no record is read twice in an epoch; the last ``n % world`` records of the
    permutation, others in each epoch, are left out so that all ranks make equally many steps.

    Parameters
    ----------
    records : int or (record,) int array
        How many records there are, or the numbers of those to use (a split's).
    batch : int
        Records per batch (of full-size crops, with ``multigrid``); the last batch may be smaller.
    seed, rank, world : int
        What determines the permutation, and this process's part of it.
    shuffle : bool
        Whether to permute at all.
    multigrid : MultiGrid, optional
        Crop sizes to alternate between.
    """

    records: int | Sequence[int] | np.ndarray
    batch: int
    seed: int = 0
    rank: int = 0
    world: int = 1
    shuffle: bool = True
    multigrid: MultiGrid | None = None
    _starts: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.batch < 1 or not 0 <= self.rank < self.world:
            raise ValueError(f"batch {self.batch} must be positive and rank {self.rank} below world {self.world}")
        object.__setattr__(self, "_starts", self._batch_starts())

    @property
    def n(self) -> int:
        """Records that this rank sees in an epoch."""
        return self._total // self.world

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self._starts) - 1

    def step(self, epoch: int, step: int) -> tuple[np.ndarray, Crop | None]:
        """Record numbers of one batch, and its crop."""
        order = self._order(epoch)[self._starts[step] : self._starts[step + 1]]
        numbers = order if isinstance(self.records, int) else np.asarray(self.records)[order]
        if self.multigrid is None:
            return numbers, None
        return numbers, self.multigrid.crop(step, np.random.default_rng([self.seed, epoch, self.rank, step]))

    @property
    def _total(self) -> int:
        return self.records if isinstance(self.records, int) else len(self.records)

    def _batch_starts(self) -> np.ndarray:
        if self.multigrid is None:
            return np.append(np.arange(0, self.n, self.batch), self.n)
        starts = [0]
        while starts[-1] < self.n:
            starts.append(min(self.n, starts[-1] + self.multigrid.batch(len(starts) - 1, self.batch)))
        return np.array(starts)

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.rank, self.n * self.world, self.world)
        return _permutation(self._total, self.seed, epoch)[: self.n * self.world][self.rank :: self.world]


@lru_cache(maxsize=4)
def _permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(n)
