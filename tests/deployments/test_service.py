"""The service as a person meets it: started by one command, used through the API that the Prefect UI calls."""

import json
import os
import signal
import time

import numpy as np
import pytest

from deployments.bootstrap import POOL, ZOMBIES
from deployments.catalogue import flow_names
from storage.query import run, runs

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def database(service, monkeypatch):
    """The service's run database, for `storage.query`."""
    monkeypatch.setenv("NIGHTLOOM_HOME", str(service.home))


def test_every_flow_is_deployed(service):
    found = service.api.post("/deployments/filter", json={}).json()
    assert sorted(d["name"] for d in found) == flow_names()
    assert {d["work_pool_name"] for d in found} == {POOL}
    assert "127.0.0.1" in service.output.read_text()


def test_a_run_triggered_in_the_ui_is_found_by_a_query(service, database):
    flow_run = service.trigger("maintenance", dry_run=True)
    state = service.wait(flow_run)
    assert state["type"] == "COMPLETED", service.logs()
    found = runs("flow = 'maintenance' and params.dry_run = true")
    assert [r["status"] for r in found] == ["completed"]


def test_a_cube_is_denoised_from_the_form(service, database):
    source = service.home / "inbox" / "scene.npy"
    spectra = np.random.default_rng(0).normal(size=(3, 24)).cumsum(axis=1)
    weights = np.indices((40, 48)).sum(axis=0)[..., None] / 40 * [1.0, 0.5, 0.2]
    np.save(source, (weights @ spectra + np.random.default_rng(1).normal(0, 0.1, (40, 48, 24))).astype("f4"))
    flow_run = service.trigger("denoise", source=str(source), method="hyres", tile=32)
    assert service.wait(flow_run, seconds=300)["type"] == "COMPLETED", service.logs()
    (found,) = runs("flow = 'denoise' and status = 'completed' and params.tile = 32")
    assert run(found["run"])["flow_run_id"] == flow_run
    assert {"clean_cube", "picture"} <= {p["kind"] for p in found["products"]}
    assert found["run"] in service.command("runs", "ls", "--where", "product.kind = 'clean_cube'")


def test_what_the_flow_logs_reaches_the_ui(service):
    flow_run = service.trigger("nightly", only=["maintenance"])
    assert service.wait(flow_run)["type"] == "COMPLETED", service.logs()
    wanted, deadline = {"logs": {"flow_run_id": {"any_": [flow_run]}}}, time.monotonic() + 20
    while "nightloom" not in (names := {line["name"] for line in service.api.post("/logs/filter", json=wanted).json()}):
        assert time.monotonic() < deadline, names
        time.sleep(0.5)


def test_a_path_outside_the_roots_ends_the_run_with_one_sentence(service, database):
    state = service.wait(service.trigger("nightly", inbox="/etc"))
    assert state["type"] == "FAILED"
    assert "/etc lies outside the allowed roots" in state["message"]
    assert runs("flow = 'nightly' and status = 'completed' and params.inbox = '/etc'") == []


def test_a_parameter_out_of_bounds_is_refused_at_the_door(service):
    body = {"parameters": {"params": {"keep_staging_days": -1}}}
    answer = service.api.post(f"/deployments/{service.deployment('maintenance')['id']}/create_flow_run", json=body)
    assert answer.status_code in (409, 422)
    assert "-1" in answer.text


def test_schedules_have_a_time_zone_and_make_runs(service):
    schedule = service.deployment("nightly")["schedules"][0]["schedule"]
    assert schedule["cron"]
    assert schedule["timezone"]
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "flows": {"name": {"any_": ["nightly"]}}}
    deadline = time.monotonic() + 30
    while not service.api.post("/flow_runs/filter", json=wanted).json():  # with SQLAlchemy 2.1 none ever came
        assert time.monotonic() < deadline, service.logs()
        time.sleep(0.5)


def test_deploying_again_changes_nothing_and_keeps_a_paused_schedule_paused(service):
    before = service.deployment("nightly")
    service.api.patch(
        f"/deployments/{before['id']}/schedules/{before['schedules'][0]['id']}", json={"active": False}
    ).raise_for_status()
    assert len(json.loads(service.command("deploy", "--json"))) == len(flow_names())
    after = service.deployment("nightly")
    assert after["id"] == before["id"]
    assert [s["active"] for s in after["schedules"]] == [False]
    rules = service.api.post("/automations/filter", json={"automations": {"name": {"any_": [ZOMBIES]}}}).json()
    assert [rule["enabled"] for rule in rules] == [True]
    assert service.api.get("/v2/concurrency_limits/gpu").json()["limit"] >= 1


def test_a_run_cancelled_in_the_ui_ends(service, database):
    flow_run = service.trigger("maintenance")
    service.api.post(f"/flow_runs/{flow_run}/set_state", json={"state": {"type": "CANCELLING"}}).raise_for_status()
    assert service.wait(flow_run)["type"] in ("CANCELLED", "COMPLETED")


def test_zz_sigterm_ends_every_process(service):
    import psutil

    children = psutil.Process(service.process.pid).children(recursive=True)
    assert len(children) >= 2
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(60) == 0, service.logs()
    assert [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE] == []
    assert not os.path.exists(f"/proc/{service.process.pid}")
