"""From what a person names to a product: a file is ingested first, a product is taken as it is."""

from pathlib import Path
from typing import TypeVar

from storage.errors import BadInputError
from storage.parameters import Parameters
from storage.runs import completed_run
from storage.sources import product_row
from storage.summary import RunSummary

Given = TypeVar("Given", bound=Parameters)


def as_product(source: str, kind: str) -> str:
    """URI of the product of ``kind`` that ``source`` (a file, a product's URI or id) means."""
    row = product_row(source)
    if row is not None:
        return _of_kind(row.uri, row.kind, kind, source)
    from flows.ingest import IngestParams, ingest

    return _first(ingest(IngestParams.model_validate({"source": source})), kind, source)


def with_product(params: Given, kind: str) -> Given:
    """``params`` with the product's URI as their ``source``."""
    return params.model_copy(update={"source": as_product(params.source, kind)})  # type: ignore[attr-defined]


def already_done(flow: str, params: Parameters) -> RunSummary | None:
    """The completed run that did this work, also when ``source`` is a file that was ingested on the way."""
    found = completed_run(flow, params)
    source = getattr(params, "source", None)
    if found or params.force or source is None or flow == "ingest" or not Path(source).exists():
        return found
    from flows.ingest import IngestParams

    ingested = completed_run("ingest", IngestParams.model_validate({"source": source}))
    if ingested is None or not ingested.products:
        return None
    return completed_run(flow, params.model_copy(update={"source": ingested.products[0].uri}))


def _first(summary: RunSummary, kind: str, source: str) -> str:
    product = summary.first(kind) or next(iter(summary.products), None)
    return _of_kind(product.uri if product else "", product.kind if product else "nothing", kind, source)


def _of_kind(uri: str, found: str, kind: str, source: str) -> str:
    # What is clean may be cleaned again: a restored cube is read like a raw one.
    if found != kind and (found, kind) != ("clean_cube", "raw_cube"):
        raise BadInputError(
            f"{source} is of kind {found}, a {kind} was expected; choose another with `nightloom products ls`"
        )
    return uri
