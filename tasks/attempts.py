"""Attempts at a tile: what is tried next after a failure, and how a tile is cut when memory ran out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tasks.array.tiling import Tile

MAX_PIECES = 64
TRIES = 3
DEADLY_TRIES = 4
HELPS = 0.9
"""Twice as many pieces must bring their memory below this part of what it was."""


class TileLostError(ConnectionError):
    """The scheduler that held a tile is gone: the tile did nothing wrong, so this is no try of its own."""


@dataclass(frozen=True)
class Attempt:
    """One try at one tile, computed in ``pieces``; ``alone`` once a worker died while it had this tile."""

    tile: Tile
    number: int = 1
    pieces: int = 1
    alone: bool = False

    def after(
        self, error: BaseException, *, splits: bool, lasting: tuple[type[BaseException], ...]
    ) -> "Attempt | None":
        """Smaller pieces after memory ran out; the same again after what may pass; None when neither helps."""
        if is_memory(error) and splits and self.pieces < MAX_PIECES:
            return replace(self, pieces=2 * self.pieces)
        if isinstance(error, TileLostError):
            return self
        if killed_its_worker(error):
            return self._after_death(splits)
        if isinstance(error, lasting) or self.number >= TRIES:
            return None
        return replace(self, number=self.number + 1)

    def _after_death(self, splits: bool) -> "Attempt | None":
        """Alone as it is, since another tile on the same worker may have done it; then alone and ever smaller."""
        if self.number >= DEADLY_TRIES:
            return None
        pieces = 4 * self.pieces if self.alone and splits else self.pieces
        return replace(self, number=self.number + 1, pieces=min(MAX_PIECES, pieces), alone=True)


def is_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the host or on the device."""
    return isinstance(error, MemoryError) or "CUDA_ERROR_OUT_OF_MEMORY" in str(error)


def killed_its_worker(error: BaseException) -> bool:
    """Whether the scheduler gave the tile up because workers died of it."""
    return type(error).__name__ == "KilledWorker"


def begun(tile: Tile, footprint: Callable[[Tile], float] | None, room: float, remembered: int) -> Attempt:
    """The first attempt at a tile: in as many pieces as memory asks for, or as an earlier run found that it does."""
    return Attempt(tile, pieces=max(remembered, fitting(tile, footprint, room) if footprint else 1))


def fitting(tile: Tile, footprint: Callable[[Tile], float], room: float) -> int:
    """In how many pieces no piece needs more than ``room`` bytes; fewer where cutting no longer helps, since halos stay."""
    count, largest = 1, footprint(tile)
    while largest > room and count < MAX_PIECES:
        smaller = max(map(footprint, cut(tile, 2 * count)))
        if smaller > HELPS * largest:
            break
        count, largest = 2 * count, smaller
    return count


def cut(tile: Tile, count: int) -> list[Tile]:
    """``tile`` halved until there are ``count`` pieces, or until no piece can be halved."""
    parts: list[Tile] = [tile]
    while len(parts) < count:
        halves = [half for part in parts for half in part.split()]
        if len(halves) == len(parts):
            break
        parts = halves
    return parts
