"""The night shift: everything new in the inbox is ingested and given to the flows that ask for its kind."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from prefect import flow
from pydantic import Field, field_validator

from flows._catalogue import FlowEntry, flow_names, load
from flows._cluster import cluster
from flows._inbox import Inbox
from flows._prefect_runs import patiently
from flows._report import Night, as_markdown
from flows._sources import already_done
from storage.errors import UnknownNameError
from storage.parameters import Parameters
from storage.runs import recorded
from storage.settings import settings
from storage.summary import ProductSummary, RunSummary

log = logging.getLogger("nightloom")

TOGETHER = 64
"""Files that a flow may take together: a night that is killed loses what was made ahead for so many."""


class NightlyParams(Parameters):
    """What the night shift looks at."""

    inbox: str = Field(
        "", description="folder to look into; empty: NIGHTLOOM_INBOX, by default the inbox under NIGHTLOOM_HOME"
    )
    only: list[str] = Field(
        default_factory=list, description="run only these flows besides ingest; empty runs all that apply"
    )
    since: date | None = Field(None, description="only files last written on this day (UTC) or later; empty: all")
    until: date | None = Field(None, description="only files last written before this day (UTC); empty: all")

    @field_validator("only")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in flow_names():
                raise UnknownNameError("flow", name, flow_names())
        return names

    def inputs(self) -> dict[str, list[str]]:
        """None of its own: each file is the input of the run that reads it."""
        return {}


@flow(name="nightly")
def nightly(params: NightlyParams) -> RunSummary:
    """Ingest what is new in the inbox, run what each kind of data asks for, report what came out and what could not be used."""
    with recorded("nightly", params, deduplicate=False) as run, cluster():
        night = Night()
        entries = [load(name) for name in flow_names() if name != "nightly"]
        only = {*params.only, "ingest"} if params.only else set()
        chosen = [e for e in entries if not only or e.name in only]
        inbox = Inbox(Path(params.inbox or settings().inbox), params.since, params.until)
        files = inbox.files(entries, only)
        while some := list(islice(files, TOGETHER)):
            with _shared(some):
                for path, takers in some:
                    _process(path, takers, chosen, night)
        night.quarantined += inbox.refused
        _close(chosen, night)
        for summary in night.runs:
            run.include(summary)
        run.report(quarantined=night.quarantined, waiting=inbox.growing, runs=[s.run for s in night.runs])
        run.record(n_runs=len(night.runs), n_quarantined=len(night.quarantined))
        text = as_markdown(night)
        run.save("night.md", text.encode(), kind="report")
        _show_in_prefect(text)
    return run.summary


@contextmanager
def _shared(files: list[tuple[Path, list[FlowEntry]]]) -> Iterator[None]:
    """What a flow does once for several files, before the run of each."""
    asked: dict[str, list[str]] = {}
    for path, takers in files:
        for taker in takers:
            asked.setdefault(taker.name, []).append(str(path))
    with ExitStack() as stack:
        for name, sources in asked.items():
            together = getattr(load(name).module, "together", None)
            if together and len(sources) > 1:
                patiently(partial(_enter, stack, together, sources))
        yield


def _enter(stack: ExitStack, together: Callable[[list[str]], AbstractContextManager[None]], sources: list[str]) -> None:
    stack.enter_context(together(sources))


def _process(path: Path, takers: list[FlowEntry], entries: list[FlowEntry], night: Night) -> None:
    """Give one file to the flows that accept it, then their products to the flows that follow."""
    for taker in takers:
        summary = _attempt(taker, str(path), str(path), night)
        waiting = list(summary.products) if summary else []
        while waiting:
            product = waiting.pop(0)
            for entry in entries:
                if product.kind in getattr(entry.module, "FOLLOWS", ()):
                    made = _attempt(entry, product.uri, str(path), night)
                    waiting += made.products if made else []


def _attempt(entry: FlowEntry, source: str, path: str, night: Night) -> RunSummary | None:
    """Run one flow on one source; a failure is written down and stops nothing else."""
    try:
        params = entry.params_model(source=source)  # type: ignore[call-arg]
        # What is known already needs no subflow: a full inbox costs milliseconds a file.
        summary = patiently(lambda: already_done(entry.name, params) or entry.flow(params))
    except Exception as error:  # noqa: BLE001 - one bad file must not stop the night
        _raise_if_cancelled(error)
        log.error("%s: %s: %s", entry.name, path, error)
        night.quarantined.append({"path": path, "flow": entry.name, "reason": _sentence(error)})
        return None
    night.add(summary, Path(path).name)
    return summary


def _close(entries: list[FlowEntry], night: Night) -> None:
    """Ask each flow whether it has work at the end of this night."""
    products: list[ProductSummary] = [p for summary in night.runs for p in summary.products]
    for entry in entries:
        closing = getattr(entry.module, "closing", None)
        for params in _listed(closing(products) if closing and products else None):
            try:
                night.add(patiently(partial(entry.flow, params)))
            except Exception as error:  # noqa: BLE001 - as above
                _raise_if_cancelled(error)
                night.quarantined.append({"path": entry.name, "flow": entry.name, "reason": _sentence(error)})


def _raise_if_cancelled(error: BaseException | None) -> None:
    """End the night when a request to end stands behind ``error``: Prefect, ending a flow whose server went first, hides it."""
    cause = error
    while cause is not None:
        if not isinstance(cause, Exception):
            raise KeyboardInterrupt("the night was asked to end") from error
        cause = cause.__cause__ or cause.__context__


def _listed(params: Any) -> list[Any]:
    return [] if params is None else params if isinstance(params, list) else [params]


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, ValueError) or " " in text else f"{type(error).__name__}: {text}"


def _show_in_prefect(text: str) -> None:
    from prefect.artifacts import create_markdown_artifact
    from prefect.context import FlowRunContext

    if not FlowRunContext.get():
        return
    try:
        create_markdown_artifact(text, key="night-report", description="what the night shift found")
    except Exception as error:  # noqa: BLE001 - the report stands in the store as well
        log.warning("the report could not be shown in the Prefect UI: %s", error)
