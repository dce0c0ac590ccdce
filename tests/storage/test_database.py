"""The database keeps times in UTC, its schema is what the models say, and what is wrong with it is one sentence."""

import sqlite3
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect, text

from storage import database
from storage.database import Base, connect, engine, migrate, newest_version, patiently, schema_version, session
from storage.errors import DatabaseBusyError, DatabaseError
from storage.tables import Environment, Run, TileRow

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
zones = st.integers(-720, 720).map(lambda m: timezone(timedelta(minutes=m)))


def run_row(**values):
    given = {
        "id": "r", "flow": "f", "key": "k", "generation": 0, "status": "running", "params": {}, "dirty": False,
        "code_version": "0", "host": "h", "devices": [], "trigger": "command", "started": database.now(),
    }  # fmt: skip
    return Run(**{**given, **values})


@quick
@given(moment=st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2200, 1, 1), timezones=zones))
def test_a_moment_comes_back_as_the_same_moment_in_utc(database_url, moment):
    with session() as s:
        s.merge(run_row(started=moment))
    with session() as s:
        (found,) = s.execute(text("select count(*) from run")).scalars()
        back = s.get_one(Run, "r").started
    assert found == 1
    assert back == moment
    assert back.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(home):
    with pytest.raises(Exception, match="has no time zone"), session() as s:
        s.add(run_row(started=datetime(2026, 11, 21)))


def test_moments_are_ordered_across_zones(database_url):
    east, west = timezone(timedelta(hours=9)), timezone(timedelta(hours=-8))
    with session() as s:
        s.add(run_row(id="later", started=datetime(2026, 11, 21, 1, tzinfo=west)))
        s.add(run_row(id="earlier", started=datetime(2026, 11, 21, 9, 30, tzinfo=east)))
    from storage import query

    assert [r["run"] for r in query.runs()] == ["later", "earlier"]
    assert [r["run"] for r in query.runs("started > '2026-11-21T01:00Z'")] == ["later"]


def test_the_migrated_schema_is_the_one_the_models_describe(database_url):
    """Alembic would find nothing to change."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    database.discover()
    with engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, Base.metadata) == []
    assert newest_version() <= schema_version(engine())


def test_migrating_twice_changes_nothing(database_url):
    before = inspect(engine()).get_table_names()
    migrate()
    assert inspect(engine()).get_table_names() == before


def test_the_way_back_down_leaves_nothing(home):
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    config.attributes["url"] = url = f"sqlite:///{home / 'down.db'}"
    migrate(url)
    command.downgrade(config, "base")
    assert inspect(connect(url)).get_table_names() == ["alembic_version"]


def test_a_schema_one_step_behind_is_brought_up(home):
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    config.attributes["url"] = url = f"sqlite:///{home / 'old.db'}"
    command.upgrade(config, "core0001")
    database.discover()
    assert set(inspect(engine(url)).get_table_names()) >= set(Base.metadata.tables)
    assert newest_version() <= schema_version(connect(url))


def test_a_new_database_is_made_where_none_was(tmp_path):
    url = f"sqlite:///{tmp_path / 'deep' / 'folder' / 'n.db'}"
    with session(url) as s:
        s.add(Environment(id="e", python="3", platform="p", packages={}))
    with session(url) as s:
        assert s.get_one(Environment, "e").platform == "p"
    database.dispose_engines()


def test_json_without_nan_on_both(database_url):
    with session() as s:
        s.add(run_row(params={"a": [1.0, float("nan"), {"b": float("-inf")}], "text": "ü ' \" \\"}))
    with session() as s:
        assert s.get_one(Run, "r").params == {"a": [1.0, None, {"b": None}], "text": "ü ' \" \\"}


def test_a_tile_s_record_keeps_every_bit(database_url):
    record = {"a": [0.1 + 0.2, float("inf"), -0.0, 1e-320], "b": {"c": None, "d": True}, "e": "x"}
    with session() as s:
        s.add(run_row())
        s.flush()
        row = TileRow(
            key="k",
            generation=0,
            stage="s",
            tile="0",
            run_id="r",
            digest="",
            seconds=0,
            peak_bytes=2**40,
            writes=[],
            record=record,
        )
        row.finished = database.now()
        s.add(row)
    with session() as s:
        found = s.get_one(TileRow, ("k", 0, "s", "0"))
        assert repr(found.record) == repr(record)
        assert found.peak_bytes == 2**40


def test_a_transaction_is_all_or_nothing(database_url):
    with pytest.raises(ZeroDivisionError), session() as s:
        s.add(run_row())
        s.flush()
        raise ZeroDivisionError
    with session() as s:
        assert s.get(Run, "r") is None


@pytest.mark.parametrize("seconds", [0.7, pytest.param(20, marks=pytest.mark.faults_long)])
def test_work_goes_on_when_a_lock_is_released(home, monkeypatch, seconds):
    """Another program holds the file; each try gives up soon, and is repeated."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    database.dispose_engines()
    engine()
    locked(home, seconds)
    start = time.monotonic()
    patiently(lambda: add(run_row()))
    assert time.monotonic() - start > seconds / 2
    with session() as s:
        assert s.get(Run, "r")


def test_a_lock_that_stays_is_one_sentence(home, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    database.dispose_engines()
    engine()
    locked(home, 1.5)
    with pytest.raises(DatabaseBusyError, match=r"does not answer \(database is locked\)"):
        patiently(lambda: add(run_row()), seconds=0.2)


def test_a_connection_that_was_cut_is_made_anew(database_url):
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connection to cut")
    calls = []

    def action():
        with session() as s:
            s.execute(text("select 1"))
            if not calls:
                calls.append(1)
                cut_connections(database_url)
            s.merge(run_row())

    patiently(action, seconds=20)
    with session() as s:
        assert s.get(Run, "r")


def test_a_machine_asleep_in_a_transaction_holds_up_no_one(database_url, monkeypatch):
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite serves one host, which sleeps as a whole")
    monkeypatch.setattr(database, "ASLEEP_SECONDS", 0.5)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    database.dispose_engines()
    add(run_row())

    with pytest.raises(DatabaseBusyError, match="idle-in-transaction"), session() as s:
        s.get_one(Run, "r").flow = "mine"
        s.flush()
        patiently(lambda: rename("others"), seconds=20)
    with session() as s:
        assert s.get_one(Run, "r").flow == "others"
    database.dispose_engines()


def rename(flow):
    with session() as s:
        s.get_one(Run, "r").flow = flow


@pytest.mark.parametrize(
    "url",
    ["postgresql://nobody:wrong@127.0.0.1:1/none", "sqlite:////proc/none/n.db"],
)
def test_a_database_that_cannot_be_reached_is_one_sentence(url):
    with pytest.raises(DatabaseError) as caught:
        engine(url)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    (tmp_path / "n.db").write_text("a letter, not a database" * 100)
    with pytest.raises(DatabaseError, match="file is not a database"):
        engine(f"sqlite:///{tmp_path / 'n.db'}")


def test_a_read_only_database_does_not_keep_anyone_waiting(home):
    engine()
    with pytest.raises(DatabaseError, match="readonly") as caught, session() as s:
        s.execute(text("pragma query_only = on"))
        s.add(run_row())
    assert not isinstance(caught.value, DatabaseBusyError)
    database.dispose_engines()


def test_threads_share_one_engine(home):
    database.dispose_engines()
    found = []
    threads = [threading.Thread(target=lambda: found.append(engine())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def locked(home: Path, seconds: float) -> None:
    """Hold the database's lock for a while, as another program would."""
    holder = sqlite3.connect(home / "nightloom.db", check_same_thread=False, isolation_level=None)
    holder.execute("begin exclusive")
    timer = threading.Timer(seconds, lambda: (holder.execute("rollback"), holder.close()))
    timer.daemon = True
    timer.start()


def cut_connections(url: str) -> None:
    """What a restart of the server does to everyone connected to it."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )


def add(row) -> None:
    with session() as s:
        s.add(row)
