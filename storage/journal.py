"""The journal: what Nightloom logs during runs, as one JSON object per line, for machines that watch machines.

``<NIGHTLOOM_HOME>/logs/nightloom-<UTC day>.jsonl``; every line has ``time``, ``level``, ``message``, ``host`` and ``pid``, and
``flow`` and ``run`` where a run was being recorded. A line is appended in one write, so that processes may share the file.
"""

import json
import logging
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from storage.settings import settings

PREFIX, SUFFIX = "nightloom-", ".jsonl"
LONGEST = 2000
"""Characters of a message that are kept: a line stays small enough for one write."""


notes = logging.getLogger("nightloom.journal")
"""For what only the journal says: a person at the console sees a run begin and end."""
notes.propagate = False


class _Handler(logging.Handler):
    """Appends each record; ``run`` says which run is being recorded now."""

    def __init__(self, run: Callable[[], Any]) -> None:
        super().__init__()
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a disk that is full or gone must not end a run."""
        run = self._run()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage()[:LONGEST],
            "host": platform.node(),
            "pid": os.getpid(),
        }
        if run is not None:
            line |= {"flow": run.flow, "run": run.id}
        try:
            path = folder() / f"{PREFIX}{line['time'][:10]}{SUFFIX}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: the console has the line already."""


def keep(run: Callable[[], Any]) -> None:
    """Write what Nightloom logs into the journal from now on; ``run`` gives the run being recorded, or None."""
    for log in (logging.getLogger("nightloom"), notes):
        if not any(isinstance(handler, _Handler) for handler in log.handlers):
            log.addHandler(_Handler(run))
        if log.level == logging.NOTSET:
            log.setLevel(logging.INFO)


def folder() -> Path:
    """Where the journal lies."""
    return settings().home / "logs"


def older_than(age: timedelta) -> list[Path]:
    """The days of the journal that are older than this."""
    last = (datetime.now(UTC) - age).date().isoformat()
    return [path for path in sorted(folder().glob(f"{PREFIX}*{SUFFIX}")) if path.stem.removeprefix(PREFIX) < last]
