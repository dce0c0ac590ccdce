"""The web application: who may enter, and which answer stands at which address as page, JSON and CSV."""

import csv
import hmac
import os
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from deployments.explorer import answers, coverage, pictures, versions
from deployments.services import is_loopback
from storage.errors import BadInputError, NightloomError

HERE = Path(__file__).parent
COOKIE = "nightloom_token"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
PAGES: tuple[tuple[str, str, Callable[..., dict[str, Any]]], ...] = (
    ("/", "overview.html", answers.overview),
    ("/runs", "runs.html", answers.runs),
    ("/runs/{run_id}", "run.html", answers.run),
    ("/compare", "compare.html", answers.compare),
    ("/products", "products.html", answers.products),
    ("/products/{product_id}", "product.html", answers.product),
    ("/tables/{name}", "table.html", answers.table),
    ("/datasets", "datasets.html", versions.datasets),
    ("/datasets/{name}", "dataset.html", versions.one_dataset),
    ("/datasets/{name}/diff", "difference.html", versions.difference),
    ("/datasets/{name}/{number}", "samples.html", versions.samples),
    ("/coverage", "coverage.html", coverage.coverage),
)
LINES = 1000
LISTED = ("table", "difference", "samples")
"""Answers about one thing that have rows worth a CSV file."""
templates = Jinja2Templates(HERE / "templates")
templates.env.filters["as_query"] = lambda query: f"?{query}"


def _spark(values: list[float | None]) -> str:
    """Points of a small line plot, 200 by 40."""
    good = [v for v in values if v is not None]
    low, high = (min(good), max(good)) if good else (0.0, 1.0)
    step, span = 200 / max(1, len(values) - 1), (high - low) or 1.0
    return " ".join(f"{i * step:.1f},{38 - 36 * (v - low) / span:.1f}" for i, v in enumerate(values) if v is not None)


templates.env.filters["spark"] = _spark


def create_app(host: str = "127.0.0.1") -> FastAPI:
    """The application; reached from elsewhere it asks for NIGHTLOOM_EXPLORER_TOKEN."""
    # No /docs: its page would load scripts from the network. The description itself is at /openapi.json.
    app = FastAPI(title="Nightloom explorer", description="What ran, what came out.", docs_url=None, redoc_url=None)
    if is_loopback(host):
        # A foreign web page must not read this one by giving its own name to 127.0.0.1.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "testserver"])
    app.middleware("http")(_guard)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for kind in (NightloomError, StarletteHTTPException, RequestValidationError, OSError):
        app.add_exception_handler(kind, _sentence)
    _add_pictures(app)
    for path, template, answer in PAGES:
        _add_page(app, path, template, answer)
    # The one thing that can be written. A foreign page cannot send JSON here without asking first, and is never answered.
    app.put("/api/tables/{name}/{row_id}/label", summary="Accept or reject a row.")(answers.decide)
    app.add_api_route("/health", lambda: {"status": "ok"}, include_in_schema=False)
    return app


def _add_page(app: FastAPI, path: str, template: str, answer: Callable[..., dict[str, Any]]) -> None:
    """One answer at three addresses: the page, ``/api/…`` as JSON, and ``….csv`` where it has rows."""

    def page(request: Request, data: dict = Depends(answer)) -> Response:  # noqa: B008 - FastAPI's way of saying it
        return templates.TemplateResponse(request, template, data | {"tables": _tables()})

    def as_csv(data: dict = Depends(answer)) -> Response:  # noqa: B008
        return StreamingResponse(_csv_lines(data["rows"]), media_type="text/csv; charset=utf-8")

    name = answer.__name__
    described = (answer.__doc__ or "").split("\n")[0]
    plain = path.rstrip("/") or "/overview"
    # Before the page, whose last name would take ".csv" for its own.
    if "{" not in path or name in LISTED:
        app.add_api_route(f"{plain}.csv", as_csv, summary=f"{described} As CSV.", name=f"{name}_csv")
    app.add_api_route(path, page, include_in_schema=False, name=f"{name}_page")
    app.add_api_route(f"/api{plain}", answer, summary=described, name=name)


def _add_pictures(app: FastAPI) -> None:
    @app.get("/products/{product_id}/plane.png", summary="One plane of an array as a picture.")
    def plane(request: Request, product_id: str, variable: str = Query("cube")) -> Response:
        return Response(pictures.plane(product_id, variable, _indexes(request)), media_type="image/png")

    @app.get("/api/products/{product_id}/profile", summary="The values of one line through an array.")
    def profile(request: Request, product_id: str, along: str, variable: str = Query("cube")) -> dict[str, Any]:
        return pictures.profile(product_id, variable, along, _indexes(request))

    @app.get("/products/{product_id}/file", summary="A file that a run saved: a picture, a report, a table.")
    def saved(product_id: str) -> Response:
        path, media_type = pictures.saved_file(product_id)
        disposition = "attachment" if media_type == "application/octet-stream" else "inline"
        return FileResponse(path, media_type=media_type, filename=path.name, content_disposition_type=disposition)

    @app.get("/datasets/{name}/{number}/contact.png", summary="Many samples of a dataset at once.")
    def contact(name: str, number: versions.PathNumber) -> Response:
        return Response(versions.contact_sheet(name, number), media_type="image/png")

    @app.get("/datasets/{name}/{number}/{record}.png", summary="A sample of a dataset as a picture.")
    def sample(name: str, number: versions.PathNumber, record: versions.Record) -> Response:
        return Response(versions.sample_picture(name, number, record), media_type="image/png")


def _tables() -> list[str]:
    """The tables of workloads that have no page of their own."""
    return sorted(set(answers.listing_names()) - {"datasets"})


def _indexes(request: Request) -> dict[str, int]:
    """Where along each other axis: every query parameter that is not one of the route's own."""
    found = {}
    for name, text in request.query_params.items():
        if name in ("variable", "along"):
            continue
        try:
            found[name] = int(text[:12])
        except ValueError as error:
            raise BadInputError(f"{name} is {text[:40]!r}; a whole number was expected") from error
    return found


async def _guard(request: Request, forward: Callable[..., Any]) -> Response:
    """Let in who knows the token, if one is set; a token in the address moves into a cookie."""
    token = os.environ.get("NIGHTLOOM_EXPLORER_TOKEN", "")
    if token and request.url.path != "/health" and not request.url.path.startswith("/static/"):
        offered = request.query_params.get("token")
        if offered and _same(offered, token):
            response: Response = RedirectResponse(
                str(request.url.remove_query_params("token").replace(scheme="", netloc="")), 303
            )
            response.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86400)
            return response
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not (_same(bearer, token) or _same(request.cookies.get(COOKIE, ""), token)):
            return _answer(
                request, 401, "this page asks for a token; open it as …/?token=…, or send Authorization: Bearer …"
            )
    response = await forward(request)
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response


def _same(offered: str, token: str) -> bool:
    return hmac.compare_digest(offered.encode(), token.encode())


def _sentence(request: Request, error: Exception) -> Response:
    """Every foreseen failure is one sentence, on a page or in JSON."""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return _answer(request, 422, f"{first['loc'][-1]}: {first['msg']}")
    if isinstance(error, HTTPException | StarletteHTTPException):
        return _answer(request, error.status_code, str(error.detail))
    if isinstance(error, OSError):
        return _answer(request, 404, f"what this page shows cannot be read any more: {error}")
    return _answer(request, 400 if isinstance(error, BadInputError) else 503, str(error))


def _answer(request: Request, status: int, text: str) -> Response:
    if request.url.path.startswith("/api") or "text/html" not in request.headers.get("accept", "text/html"):
        return JSONResponse({"error": text}, status)
    return templates.TemplateResponse(
        request, "error.html", {"status": status, "text": text, "tables": []}, status, HEADERS
    )


def _csv_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows as CSV, nested values flattened by a dot; many lines at a time, because each piece costs a switch of threads."""
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    lines = [dict(zip(names, names, strict=True)), *flat]
    for start in range(0, len(lines), LINES):
        out = StringIO()
        csv.writer(out).writerows(
            [_harmless(line.get(name)) for name in names] for line in lines[start : start + LINES]
        )
        yield out.getvalue()


def _flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = len(value) if name == "products" and isinstance(value, list) else value
    return found


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is given a quote before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
