"""Nights made up for: one nightly run per day of a range, over the files that came into the inbox on that day."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from flows._settings import apply_prefect_environment
from storage.errors import BadInputError

LONGEST = 366
"""Days that are made up for in one command."""


def backfill(first: date, last: date, given: dict[str, Any], *, submit: bool) -> Iterator[dict[str, Any]]:
    """Run the night of every day from ``first`` to ``last``, both included; one row for each.

    Parameters
    ----------
    first, last : date
        In UTC.
    given : dict
        Further parameters of the nightly flow.
    submit : bool
        Hand the runs to the server at PREFECT_API_URL instead of running them here, one after the other.

    Raises
    ------
    BadInputError
        For a range that runs backwards or is longer than a year.
    """
    n_day = (last - first).days + 1
    if not 1 <= n_day <= LONGEST:
        raise BadInputError(
            f"the range from {first} to {last} has {n_day} days, expected 1 to {LONGEST}; give the earlier day first"
        )
    apply_prefect_environment()
    for day in (first + timedelta(days=number) for number in range(n_day)):
        window = given | {"since": day.isoformat(), "until": (day + timedelta(days=1)).isoformat()}
        yield {"day": day.isoformat()} | (_submitted(day, window) if submit else _run(window))


def _run(window: dict[str, Any]) -> dict[str, Any]:
    from deployments import running
    from flows._catalogue import load

    summary = running.run("nightly", load("nightly").params_model(**window))
    extra = summary.model_dump()
    return {
        "run": summary.run,
        "status": summary.status,
        "runs": len(extra.get("runs") or []),
        "set aside": len(extra.get("quarantined") or []),
    }


def _submitted(day: date, window: dict[str, Any]) -> dict[str, Any]:
    from prefect.deployments import run_deployment

    flow_run: Any = run_deployment(
        "nightly/nightly", parameters={"params": window}, timeout=0, flow_run_name=f"backfill {day}"
    )
    return {"run": str(flow_run.id), "status": flow_run.state_name, "runs": None, "set aside": None}
