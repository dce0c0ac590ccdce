"""Processes to kill: forked from one that has imported everything, so that a death costs a tenth of a second."""

import json
import multiprocessing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from storage.database import dispose_engines, session
from storage.lease import reconcile
from storage.sweep import sweep
from storage.tables import Lease, ProductRow, Run, TileRow
from tests.faults.lab import database
from tests.faults.scenario import EDGE, LONGEST, Work


@pytest.fixture(scope="session")
def forks():
    """A context whose processes begin with the engine imported and no thread running."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.scenario", "psycopg"])
    return context


@dataclass
class Night:
    """A home in which processes work and die, and what is found there afterwards."""

    home: Path
    database_url: str
    forks: Any
    started: list[multiprocessing.Process] = field(default_factory=list)

    def start(self, **described: Any) -> multiprocessing.Process:
        work = Work(str(self.home), self.database_url, **described)
        process = self.forks.Process(target=work.do)
        process.start()
        self.started.append(process)
        return process

    def run(self, **described: Any) -> int:
        """Work to the end, or to the death; the exit code."""
        process = self.start(**described)
        process.join(LONGEST + 20)
        return process.exitcode

    def summaries(self) -> list[dict]:
        return [
            json.loads(p.read_text()) for p in sorted(self.home.glob("summary-*.json"), key=lambda p: p.stat().st_mtime)
        ]

    def computed(self) -> list[tuple]:
        log = self.home / "computed.log"
        return [tuple(json.loads(line)["tile"]) for line in log.read_text().splitlines()] if log.exists() else []

    def statuses(self) -> list[str]:
        with session() as s:
            return [r.status for r in s.scalars(select(Run).order_by(Run.started))]

    def leftovers(self) -> list:
        """What nobody should find once all is done and swept."""
        from datetime import timedelta

        reconcile()
        sweep(timedelta(0))
        with session() as s:
            rows = [*s.scalars(select(Lease)), *s.scalars(select(TileRow))]
        return rows + [p for p in self.home.glob("store/.staging/*/*") if p.is_dir()]

    def content(self, uri: str | None = None) -> dict[str, bytes]:
        """The bytes of every shard of the published square."""
        uri = uri or self.uri
        return {
            str(p.relative_to(uri)): p.read_bytes() for p in Path(uri).rglob("*") if p.is_file() and p.suffix != ".json"
        }

    def end(self) -> None:
        """Leave no process behind that a failed test did not wait for: it may hold the database's locks."""
        for process in self.started:
            process.kill()
        dispose_engines()

    @property
    def uri(self) -> str:
        with session() as s:
            return s.scalars(select(ProductRow.uri).where(ProductRow.kind == "square")).one()


@pytest.fixture
def night(home, forks, database_url):
    made = Night(home, database_url, forks)
    yield made
    made.end()


@pytest.fixture
def local_night(home, forks):
    """The same on SQLite alone, where it does not matter which database it is."""
    made = Night(home, f"sqlite:///{home / 'nightloom.db'}", forks)
    yield made
    made.end()


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server to be stopped as one likes."""
    with database() as made:
        yield made


@pytest.fixture
def served_night(local_night, server, monkeypatch):
    """A night on that server."""
    import psycopg

    from storage.database import migrate

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    migrate(server.url)
    monkeypatch.setenv("NIGHTLOOM_DATABASE_URL", server.url)
    local_night.database_url = server.url
    return local_night


@pytest.fixture(scope="session")
def undisturbed(forks, tmp_path_factory, _empty_sqlite):
    """The shards and the total of runs that nobody disturbed, by number of tiles along an edge."""
    import shutil

    from storage.publish import MANIFEST

    known = {}

    def of(n: int):
        if n not in known:
            home = tmp_path_factory.mktemp("undisturbed")
            shutil.copy(_empty_sqlite, home / "n.db")
            process = forks.Process(target=Work(str(home), f"sqlite:///{home / 'n.db'}", n=n).do)
            process.start()
            process.join(120)
            (square,) = home.glob("store/night/*/square.zarr")
            assert MANIFEST in {p.name for p in square.iterdir()}
            shards = {
                str(p.relative_to(square)): p.read_bytes()
                for p in square.rglob("*")
                if p.is_file() and p.suffix != ".json"
            }
            summary = json.loads(next(home.glob("summary-*.json")).read_text())
            assert len(shards) == n * n
            known[n] = shards, summary["metrics"]["total"]
        return known[n]

    assert EDGE
    return of
