"""What a flow needs of Prefect's server: patience while it is away, and what it knows of runs on other machines."""

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")

log = logging.getLogger("nightloom")

PATIENCE_SECONDS = 600.0
ASK_SECONDS = 5.0


def patiently(start: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
    """``start`` a flow; while Prefect's server is away wait for it and start again: what is done is not repeated.

    Prefect's client asks again only once it was connected, and every flow has a client of its own.
    """
    import httpx

    deadline = time.monotonic() + seconds
    while True:
        try:
            return start()
        except httpx.TransportError as error:
            if not os.environ.get("PREFECT_API_URL") or time.monotonic() > deadline:
                raise
            log.warning("Prefect's server is away (%s); waiting for it", error)
            time.sleep(ASK_SECONDS)


def ended(flow_runs: dict[str, str]) -> list[str]:
    """Those of our runs (run id -> Prefect's flow run id) whose Prefect run is over; none without a server to ask."""
    if not flow_runs or not os.environ.get("PREFECT_API_URL"):
        return []
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    over = []
    with get_client(sync_client=True) as client:
        for run_id, flow_run_id in flow_runs.items():
            try:
                state = client.read_flow_run(UUID(flow_run_id)).state
            except ObjectNotFound:
                continue  # another server's run
            if state is not None and state.is_final():
                over.append(run_id)
                log.info("run %s is closed: Prefect calls it %s", run_id, state.name)
    return over
