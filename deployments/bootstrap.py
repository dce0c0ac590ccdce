"""What Prefect must know: the work pool, one deployment per flow, limits, and the rule that ends runs whose process died.

Registering is an upsert: it may be repeated at every start. A schedule that somebody paused in the UI stays paused.
"""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from deployments.catalogue import deployment_config, flow_names, load
from storage.errors import BadInputError
from storage.identity import ROOT, code

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.events.schemas.automations import AutomationCore

POOL = "nightloom"
ZOMBIES = "Crash zombie flows"
SILENCE = timedelta(seconds=90)
"""How long a run may send no heartbeat (one every 30 s) before it counts as dead."""

ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Cancelling", "Paused", "Suspended", "AwaitingRetry")
CONFIG_KEYS = ("description", "schedule", "parameters", "concurrency", "tags")

COMMAND = "python -m deployments.engine"
"""How the worker runs a flow. Given, it is one process; left out, Prefect puts a supervisor with its own imports before it."""


@dataclass(frozen=True)
class Plan:
    """One deployment as it will be registered."""

    name: str
    description: str
    entrypoint: str
    form: dict[str, Any]
    parameters: dict[str, Any]
    schedule: dict[str, str] | None = None
    concurrency: int | None = None
    tags: list[str] = field(default_factory=list)


def deploy() -> list[str]:
    """Register everything at PREFECT_API_URL; return the names of the deployments."""
    if not os.environ.get("PREFECT_API_URL"):
        raise BadInputError(
            "PREFECT_API_URL is not set; set it to the address of a server (http://127.0.0.1:4200/api), or use `nightloom up`"
        )
    return register(plans())


def plans() -> list[Plan]:
    """The deployments that the flows and their YAML files ask for; needs no server."""
    return [plan(name, deployment_config(name)) for name in flow_names()]


def plan(name: str, config: dict[str, Any]) -> Plan:
    """The deployment of one flow; a mistake in its YAML file is found here, not at two in the morning."""
    from prefect.utilities.callables import parameter_schema

    entry = load(name)
    if unknown := set(config) - set(CONFIG_KEYS):
        raise BadInputError(
            f"deployments/{name}.yaml has {', '.join(sorted(unknown))}; it may have {', '.join(CONFIG_KEYS)}"
        )
    parameters = config.get("parameters") or {}
    _check_parameters(name, entry.params_model, parameters)
    return Plan(
        name=name,
        description=config.get("description") or entry.sentence,
        # By module, not by file: what a flow pickles to its workers carries the same module names as on the command line.
        entrypoint=f"flows.{name}.{name}",
        form=_readable(parameter_schema(entry.flow).model_dump_for_openapi()),
        parameters={"params": parameters},
        schedule=_checked_schedule(name, config.get("schedule")),
        concurrency=config.get("concurrency"),
        tags=config.get("tags") or [],
    )


def register(wanted: list[Plan]) -> list[str]:
    """Bring the server at PREFECT_API_URL to this state."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        _register_pool(client)
        for item in wanted:
            _register_deployment(client, item)
        client.upsert_global_concurrency_limit_by_name("gpu", limit=_gpu_slots())
        _register_zombie_rule(client)
    return [f"{item.name}/{item.name}" for item in wanted]


def _check_parameters(name: str, model: Any, parameters: dict[str, Any]) -> None:
    """Refuse defaults that the flow would refuse; what is missing is for the person at the form to fill in."""
    try:
        model.model_validate(parameters)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors() if e["type"] != "missing"]
        if wrong:
            raise BadInputError(f"deployments/{name}.yaml: parameters: {'; '.join(wrong)}") from error


def _readable(form: dict[str, Any]) -> dict[str, Any]:
    """The form with its fields in the order of the model, ``force`` last, and bounds said in the descriptions.

    The UI shows no bounds of its own, and PostgreSQL does not keep the order of a JSON object: only ``position`` does.
    """
    for definition in form.get("definitions", {}).values():
        properties = definition.get("properties", {})
        for position, name in enumerate(sorted(properties, key="force".__eq__)):
            field_ = properties[name]
            field_["position"] = position
            if bounds := _bounds(field_):
                field_["description"] = " ".join(filter(None, (field_.get("description"), bounds)))
    return form


def _bounds(described: dict[str, Any]) -> str:
    """The bounds of a number as in ``(1 to 8192)``; of an optional number those of its number."""
    for kind in [described, *described.get("anyOf", [])]:
        low = next(
            (
                f"{word}{kind[key]:.10g}"
                for key, word in (("minimum", ""), ("exclusiveMinimum", "above "))
                if key in kind
            ),
            "",
        )
        high = next(
            (
                f"{word}{kind[key]:.10g}"
                for key, word in (("maximum", ""), ("exclusiveMaximum", "below "))
                if key in kind
            ),
            "",
        )
        if low and high:
            return f"({low} to {high})"
        if low or high:
            text = (
                f"{low} or more"
                if low and "above" not in low
                else low or (high if "below" in high else f"{high} or less")
            )
            return f"({text})"
    return ""


def _checked_schedule(name: str, schedule: dict[str, str] | None) -> dict[str, str] | None:
    if schedule is None:
        return None
    if "timezone" not in schedule:
        raise BadInputError(
            f"deployments/{name}.yaml: the schedule has no timezone; say timezone: UTC, or a name such as Europe/Rome"
        )
    try:
        _cron(schedule)
    except (ValidationError, TypeError, KeyError) as error:
        raise BadInputError(
            f"deployments/{name}.yaml: {schedule} is no schedule; expected cron: and timezone:"
        ) from error
    return schedule


def _cron(schedule: dict[str, str]) -> "CronSchedule":
    from prefect.client.schemas.schedules import CronSchedule

    return CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])


def _register_pool(client: "SyncPrefectClient") -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        client.read_work_pool(POOL)
        return
    except ObjectNotFound:
        pass
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(
        name=POOL, type="process", description="runs flows of this checkout", base_job_template=template
    )
    try:
        client.create_work_pool(pool)
    except ObjectAlreadyExists:
        return  # a worker that starts at the same moment makes the pool as well


def _register_deployment(client: "SyncPrefectClient", item: Plan) -> None:
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions

    enqueue = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    client.create_deployment(
        flow_id=client.create_flow_from_name(item.name),
        name=item.name,
        version=(code().commit or code().version)[:12],
        description=item.description,
        entrypoint=item.entrypoint,
        parameter_openapi_schema=item.form,
        enforce_parameter_schema=True,
        parameters=item.parameters,
        schedules=_schedules(client, item),
        work_pool_name=POOL,
        job_variables={"command": COMMAND, "working_dir": str(ROOT)},
        concurrency_limit=item.concurrency,
        concurrency_options=enqueue if item.concurrency else None,
        tags=item.tags,
    )


def _schedules(client: "SyncPrefectClient", item: Plan) -> "list[DeploymentScheduleCreate]":
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.exceptions import ObjectNotFound

    if item.schedule is None:
        return []
    try:
        before = client.read_deployment_by_name(f"{item.name}/{item.name}").schedules
    except ObjectNotFound:
        before = []
    paused = any(s.slug == item.name and not s.active for s in before)
    return [DeploymentScheduleCreate(schedule=_cron(item.schedule), active=not paused, slug=item.name)]


def _gpu_slots() -> int:
    from flows._cluster import gpu_count

    return max(1, gpu_count())


def _register_zombie_rule(client: "SyncPrefectClient") -> None:
    """Prefect makes this rule for its cloud only; without it a run whose process was killed stays "running" for ever."""
    rule = _zombie_rule()
    known = client.read_automations_by_name(ZOMBIES)
    if known:
        client.update_automation(known[0].id, rule)
    else:
        client.create_automation(rule)


def _zombie_rule() -> "AutomationCore":
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    return AutomationCore(
        name=ZOMBIES,
        description="A run that sent no heartbeat for 90 s has no process any more.",
        enabled=True,
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{state}" for state in ENDS)},
            match=ResourceSpecification(root={"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                state=StateType.CRASHED,
                message="No heartbeat for 90 s: the process of this run is gone.",
                force=False,
            )
        ],
    )
