"""Boxes in an array: which cells they touch, and how one looks from another."""

from collections.abc import Iterator
from itertools import product
from typing import Any

Region = tuple[slice, ...]
Index = tuple[int, ...]


def size(region: Region) -> Index:
    """Length along each axis."""
    return tuple(s.stop - s.start for s in region)


def moved(region: Region, origin: Any) -> Region:
    """``region`` as seen from ``origin``."""
    return tuple(slice(s.start - o, s.stop - o) for s, o in zip(region, origin, strict=True))


def within(region: Region, outer: Region) -> Region:
    """``region`` as seen from the corner of ``outer``."""
    return moved(region, [s.start for s in outer])


def shared(region: Region, other: Region) -> Region | None:
    """What two regions share; None where that is nothing."""
    sides = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(region, other, strict=True)]
    return tuple(sides) if all(s.start < s.stop for s in sides) else None


def cells(region: Region, cell: Index) -> Iterator[tuple[Index, Region]]:
    """The cells that ``region`` touches, and what it shares with each."""
    numbers = [range(s.start // c, -(-s.stop // c)) for s, c in zip(region, cell, strict=True)]
    for index in product(*numbers):
        sides = zip(index, cell, region, strict=True)
        yield index, tuple(slice(max(i * c, s.start), min((i + 1) * c, s.stop)) for i, c, s in sides)
