"""What past runs teach about a run to come: seconds per byte of input, and how much memory its workers took."""

from statistics import median
from typing import Any

from sqlalchemy import func, select

from storage.database import session
from storage.parameters import Parameters
from storage.sources import resolve
from storage.tables import COMPLETED, Input, Run, Stage


def expectation(flow: str, params: Parameters) -> dict[str, Any]:
    """Input bytes, and from completed runs of ``flow`` the expected seconds, their spread and the peak bytes of a worker."""
    n_bytes = sum(resolve(role, names).bytes for role, names in params.inputs().items())
    rates, peaks = _history(flow)
    found: dict[str, Any] = {"input_bytes": n_bytes, "past_runs": len(rates)}
    if not rates:
        return found | {
            "expected_seconds": None,
            "note": f"no run of {flow} was completed before, so its time is not known yet",
        }
    middle = median(rates)
    return found | {
        "expected_seconds": round(middle * n_bytes, 1),
        "spread": round(max(rates) / max(min(rates), 1e-12), 2),
        "peak_worker_bytes": max(peaks, default=None),
    }


def _history(flow: str, limit: int = 20) -> tuple[list[float], list[int]]:
    """Seconds per input byte of the newest completed runs, and the peak memory of their stages' workers."""
    size = select(func.sum(Input.bytes)).where(Input.run_id == Run.id).scalar_subquery()
    peak = select(func.max(Stage.peak_bytes)).where(Stage.run_id == Run.id).scalar_subquery()
    wanted = (
        select(Run.seconds, size, peak)
        .where(Run.flow == flow, Run.status == COMPLETED)
        .order_by(Run.started.desc())
        .limit(limit)
    )
    with session() as s:
        rows = s.execute(wanted).all()
    return [seconds / int(n) for seconds, n, _ in rows if seconds and n], [int(p) for _, _, p in rows if p]
