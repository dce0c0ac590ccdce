"""What is missing on this machine, and what is wrong with a file."""

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Finding = dict[str, Any]


def examine_machine() -> tuple[bool, list[Finding]]:
    """Look at every part a run needs; False if one is broken."""
    parts: dict[str, Callable[[], str]] = {
        "store": _store,
        "database": _database,
        "cluster": _cluster,
        "prefect": _prefect,
        "optional": _optional,
    }
    findings, healthy = [], True
    for name, look in parts.items():
        try:
            findings.append({"part": name, "state": "ok", "found": look()})
        except Exception as error:  # noqa: BLE001 - the doctor reports every ailment
            healthy = False
            findings.append({"part": name, "state": "broken", "found": str(error)})
    return healthy, findings


def examine_file(path: Path) -> tuple[bool, list[Finding]]:
    """What a file is, how it would be read, what is wrong with it; False if it cannot be used."""
    from flows._catalogue import flow_names, load
    from flows._settings import apply_prefect_environment
    from storage.errors import BadInputError

    apply_prefect_environment()
    if not path.exists():
        raise BadInputError(f"there is no file {path}; check the name")
    problems = []
    for name in flow_names():
        module = load(name).module
        if hasattr(module, "accepts") and module.accepts(path):
            told = module.describe(path) if hasattr(module, "describe") else {}
            facts = [{"what": k, "found": v} for k, v in told.items()]
            return bool(told.get("ok", True)), [{"what": "taken by", "found": name}, *facts]
        told = module.describe(path) if hasattr(module, "describe") else {}
        if told.get("use"):  # no input of its own, but a part of one: a person's own hand
            return True, [{"what": "part of", "found": name}, *({"what": k, "found": v} for k, v in told.items())]
        if problem := told.get("problem"):
            problems.append({"what": name, "found": problem})
    return False, [{"what": "taken by", "found": "no flow: the content is none of the known formats"}, *problems]


def _store() -> str:
    from storage.settings import settings
    from storage.stores import is_local, join, remove, write_bytes

    store = settings().store
    probe = join(store, ".probe")
    write_bytes(probe, b"probe")
    remove(probe)
    free = f", {shutil.disk_usage(store).free / 1e9:.0f} GB free" if is_local(store) else ""
    return f"{store} is writable{free}"


def _database() -> str:
    from storage import database
    from storage.settings import settings

    made = database.engine()
    return f"{made.url.render_as_string(hide_password=True)} at {', '.join(sorted(database.schema_version(made)))}; {settings().home}"


def _cluster() -> str:
    from flows._cluster import cores, gpu_count
    from storage.settings import settings

    gpus = gpu_count()
    return f"NIGHTLOOM_CLUSTER={settings().cluster}; {cores()} cores, {gpus} GPUs{'' if gpus else ' (the same code runs on the cores)'}"


def _prefect() -> str:
    import os

    from flows._settings import apply_prefect_environment

    apply_prefect_environment()
    import prefect

    address = os.environ.get("PREFECT_API_URL")
    return f"{prefect.__version__}, " + (
        f"server {address}" if address else "no server set: `nightloom run` starts a temporary one"
    )


def _optional() -> str:
    names = ("cupy", "dask_cuda", "psycopg", "s3fs", "icechunk", "onnxruntime", "dask_jobqueue", "dask_kubernetes")
    found = []
    for name in names:
        try:
            import_module(name)
            found.append(name)
        except ImportError:
            continue
    return "installed: " + ", ".join(found)
