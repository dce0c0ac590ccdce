"""Tiles: how an array is cut into pieces that workers own, and what each must read around its piece.

A *core* is the region one worker writes (one shard). Its *halo* is what it reads besides, clipped at the array's edge.
Cores lie on a lattice that begins at the array's origin, so a tile means the same region in every run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

Region = tuple[slice, ...]
Halo = int | Sequence[int | tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Tile:
    """One core of an array of ``shape`` and the halo, per axis (before, after), that its reader wants."""

    index: tuple[int, ...]
    core: Region
    shape: tuple[int, ...]
    halo: tuple[tuple[int, int], ...]

    @property
    def read(self) -> Region:
        """The core with its halo, inside the array."""
        return tuple(
            slice(max(0, c.start - before), min(size, c.stop + after))
            for c, size, (before, after) in zip(self.core, self.shape, self.halo, strict=True)
        )

    @property
    def trim(self) -> Region:
        """Where the core lies in the block that was read."""
        return tuple(slice(c.start - r.start, c.stop - r.start) for c, r in zip(self.core, self.read, strict=True))

    def with_halo(self, halo: Halo) -> "Tile":
        """The same core, read with another halo."""
        return replace(self, halo=_per_axis(halo, len(self.shape)))

    def split(self) -> "tuple[Tile, ...]":
        """Two halves of the core along its longest axis; the tile alone when that axis has one sample."""
        lengths = [c.stop - c.start for c in self.core]
        axis = lengths.index(max(lengths))
        if lengths[axis] < 2:
            return (self,)
        start, stop = self.core[axis].start, self.core[axis].stop
        middle = (start + stop) // 2
        halves = (slice(start, middle), slice(middle, stop))
        return tuple(replace(self, core=(*self.core[:axis], half, *self.core[axis + 1 :])) for half in halves)


def tiles(shape: Sequence[int], cell: Sequence[int], halo: Halo = 0) -> list[Tile]:
    """Cover an array of ``shape`` once with cores of ``cell`` samples, in C order.

    Parameters
    ----------
    shape, cell : sequence of int
        Array shape, and the core's edge per axis; the last core of an axis may be smaller.
    halo : int, or per axis int or (before, after)
        Samples read around the core.

    Raises
    ------
    ValueError
        If an edge of ``cell`` is not positive.
    """
    if any(c < 1 for c in cell):
        raise ValueError(f"a tile is {tuple(cell)} samples, expected at least 1 along every axis; choose a larger tile")
    shape = tuple(int(n) for n in shape)
    sides = _per_axis(halo, len(shape))
    # Tiles share the slices of their axes: a plan of a million tiles is a third as large.
    cuts = [
        [(i, slice(i * c, min((i + 1) * c, n))) for i in range(-(-n // c))] for n, c in zip(shape, cell, strict=True)
    ]
    return [Tile(tuple(i for i, _ in cell), tuple(s for _, s in cell), shape, sides) for cell in product(*cuts)]


def _per_axis(halo: Halo, n_axes: int) -> tuple[tuple[int, int], ...]:
    sides = [halo] * n_axes if isinstance(halo, int) else list(halo)
    return tuple((s, s) if isinstance(s, int) else (s[0], s[1]) for s in sides)
