"""The morning report of a night: what ran, what came out, what could not be used."""

from dataclasses import dataclass, field
from pathlib import Path

from storage.summary import RunSummary


@dataclass
class Night:
    """What happened in one night."""

    runs: list[RunSummary] = field(default_factory=list)
    quarantined: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    """Names of the inbox's files behind each run: files of equal content share their runs."""

    def add(self, summary: RunSummary, file: str = "") -> None:
        """Note a run, and the file of the inbox that it came from."""
        names = self.files.setdefault(summary.run, [])
        if not names:
            self.runs.append(summary)
        if file not in names:
            names.append(file)


def as_markdown(night: Night) -> str:
    """The report as Markdown: a table of runs, the pictures, the quarantine."""
    lines = ["# Night report", "", "| file | flow | run | seconds | products | what was measured |"]
    lines += ["|---|---|---|---|---|---|", *(_row(summary, night.files[summary.run]) for summary in night.runs)]
    pictures = [p.uri for summary in night.runs for p in summary.of_kind("picture")]
    if pictures:
        lines += ["", "## Pictures", "", *(f"* `{uri}`" for uri in pictures)]
    if night.quarantined:
        lines += ["", "## Could not be used", ""]
        lines += [f"* `{_shown(Path(q['path']).name)}` ({q['flow']}): {q['reason']}" for q in night.quarantined]
    return "\n".join(lines) + "\n"


def _row(summary: RunSummary, files: list[str]) -> str:
    products = ", ".join(p.name for p in summary.products)
    shown = ", ".join(_shown(name) for name in files)
    return f"| {shown} | {summary.flow} | {summary.run} | {summary.seconds:.1f} | {products} | {headline(summary)} |"


def _shown(name: str) -> str:
    """A file's name as one cell of a table can hold it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name).replace("|", "\\|")


def headline(summary: RunSummary) -> str:
    """The single numbers that a run measured, in a line."""
    single = {k: v for k, v in summary.metrics.items() if isinstance(v, float)}
    return ", ".join(f"{name} {value:.4g}" for name, value in list(single.items())[:6])
