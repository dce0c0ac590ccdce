"""The morning report of a night: what ran, what came out, what could not be used."""

from dataclasses import dataclass, field
from pathlib import Path

from storage.summary import RunSummary


@dataclass
class Night:
    """What happened in one night."""

    runs: list[RunSummary] = field(default_factory=list)
    quarantined: list[dict[str, str]] = field(default_factory=list)


def as_markdown(night: Night) -> str:
    """The report as Markdown: a table of runs, the pictures, the quarantine."""
    lines = ["# Night report", "", "| flow | run | seconds | products | what was measured |", "|---|---|---|---|---|"]
    for summary in night.runs:
        names = ", ".join(p.name for p in summary.products)
        lines.append(f"| {summary.flow} | {summary.run} | {summary.seconds:.1f} | {names} | {headline(summary)} |")
    pictures = [p.uri for summary in night.runs for p in summary.of_kind("picture")]
    if pictures:
        lines += ["", "## Pictures", "", *(f"* `{uri}`" for uri in pictures)]
    if night.quarantined:
        lines += ["", "## Could not be used", ""]
        lines += [f"* `{Path(q['path']).name}` ({q['flow']}): {q['reason']}" for q in night.quarantined]
    return "\n".join(lines) + "\n"


def headline(summary: RunSummary) -> str:
    """The single numbers that a run measured, in a line."""
    single = {k: v for k, v in summary.metrics.items() if isinstance(v, float)}
    return ", ".join(f"{name} {value:.4g}" for name, value in list(single.items())[:6])
