"""What the command line prints: tables for people, JSON and CSV for programs; and the `ls` command of every listing."""

import csv
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

Where = Annotated[
    str | None, typer.Option("--where", help="e.g. \"metric.gain_db > 5 and flow = 'denoise'\"", show_default=False)
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="how many rows at most")]
Csv = Annotated[bool, typer.Option("--csv", help="answer as comma-separated values")]
Json = Annotated[bool, typer.Option("--json", help="answer in JSON")]
Lineage = Annotated[
    str, typer.Argument(metavar="PRODUCT|RUN", help="id or URI of a product, or id of a run", show_default=False)
]
Row = dict[str, Any]


def show_rows(rows: Sequence[Row], as_json: bool, as_csv: bool = False, columns: Sequence[str] = ()) -> None:
    """Print rows that share their keys; ``columns`` names them for a CSV without rows."""
    if as_json:
        print(json.dumps(list(rows), default=str))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    elif not rows:
        print("none")
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table(*rows[0].keys(), box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(Text(_cell(v)) for v in row.values()))
        _console().print(table)


def show_record(record: Row, as_json: bool) -> None:
    """Print one thing, a line per fact."""
    if as_json:
        print(json.dumps(record, default=str))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in record.items():
        table.add_row(Text(name, style="bold"), Text(_lines(value)))
    _console().print(table)


def add_listings(app: typer.Typer) -> None:
    """Add `runs`, `products` and the listing of every workload to the command line."""
    app.add_typer(_runs(), name="runs", help="What ran: list, show, compare, trace.")
    app.add_typer(_products(), name="products", help="What was published: list, show, verify, export.")
    from storage.listing import listing_names

    for name in listing_names():
        app.add_typer(typer.Typer(cls=_lazy(name), no_args_is_help=True), name=name, help=f"List and examine {name}.")


def _lazy(name: str) -> type[TyperGroup]:
    """A command group that imports its listing only when it is used: `--help` must not wait for SQLAlchemy."""

    class Lazy(TyperGroup):
        def _whole(self) -> Any:
            from storage.listing import listing

            return typer.main.get_group(_listing(listing(name)))  # also where `ls` is its only command

        def list_commands(self, ctx: Any) -> list[str]:
            return self._whole().list_commands(ctx)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            return self._whole().get_command(ctx, cmd_name)

    return Lazy


def _runs() -> typer.Typer:
    group = typer.Typer(no_args_is_help=True)

    @group.command("ls")
    def ls(where: Where = None, limit: Limit = 50, as_csv: Csv = False, as_json: Json = False) -> None:
        """List runs, newest first."""
        from storage import query

        rows = query.runs(where, limit=limit)
        show_rows(rows if as_json else [_run_line(row) for row in rows], as_json, as_csv, RUN_COLUMNS)

    @group.command("show")
    def show(run: str, as_json: Json = False) -> None:
        """Show one run: parameters, inputs, stages, metrics, products, error."""
        from storage import query

        show_record(query.run(run), as_json)

    @group.command("compare")
    def compare(first: str, second: str, as_json: Json = False) -> None:
        """Show where two runs differ in parameters, code and metrics."""
        from storage import query

        show_rows(query.compare_runs(first, second), as_json)

    @group.command("lineage")
    def lineage(of: Lineage, as_csv: Csv = False, as_json: Json = False) -> None:
        """List which product was made from which, around one product or the products of one run."""
        from storage import query

        show_rows(query.lineage_lines(of), as_json, as_csv, ("from", "to"))

    return group


def _products() -> typer.Typer:
    group = typer.Typer(no_args_is_help=True)

    @group.command("ls")
    def ls(where: Where = None, limit: Limit = 50, as_csv: Csv = False, as_json: Json = False) -> None:
        """List products, newest first."""
        from storage import query

        rows = query.products(where, limit=limit)
        shown = ("id", "kind", "name", "shape", "bytes", "published", "uri")
        show_rows(rows if as_json else [{k: row[k] for k in shown} for row in rows], as_json, as_csv, shown)

    @group.command("show")
    def show(product: str, as_json: Json = False) -> None:
        """Show one product by id or URI."""
        from storage import query

        show_record(query.product(product), as_json)

    @group.command("verify")
    def verify(product: str, as_json: Json = False) -> None:
        """Compare every stored shard with the digest it was published with."""
        from storage import query
        from storage.publish import verify

        uri = query.product(product)["uri"]
        damaged = verify(uri)
        show_record({"product": uri, "intact": not damaged, "damaged": damaged}, as_json)
        if damaged:
            raise typer.Exit(1)

    @group.command("export")
    def export(
        product: str,
        target: Annotated[Path, typer.Argument(help="file to write; its ending says the format: .img .nc .tif .fits")],
        as_format: Annotated[str | None, typer.Option("--format", help="envi, netcdf, geotiff or fits")] = None,
        as_json: Json = False,
    ) -> None:
        """Write a cube for other programs: ENVI, NetCDF, GeoTIFF or FITS."""
        from storage import query
        from tasks.ingest.export import export

        uri = query.product(product)["uri"]
        show_record({"product": uri, "files": [str(f) for f in export(uri, target, as_format)]}, as_json)

    return group


def _listing(listing: Any) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True)

    @group.command("ls")
    def ls(where: Where = None, limit: Limit = 50, as_csv: Csv = False, as_json: Json = False) -> None:
        """List rows, the highest first."""
        from storage import query

        order = listing.row.__table__.columns[listing.order].desc()
        rows = query.table(listing.row, where, order=order, limit=limit)
        show_rows(
            rows if as_json else [{k: row[k] for k in listing.columns} for row in rows],
            as_json,
            as_csv,
            listing.columns,
        )

    for name, command in listing.commands.items():
        group.command(name)(_printing(command))
    return group


def _printing(command: Callable[..., Any]) -> Callable[..., None]:
    """The command, with what it returns printed, and with the option ``--json``."""

    def printed(*args: Any, as_json: bool, **kwargs: Any) -> None:
        answer = command(*args, **kwargs)
        if isinstance(answer, list):
            show_rows(answer, as_json)
        elif isinstance(answer, dict):
            show_record(answer, as_json)
        elif answer is not None:
            print(json.dumps(answer, default=str) if as_json else answer)

    signature = inspect.signature(command, eval_str=True)
    option = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)
    printed.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])
    printed.__annotations__ = {name: p.annotation for name, p in printed.__signature__.parameters.items()}
    printed.__doc__ = command.__doc__
    return printed


RUN_COLUMNS = ("run", "flow", "status", "started", "seconds", "products", "measured")


def _run_line(row: Row) -> Row:
    single = {k: v for k, v in row["metrics"].items() if isinstance(v, float)}
    measured = ", ".join(f"{k} {v:.4g}" for k, v in list(single.items())[:3])
    return {k: row[k] for k in ("run", "flow", "status", "started", "seconds")} | {
        "products": len(row["products"]),
        "measured": measured,
    }


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)) and all(isinstance(v, int) for v in value):
        return "×".join(map(str, value))
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


def _lines(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(", ".join(f"{k}={_cell(v)}" for k, v in item.items() if v is not None) for item in value)
    if isinstance(value, dict):
        return "\n".join(f"{k}: {_cell(v)}" for k, v in value.items())
    return _cell(value)


def _console() -> Any:
    from rich.console import Console

    # A file or a pipe gets whole lines: addresses must not be broken.
    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else 10_000, highlight=False)
