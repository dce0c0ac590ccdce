"""From what a person names to a product: a file is ingested first, a product is taken as it is."""

from pathlib import Path

from storage.parameters import Parameters
from storage.runs import completed_run
from storage.sources import product_row
from storage.summary import RunSummary


def as_product(source: str, kind: str) -> str:
    """URI of the product of ``kind`` that ``source`` (a file, a product's URI or id) means."""
    row = product_row(source)
    if row is not None:
        return row.uri
    from flows.ingest import IngestParams, ingest

    return _first(ingest(IngestParams(source=source)), kind, source)


def with_product(params: Parameters, kind: str) -> Parameters:
    """``params`` with the product's URI as their ``source``."""
    return params.model_copy(update={"source": as_product(params.source, kind)})  # type: ignore[attr-defined]


def already_done(flow: str, params: Parameters) -> RunSummary | None:
    """The completed run that did this work, also when ``source`` is a file that was ingested on the way."""
    found = completed_run(flow, params)
    source = getattr(params, "source", None)
    if found or params.force or source is None or flow == "ingest" or not Path(source).exists():
        return found
    from flows.ingest import IngestParams

    ingested = completed_run("ingest", IngestParams(source=source))
    if ingested is None or not ingested.products:
        return None
    return completed_run(flow, params.model_copy(update={"source": ingested.products[0].uri}))


def _first(summary: RunSummary, kind: str, source: str) -> str:
    from storage.errors import BadInputError

    product = summary.first(kind)
    if product is None:
        found = summary.products[0].kind if summary.products else "nothing"
        raise BadInputError(f"{source} was ingested as {found}, a {kind} was expected; give another file")
    return product.uri
