"""Maintenance removes what nobody will take up again, and nothing else."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from storage import query
from storage.database import now, session
from storage.errors import TilesFailedError
from storage.publish import verify
from storage.stores import exists, files
from storage.sweep import delete_product, expired_products, stale, sweep
from storage.tables import ProductRow, Run, TileRow
from tests.storage.flowlike import TinyParams, tiny
from tests.storage.test_runs import crash, fail_at_2_1

DAY = timedelta(days=1)


@pytest.fixture(params=["local", "memory"])
def store(request, home, monkeypatch):
    if request.param == "memory":
        monkeypatch.setenv("NIGHTLOOM_STORE", f"memory://{home.parent.name}-sweep")
    return os.environ["NIGHTLOOM_STORE"]


def fail():
    with pytest.raises(TilesFailedError):
        tiny(TinyParams(), step=fail_at_2_1)


def age(days):
    with session() as s:
        s.execute(update(Run).values(started=now() - timedelta(days=days)))


def n_ledger():
    with session() as s:
        return len(s.scalars(select(TileRow)).all())


def test_what_may_be_taken_up_again_is_kept(store):
    fail()
    assert sweep(DAY) == []
    assert n_ledger() == 16
    assert tiny(TinyParams()).status == "completed"


def test_what_is_too_old_goes_with_its_ledger(store):
    fail()
    age(3)
    assert stale(DAY)
    removed = sweep(DAY)
    assert removed
    assert not any(exists(uri) for uri in removed)
    assert n_ledger() == 0
    assert stale(timedelta(0)) == []
    assert verify(tiny(TinyParams()).first("square").uri) == []


def test_what_a_live_run_works_on_is_never_touched(store):
    fail()
    age(3)
    with session() as s:
        s.execute(update(Run).values(status="running"))
    assert sweep(DAY) == []
    assert n_ledger() == 16


def test_arrays_that_were_renamed_and_never_published_go_when_old(store, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("storage.runs.RecordedRun._commit_completed", crash)
        with pytest.raises(SystemExit):
            tiny(TinyParams())
    assert sweep(DAY) == []
    age(3)
    assert any(uri.endswith("square.zarr") or ".zarr" not in uri for uri in sweep(DAY))
    assert not list(files(store))


def test_published_products_and_a_person_s_own_files_stay(store):
    summary = tiny(TinyParams())
    age(30)
    if "://" not in store:
        own = Path(summary.first("square").uri).parent / "my notes.txt"
        own.write_text("mine")
        other = Path(store, "tiny", "0123456789ab", "x.zarr")  # of a run that this database does not know
        other.mkdir(parents=True)
    assert sweep(timedelta(0)) == []
    assert verify(summary.first("square").uri) == []
    if "://" not in store:
        assert own.exists()
        assert other.exists()


def test_scratch_that_a_dead_run_left_beside_its_products_goes(store, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("storage.areas.Area.discard", lambda *_: None)
        summary = tiny(TinyParams())
    removed = sweep(DAY)
    assert len(removed) == 1
    assert not exists(removed[0])
    assert verify(summary.first("square").uri) == []


def test_retention_takes_a_product_out_of_sight_then_off_the_disk(store):
    summary = tiny(TinyParams())
    with session() as s:
        s.execute(update(ProductRow).values(published=now() - 3 * DAY))
    expired = expired_products(DAY)
    assert {r.uri for r in expired} == {p.uri for p in summary.products}
    for row in expired:
        delete_product(row)
    assert query.products() == []
    assert not any(exists(p.uri) for p in summary.products)
    assert expired_products(DAY) == []
    assert len(query.runs()) == 1
