"""What past runs teach about a run to come: seconds and memory, step by step, and how far such predictions were off.

A run's time is a part that does not depend on its input (start, publication) and the time of its stages, which grows with
the bytes it reads. Both are medians over the runs that are most like it: the same machine, the most equal parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from sqlalchemy import select

from storage.database import patiently, session
from storage.identity import devices
from storage.parameters import Parameters
from storage.sources import resolve
from storage.tables import COMPLETED, Run, Stage

LIMIT = 40
"""How many of the newest runs are looked at."""


@dataclass(frozen=True)
class Past:
    """One completed run: what it read, how long it took, its stages by name, and its metrics that are single numbers."""

    bytes: int
    seconds: float
    stages: dict[str, Stage]
    metrics: dict[str, float] = field(default_factory=dict)


def expectation(flow: str, params: Parameters) -> dict[str, Any]:
    """What a run of ``flow`` would take.

    Returns
    -------
    dict
        ``input_bytes``, ``past_runs``, ``expected_seconds``, ``error`` (median relative error of the same prediction for
        each of those runs from the others; None below two), ``peak_worker_bytes``, and ``steps``: per step ``tile_shape``,
        ``tile_seconds``, ``error``, ``peak_bytes`` of a worker, and the ``pieces`` its tiles will be computed in.
    """
    n_bytes = sum(resolve(role, names).bytes for role, names in params.inputs().items())
    runs = _alike(flow, params)
    found: dict[str, Any] = {"input_bytes": n_bytes, "past_runs": len(runs)}
    if not runs:
        note = f"no run of {flow} was completed on this machine before, so its time is not known yet"
        return found | {"expected_seconds": None, "note": note}
    peaks = [stage.peak_bytes for run in runs for stage in run.stages.values()]
    return found | {
        "expected_seconds": round(_predicted(runs, n_bytes), 1),
        "error": relative_error([(_predicted(rest, run.bytes), run.seconds) for run, rest in leave_one_out(runs)]),
        "peak_worker_bytes": max(peaks, default=None),
        "steps": [_step(name, runs) for name in runs[0].stages],
    }


def remembered_pieces(flow: str, step: str, tile_shape: list[int]) -> int:
    """In how many pieces most tiles of this shape were computed when ``step`` last went through on this machine."""
    wanted = (
        select(Stage.pieces, Stage.tile_shape, Run.devices)
        .join(Run, Run.id == Stage.run_id)
        .where(Run.flow == flow, Stage.name == step, Stage.status == COMPLETED)
        .order_by(Stage.id.desc())
        .limit(LIMIT)
    )

    def look() -> Sequence[Any]:
        with session() as s:
            return s.execute(wanted).all()

    # It is asked in the middle of a run, which a server that restarts must not end.
    rows = patiently(look)
    return next((pieces for pieces, shape, where in rows if shape == tile_shape and where == devices()), 1)


def past_runs(flow: str) -> list[tuple[dict[str, Any], Past]]:
    """Parameters and cost of the newest completed runs of ``flow`` on this machine, none of them resumed."""
    newest = select(Run).where(Run.flow == flow, Run.status == COMPLETED).order_by(Run.started.desc()).limit(LIMIT)
    found = []
    with session() as s:
        for run in s.scalars(newest):
            if run.devices != devices() or not run.seconds or any(stage.reused for stage in run.stages):
                continue
            stages = {stage.name: stage for stage in run.stages if stage.seconds is not None}
            metrics = {metric.key: metric.value for metric in run.metrics if metric.position < 0}
            found.append((run.params, Past(sum(i.bytes for i in run.inputs), run.seconds, stages, metrics)))
    return found


def _alike(flow: str, params: Parameters) -> list[Past]:
    """The past runs whose parameters are nearest to ``params``; newest first."""
    wanted = params.canonical()
    found = [(sum(given.get(k) == v for k, v in wanted.items()), past) for given, past in past_runs(flow)]
    most = max((equal for equal, _ in found), default=0)
    return [past for equal, past in found if equal == most]


def _predicted(runs: list[Past], n_bytes: int) -> float:
    """Seconds of a run that reads ``n_bytes``; without bytes on either side, as long as the others took."""
    usable = [run for run in runs if run.bytes]
    if not usable or not n_bytes:
        return median(run.seconds for run in runs)
    staged = [sum(stage.seconds or 0.0 for stage in run.stages.values()) for run in usable]
    fixed = median(max(0.0, run.seconds - s) for run, s in zip(usable, staged, strict=True))
    return fixed + n_bytes * median(s / run.bytes for run, s in zip(usable, staged, strict=True))


def leave_one_out(runs: list[Past]) -> list[tuple[Past, list[Past]]]:
    return [(run, runs[:i] + runs[i + 1 :]) for i, run in enumerate(runs)] if len(runs) > 1 else []


def relative_error(pairs: list[tuple[float, float]]) -> float | None:
    """Median relative error of predictions against what came."""
    errors = [abs(predicted / came - 1) for predicted, came in pairs if came]
    return round(median(errors), 3) if errors else None


def _step(name: str, runs: list[Past]) -> dict[str, Any]:
    """Cost of one tile of a step, from the runs that cut their tiles as the newest did."""
    newest = runs[0].stages[name]
    same = [run.stages[name] for run in runs if name in run.stages and run.stages[name].tile_shape == newest.tile_shape]
    seconds = [stage.tile_seconds for stage in same if stage.tile_seconds is not None]
    others = [seconds[:i] + seconds[i + 1 :] for i in range(len(seconds))] if len(seconds) > 1 else []
    return {
        "step": name,
        "tile_shape": newest.tile_shape,
        "tile_seconds": round(median(seconds), 4) if seconds else None,
        "error": relative_error([(median(rest), came) for rest, came in zip(others, seconds, strict=False)]),
        "peak_bytes": max(stage.peak_bytes for stage in same),
        "pieces": newest.pieces,
    }
