"""Fixtures every test may use: array backends, a home of its own, both databases, a Prefect server."""

import os
import shutil
from uuid import uuid4

import numpy as np
import pytest

from tasks.array import compiled
from tasks.array.namespace import _cupy

# The processes that tests start have homes of their own: one cache for all, or each would compile every kernel again.
os.environ.setdefault("NUMBA_CACHE_DIR", compiled.cache_directory())


@pytest.fixture(params=["numpy", "cupy"])
def xp(request):
    """Each array module this machine can run: NumPy everywhere, CuPy where a GPU answers."""
    if request.param == "numpy":
        return np
    cupy = _cupy()
    if cupy is None:
        pytest.skip("no GPU answers here: the CUDA twins are proven in the simulator and by compilation")
    return cupy


@pytest.fixture(scope="session")
def _empty_sqlite(tmp_path_factory):
    """A database file at the newest schema; copied for each test, because Alembic takes long."""
    from sqlalchemy import create_engine

    from storage import database

    path = tmp_path_factory.mktemp("schema") / "empty.db"
    database.migrate(f"sqlite:///{path}")
    with create_engine(f"sqlite:///{path}").connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    return path


@pytest.fixture
def home(tmp_path, monkeypatch, _empty_sqlite):
    """A home, a store and a SQLite database that only this test sees."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(_empty_sqlite, home / "nightloom.db")
    _use(monkeypatch, home, f"sqlite:///{home / 'nightloom.db'}")
    yield home
    _forget_caches()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, home, monkeypatch):
    """The run database on SQLite and, where a server answers, on PostgreSQL; fresh for each test."""
    if request.param == "postgresql":
        _use(monkeypatch, home, _emptied(request.getfixturevalue("_postgres")))
    return os.environ["NIGHTLOOM_DATABASE_URL"]


@pytest.fixture(scope="session")
def postgres_server():
    """Address of a PostgreSQL server: NIGHTLOOM_TEST_POSTGRES_URL, or the one on the default local port."""
    import psycopg

    url = os.environ.get("NIGHTLOOM_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    url = url.replace("+psycopg", "")
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        pytest.skip(
            f"no PostgreSQL answers ({str(error).splitlines()[0]}): set NIGHTLOOM_TEST_POSTGRES_URL to run this"
        )
    return url


@pytest.fixture(scope="session")
def _postgres(postgres_server):
    """A database of this session at the newest schema; making one takes a second, so tests empty it instead."""
    from storage import database

    name = f"nightloom_test_{uuid4().hex[:8]}"
    _administer(postgres_server, f'create database "{name}"')
    url = _sibling(postgres_server, name)
    database.migrate(url)
    yield url
    database.dispose_engines()
    _administer(postgres_server, f'drop database if exists "{name}" with (force)')


def _emptied(url):
    import psycopg

    from storage.database import Base, discover

    discover()
    names = ", ".join(f'"{table}"' for table in Base.metadata.tables)
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        connection.execute(f"truncate {names} restart identity cascade")
    return url


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory):
    """A Prefect server with a database of its own, for the one test per flow that really starts Prefect."""
    from prefect.settings import PREFECT_HOME, PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    mine = {PREFECT_HOME: tmp_path_factory.mktemp("prefect"), PREFECT_SERVER_ANALYTICS_ENABLED: False}
    with temporary_settings(mine), prefect_test_harness(server_startup_timeout=120):
        yield


def _administer(server, statement):
    import psycopg

    with psycopg.connect(server, autocommit=True, connect_timeout=10) as connection:
        connection.execute(statement)


def _sibling(server, name):
    return server.rsplit("/", 1)[0] + f"/{name}"


def _use(monkeypatch, home, url):
    _forget_caches()
    monkeypatch.setenv("NIGHTLOOM_HOME", str(home))
    monkeypatch.setenv("NIGHTLOOM_STORE", str(home / "store"))
    monkeypatch.setenv("NIGHTLOOM_DATABASE_URL", url)
    for name in ("NIGHTLOOM_INBOX", "NIGHTLOOM_ROOTS", "NIGHTLOOM_CLUSTER", "PREFECT__FLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def _forget_caches():
    from storage import database, product

    database.dispose_engines()
    product._open_array.cache_clear()
