"""Maintenance closes what is over, and nothing else."""

import pytest

from flows import _prefect_runs, maintenance
from storage import lease
from storage.database import now, session
from storage.parameters import Parameters
from storage.runs import recorded
from storage.tables import INTERRUPTED, RUNNING, Lease, Run


@pytest.fixture
def elsewhere(home):
    """A run that another host works on, under a Prefect run."""
    with recorded("toy", Parameters(), deduplicate=False) as run:
        pass
    with session() as s:
        row = s.get_one(Run, run.id)
        row.status, row.flow_run_id = RUNNING, "0b8e6d4e-9f43-4a9b-8d63-0d5c0c3f9d11"
        fields = {
            "host": "another-host",
            "boot_id": "b",
            "pid": 1,
            "process_started": 0.0,
            "expires": now() + lease.LEASE,
        }
        s.add(Lease(key=run.key, run_id=run.id, **fields))
    return run.id


def status(run_id):
    with session() as s:
        return s.get_one(Run, run_id).status


def test_a_run_elsewhere_is_left_alone_while_prefect_runs_it(elsewhere, monkeypatch):
    monkeypatch.setattr(maintenance, "ended", lambda runs: [])

    maintenance.maintenance.fn(maintenance.MaintenanceParams())

    assert status(elsewhere) == RUNNING


def test_a_run_elsewhere_is_closed_when_its_prefect_run_is_over(elsewhere, monkeypatch):
    asked = {}
    monkeypatch.setattr(maintenance, "ended", lambda runs: asked.update(runs) or list(runs))

    summary = maintenance.maintenance.fn(maintenance.MaintenanceParams())

    assert asked == {elsewhere: "0b8e6d4e-9f43-4a9b-8d63-0d5c0c3f9d11"}
    assert status(elsewhere) == INTERRUPTED
    assert elsewhere in summary.closed
    assert not lease.out_of_sight()


def test_without_a_server_nothing_is_asked(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    assert _prefect_runs.ended({"run": "0b8e6d4e-9f43-4a9b-8d63-0d5c0c3f9d11"}) == []
