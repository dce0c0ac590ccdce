"""Temporary Prefect servers whose run was killed: nobody else will ever end them."""

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

log = logging.getLogger("nightloom")


def end_orphaned_servers() -> int:
    """End temporary servers of this Prefect home that lost the process that started them; return how many."""
    import psutil

    ended = 0
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if "uvicorn" not in words or "prefect.server.api.server" not in words:
            continue
        try:
            mine = process.environ().get("PREFECT_HOME") == os.environ.get("PREFECT_HOME")
            if mine and not _has_python_parent(process):
                process.terminate()
                ended += 1
        except psutil.Error:  # another user's, or gone meanwhile
            continue
    if ended:
        log.info("ended %d temporary servers that killed runs had left behind", ended)
    return ended


def _has_python_parent(process: "Process") -> bool:
    parent = process.parent()
    return parent is not None and (
        "python" in parent.name() or "nightloom" in parent.name() or "prefect" in parent.name()
    )
