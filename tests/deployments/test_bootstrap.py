"""What is registered, as planned from the flows and their YAML files; no server is needed to find a mistake."""

import pytest

from deployments import bootstrap
from deployments.catalogue import deployment_config, flow_names
from storage.errors import BadInputError


@pytest.fixture(scope="module")
def planned():
    return {plan.name: plan for plan in bootstrap.plans()}


def test_every_flow_has_a_plan_and_can_be_loaded_as_the_engine_does(planned):
    from prefect.flows import load_flow_from_entrypoint

    assert sorted(planned) == flow_names()
    for name, plan in planned.items():
        assert load_flow_from_entrypoint(plan.entrypoint, use_placeholder_flow=False).name == name
        assert plan.description


@pytest.mark.parametrize("name", flow_names())
def test_every_field_of_every_form_is_explained(planned, name):
    form = planned[name].form
    assert list(form["properties"]) == ["params"]
    model = form["definitions"][form["properties"]["params"]["$ref"].rsplit("/", 1)[-1]]
    for field, described in model["properties"].items():
        assert len(described.get("description", "")) > 5, f"{name}.{field} has no description for its form"
    last = max(model["properties"], key=lambda field: model["properties"][field]["position"])
    assert last == "force"


@pytest.mark.parametrize(
    ("described", "text"),
    [
        ({"minimum": 1, "maximum": 8192}, "(1 to 8192)"),
        ({"minimum": 0}, "(0 or more)"),
        ({"exclusiveMinimum": 0}, "(above 0)"),
        ({"maximum": 0.5}, "(0.5 or less)"),
        ({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]}, "(1 to 9)"),
        ({"type": "string"}, ""),
    ],
)
def test_bounds_are_said(described, text):
    assert bootstrap._bounds(described) == text


def test_the_night_has_a_schedule_with_a_time_zone():
    assert {"cron", "timezone"} <= set(deployment_config("nightly")["schedule"])


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"scedule": None}, "has scedule; it may have"),
        ({"schedule": {"cron": "0 2 * * *"}}, "has no timezone"),
        ({"schedule": {"cron": "at night", "timezone": "UTC"}}, "is no schedule"),
        ({"schedule": {"cron": "0 2 * * *", "timezone": "Mars/Phobos"}}, "is no schedule"),
        ({"parameters": {"keep_staging_days": -1}}, "keep_staging_days: Input should be greater"),
        ({"parameters": {"kep": 1}}, "kep: Extra inputs"),
    ],
)
def test_a_mistake_in_a_deployment_file_is_one_sentence(config, sentence):
    with pytest.raises(BadInputError, match=sentence):
        bootstrap.plan("maintenance", config)


def test_deploying_without_an_address_says_what_to_do(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(BadInputError, match="nightloom up"):
        bootstrap.deploy()
