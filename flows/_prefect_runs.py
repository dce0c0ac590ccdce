"""What Prefect's server knows of runs whose process is on another machine."""

import logging
import os
from uuid import UUID

log = logging.getLogger("nightloom")


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
