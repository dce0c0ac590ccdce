"""The command line: `nightloom --help` teaches it.

Imports are lazy: listing runs must not wait for Prefect, Dask or Zarr.
"""

import json
import os
import re
import sys
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from deployments import tables
from storage.errors import NightloomError, UnknownNameError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="""Runs pipelines over chunked arrays, by night or now, and answers what came out.

Start with `nightloom run nightly`, then look at `nightloom runs ls` and `nightloom products ls`.""",
)
Json = Annotated[bool, typer.Option("--json", help="answer in JSON; of a run, the last line")]
FlowName = Annotated[str, typer.Argument(help="one of the flows that `nightloom flows` lists", show_default=False)]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--param", help="a parameter as key=value, e.g. -p method=hyres; repeatable", show_default=False
    ),
]
ParamsFile = Annotated[
    Path | None, typer.Option("--params", help="a YAML or JSON file of parameters", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="compute again even if the same work was completed before")]


@app.callback()
def _globals(
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
) -> None:
    if debug:
        os.environ["NIGHTLOOM_DEBUG"] = "1"


@app.command()
def run(
    flow: FlowName, param: Assignments = None, params: ParamsFile = None, force: Force = False, json_: Json = False
) -> None:
    """Run a flow here and now; no server is needed. `nightloom flows FLOW` lists its parameters."""
    from deployments import running

    summary = running.run(flow, running.parameters(flow, param, params, force=force))
    if json_:
        print(summary.model_dump_json())
    else:
        from deployments import morning

        morning.show(summary)
    if summary.status != "completed":
        raise typer.Exit(1)


@app.command()
def plan(flow: FlowName, param: Assignments = None, params: ParamsFile = None, json_: Json = False) -> None:
    """Say what a run would do: tiles, bytes, memory per worker, and the time that past runs suggest."""
    from deployments import running

    tables.show_record(running.plan(flow, running.parameters(flow, param, params, force=False)), json_)


@app.command()
def backfill(
    first: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="first day (UTC)", show_default=False)],
    last: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="last day, included", show_default=False)],
    param: Assignments = None,
    submit: Annotated[bool, typer.Option("--submit", help="hand the runs to the server at PREFECT_API_URL")] = False,
    json_: Json = False,
) -> None:
    """Make up for missed nights: a nightly run for each day, over the files that came into the inbox on that day."""
    from deployments import running
    from deployments.backfill import backfill as each

    given = running.parameters("nightly", param, None, force=False).model_dump(exclude_unset=True)
    rows = list(each(first.date(), last.date(), given, submit=submit))
    tables.show_rows(rows, json_)
    if not submit and any(row["status"] != "completed" for row in rows):
        raise typer.Exit(1)


@app.command()
def flows(
    flow: Annotated[str | None, typer.Argument(help="show this flow's parameters", show_default=False)] = None,
    json_: Json = False,
) -> None:
    """List the flows, or the parameters of one with units, bounds and defaults."""
    from deployments import running

    tables.show_rows(running.describe(flow) if flow else running.list_flows(), json_)


@app.command()
def up(
    port: Annotated[int, typer.Option(help="port of the Prefect UI and API on this machine")] = 4200,
) -> None:
    """Start everything on this machine: Prefect server, worker, deployments, results explorer. Ctrl-C ends it all."""
    from flows._settings import apply_prefect_environment

    apply_prefect_environment()
    from deployments import services

    services.up(port)


@app.command()
def deploy(json_: Json = False) -> None:
    """Register pool, deployments, schedules and limits at PREFECT_API_URL; repeating it changes nothing."""
    from flows._settings import apply_prefect_environment

    apply_prefect_environment()
    from deployments import bootstrap

    names = bootstrap.deploy()
    tables.show_rows([{"deployment": name} for name in names], json_)


@app.command()
def certs(json_: Json = False) -> None:
    """Make the certificates of a Dask cluster over TLS, under NIGHTLOOM_HOME."""
    from deployments.certs import make_certificates

    tables.show_rows([{"file": str(path)} for path in make_certificates()], json_)


@app.command()
def migrate(json_: Json = False) -> None:
    """Bring the run database to the newest schema (any command does so when it must)."""
    from storage import database

    tables.show_record({"schema": sorted(database.migrate())}, json_)


@app.command()
def doctor(
    file: Annotated[Path | None, typer.Argument(help="a file to look into", show_default=False)] = None,
    json_: Json = False,
) -> None:
    """Say what is missing on this machine, or what a file is, how it would be read and what is wrong with it."""
    from deployments import doctors

    healthy, findings = doctors.examine_file(file) if file else doctors.examine_machine()
    tables.show_rows(findings, json_)
    if not healthy:
        raise typer.Exit(1)


@app.command()
def maintenance(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False, json_: Json = False
) -> None:
    """Close runs whose process is gone and sweep what they left behind."""
    run("maintenance", [f"dry_run={dry_run}"], None, False, json_)


tables.add_listings(app)


def main() -> None:
    """Entry point: every foreseen failure is one sentence on standard error."""
    from pydantic import ValidationError

    as_json = "--json" in sys.argv
    try:
        app(standalone_mode=True)
    except UnknownNameError as error:
        _say(str(error), as_json, code=2)
    except ValidationError as error:
        _say("; ".join(_validation_line(e) for e in error.errors()), as_json, code=2)
    except (NightloomError, ValueError, OSError) as error:
        if os.environ.get("NIGHTLOOM_DEBUG"):
            raise
        _say(str(error), as_json, code=1)
    except KeyboardInterrupt:
        _say("cancelled", as_json, code=1)
    except Exception as error:  # not foreseen: say so, and how to see more
        if os.environ.get("NIGHTLOOM_DEBUG"):
            raise
        _say(f"unexpected {type(error).__name__}: {error}; --debug before the command shows where", as_json, code=1)


def _validation_line(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"]) or "parameters"
    text = error["msg"].removeprefix("Value error, ")
    choices = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
    near = get_close_matches(str(error.get("input")), choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{name}: {text[0].lower()}{text[1:]}, got {error.get('input')!r}{hint}"


def _say(sentence: str, as_json: bool, code: int) -> None:
    print(f"nightloom: {sentence}", file=sys.stderr)
    if as_json:
        print(json.dumps({"status": "failed", "error": sentence}))
    raise SystemExit(code)


if __name__ == "__main__":
    main()
