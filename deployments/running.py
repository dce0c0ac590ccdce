"""Running and planning a flow from the command line."""

import logging
import os
import types
from pathlib import Path
from typing import Any

from flows._catalogue import flow_names, load
from flows._orphans import end_orphaned_servers
from flows._settings import apply_prefect_environment
from storage.errors import BadInputError, UnknownNameError
from storage.parameters import Parameters
from storage.summary import RunSummary

log = logging.getLogger("nightloom")


def parameters(flow: str, assignments: list[str] | None, file: Path | None, *, force: bool) -> Parameters:
    """The flow's parameters from a file and ``key=value`` pairs; a pair beats the file."""
    apply_prefect_environment()
    model = load(flow).params_model
    given: dict[str, Any] = _read(file) if file else {}
    for assignment in assignments or []:
        key, sign, value = assignment.partition("=")
        if not sign:
            raise BadInputError(f"{assignment!r} is no parameter; write key=value, e.g. -p tile=256")
        _set(given, key.strip().split("."), _value(value))
    for name in given:
        if name not in model.model_fields:
            raise UnknownNameError(f"parameter of {flow}", name, list(model.model_fields))
    return model(**given | ({"force": True} if force else {}))


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadInputError(f"{file} cannot be read as YAML or JSON: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise BadInputError(f"{file} holds {type(content).__name__}, a mapping of parameters was expected")
    return content


def _set(given: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        given = given.setdefault(part, {})
    given[path[-1]] = value


def _value(text: str) -> Any:
    """Lists, mappings and null are read as YAML; anything else is left to the parameter's own type."""
    import yaml

    if text[:1] in ("[", "{") or text in ("null", "none", "None"):
        return None if text in ("null", "none", "None") else yaml.safe_load(text)
    return text


def run(flow: str, params: Parameters) -> RunSummary:
    """Run ``flow`` in this process; a completed run of the same work is returned without starting Prefect."""
    from flows._sources import already_done

    _quieten()
    done = already_done(flow, params)
    if done is not None:
        return done
    end_orphaned_servers()
    log.info("%s: starting, the first tile follows in a few seconds", flow)
    return load(flow).flow(params)


def _quieten() -> None:
    """Our own lines and Prefect's warnings; a foreseen failure is one sentence, so tracebacks only with --debug."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("nightloom").setLevel(logging.INFO)
    logging.getLogger("prefect").addFilter(lambda record: "temporary server" not in record.getMessage())
    if "NIGHTLOOM_DEBUG" not in os.environ:
        for name in ("prefect.flow_runs", "prefect.task_runs"):
            logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


def plan(flow: str, params: Parameters) -> dict[str, Any]:
    """What a run of ``flow`` would do; nothing is computed or written."""
    from storage.experience import expectation

    entry = load(flow)
    own = entry.module.plan(params) if hasattr(entry.module, "plan") else {}
    learnt = expectation(flow, params)  # a workload that knows better than its bytes says so itself
    return {"flow": flow, "parameters": params.canonical()} | own | {k: v for k, v in learnt.items() if k not in own}


def list_flows() -> list[dict[str, Any]]:
    """Every flow with its sentence."""
    apply_prefect_environment()
    return [{"flow": name, "does": load(name).sentence} for name in flow_names()]


def describe(flow: str) -> list[dict[str, Any]]:
    """The parameters of one flow."""
    apply_prefect_environment()
    fields = load(flow).params_model.model_fields
    return [
        {
            "parameter": name,
            "type": _type_name(field.annotation),
            "default": "required" if field.is_required() else field.get_default(call_default_factory=True),
            "bounds": ", ".join(_bound(m) for m in field.metadata if _bound(m)),
            "description": field.description or "",
        }
        for name, field in fields.items()
    ]


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("NoneType", "None")


def _bound(metadata: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return " ".join(
        f"{sign} {getattr(metadata, name)}" for name, sign in signs.items() if getattr(metadata, name, None) is not None
    )
