"""Turns: a worker holds several tiles but computes one at a time; whoever reads or writes lets another compute.

Kernels use the whole device, so two at once would only share it and its memory. What can overlap with a kernel is what
happens on the host: reading and decoding the next tile, encoding and writing the last one. Steps need no code for it,
since `Product.read` and `Product.write` step aside by themselves.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_device = threading.Lock()
_turn: ContextVar["Turn | None"] = ContextVar("turn", default=None)


class Turn:
    """One tile's use of the device: how long it computed [s]."""

    def __init__(self) -> None:
        self.computed = 0.0
        self._since = 0.0

    def _take(self) -> None:
        _device.acquire()
        self._since = time.perf_counter()

    def _leave(self) -> None:
        self.computed += time.perf_counter() - self._since
        _device.release()


@contextmanager
def turn() -> Iterator[Turn]:
    """Compute inside the block; other tiles of this process wait, except while this one is `aside`."""
    mine = Turn()
    token = _turn.set(mine)
    mine._take()
    try:
        yield mine
    finally:
        mine._leave()
        _turn.reset(token)


@contextmanager
def aside() -> Iterator[None]:
    """Read or write inside the block, while another tile of this process may compute."""
    mine = _turn.get()
    if mine is None:  # no tile, or aside already
        yield
        return
    token = _turn.set(None)
    mine._leave()
    try:
        yield
    finally:
        mine._take()
        _turn.reset(token)
