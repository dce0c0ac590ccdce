"""Cancellation: a request to end (SIGTERM) reaches the flow as an exception, so that it can leave things tidy."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def cancelled_by_signal() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt inside the block, unless someone (Prefect) handles it already."""
    free = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not free:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt("asked to end (SIGTERM)")
