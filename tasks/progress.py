"""Progress of a stage, told three ways: a bar on a terminal, a line in the log, a percentage to whoever else listens."""

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

log = logging.getLogger("nightloom")

LOG_SECONDS = 5.0


class Progress:
    """Counts tiles; speaks at most every few seconds. ``listener`` gets the percentage done (the Prefect UI shows it)."""

    def __init__(self, name: str, *, total: int, done: int, listener: Callable[[float], None]) -> None:
        self.name, self.total, self.done, self.reused = name, total, done, done
        self.listener = listener
        self.bytes = 0
        self.started = self.spoken = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self.name, total=self.total, completed=self.done)
        return self

    def advance(self, n_bytes: int) -> None:
        """One more tile is done; it wrote ``n_bytes``."""
        self.done += 1
        self.bytes += n_bytes
        if self._bar:
            self._bar.update(self._task, completed=self.done)
        if time.monotonic() - self.spoken > LOG_SECONDS:
            self.spoken = time.monotonic()
            log.info("%s", self.line())
            self.listener(100 * self.done / max(1, self.total))

    def line(self) -> str:
        """Tiles done, rate and time left."""
        elapsed = max(1e-6, time.monotonic() - self.started)
        rate = (self.done - self.reused) / elapsed
        left = (self.total - self.done) / rate if rate else float("inf")
        eta = f"{left:.0f} s left" if left < 1e6 else "time left unknown"
        return f"{self.name}: {self.done} of {self.total} tiles, {rate:.2f} tiles/s, {self.bytes / elapsed / 1e6:.0f} MB/s, {eta}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        if kind is None:
            seconds = time.monotonic() - self.started
            log.info("%s: %d tiles in %.1f s (%d were done before)", self.name, self.total, seconds, self.reused)
            self.listener(100.0)
