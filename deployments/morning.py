"""What the terminal shows when a run has ended: what was measured, where the products are, what could not be used."""

from typing import Any

from deployments.tables import show_record, show_rows
from storage import query
from storage.summary import RunSummary

SERIES_ROWS = 12
"""How many elements of a long series (bands, trials) a terminal shows."""


def show(summary: RunSummary) -> None:
    """Print how a run ended; of a night, each of its runs."""
    children = [query.run(run) for run in getattr(summary, "runs", None) or []]
    show_record(
        {"run": summary.run, "flow": summary.flow, "status": summary.status, "seconds": f"{summary.seconds:.1f}"}, False
    )
    for child in children:
        _show_measured(f"{child['flow']} {child['run']}, {child['seconds']:.1f} s", child["metrics"])
    if not children:
        _show_measured("measured", summary.metrics)
    if summary.products:
        print("\nproducts")
        show_rows([{"kind": p.kind, "name": p.name, "where": p.uri} for p in summary.products], False)
    for refused in getattr(summary, "quarantined", None) or []:
        print(f"\ncould not be used: {refused['path']}\n  {refused['reason']}")


def _show_measured(title: str, metrics: dict[str, Any]) -> None:
    single = {name: f"{value:.5g}" for name, value in metrics.items() if isinstance(value, float)}
    series = {name: values for name, values in metrics.items() if isinstance(values, list)}
    if single or series:
        print(f"\n{title}")
    if single:
        show_record(single, False)
    for length in sorted({len(values) for values in series.values()}):
        print()
        show_rows(_sampled({n: v for n, v in series.items() if len(v) == length}, length), False)


def _sampled(series: dict[str, list[float | None]], length: int) -> list[dict[str, Any]]:
    """A dozen evenly spaced elements of series of one length."""
    steps = min(SERIES_ROWS, length)
    positions = [round(i * (length - 1) / max(1, steps - 1)) for i in range(steps)]
    return [{"#": i} | {name: values[i] for name, values in series.items()} for i in positions]
