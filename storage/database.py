"""The run database: engine, sessions, and the schema brought up to date on first use.

SQLite needs nothing started; PostgreSQL is used by URL. Tables are declared in the modules of this package and found by
file name, so that a new workload adds its tables without an edit here.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    DateTime,
    Double,
    Engine,
    Text,
    TypeDecorator,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DatabaseError as SqlDatabaseError
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

from storage.errors import DatabaseBusyError, DatabaseError
from storage.settings import settings
from storage.summary import finite

BUSY_SECONDS = 30.0  # how long a statement waits for a lock
ASLEEP_SECONDS = 60.0  # how long a machine may sleep with locks in its hand; as long as a lease lasts
MIGRATIONS = Path(__file__).with_name("migrations")
_engines: dict[str, Engine] = {}
_lock = threading.RLock()

T = TypeVar("T")
Json = JSON().with_variant(JSONB(), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """Time zone aware in Python, UTC in the database; SQLite would drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What a condition on such a column compares with."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; use storage.database.now()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[Any]):
    """Plain data kept as text, bit for bit: unlike JSON columns it also holds NaN and infinities."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str:
        return json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        return None if value is None else json.loads(value)


class Base(DeclarativeBase):
    """Parent of every table."""

    type_annotation_map = {float: Double}  # noqa: RUF012 - SQLAlchemy's own name


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def discover() -> None:
    """Import every module of this package that declares tables, so that `Base.metadata` is whole."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if "(Base)" in path.read_text(encoding="utf-8"):
            import_module(f"storage.{path.stem}")


def engine(url: str | None = None) -> Engine:
    """The engine of ``url`` (default: the settings'), with its schema at the newest version."""
    url = url or settings().database_url
    with _lock:
        if url not in _engines:
            made = connect(url)
            if not newest_version() <= schema_version(made):
                patiently(lambda: migrate(url))
            _engines[url] = made
        return _engines[url]


def dispose_engines() -> None:
    """Close every connection; the next use opens new ones."""
    with _lock:
        for made in _engines.values():
            made.dispose()
        _engines.clear()


def connect(url: str) -> Engine:
    """An engine, whatever its schema's version."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        driven = parsed.set(drivername="postgresql+psycopg")
        made = create_engine(driven, pool_pre_ping=True, json_serializer=_json)
        event.listen(made, "connect", _tune_postgresql)
        return made
    if parsed.database and parsed.database != ":memory:":
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(
                f"{parsed.database} cannot be made: {error.strerror}; set NIGHTLOOM_HOME to a place you may write"
            ) from error
    made = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS}, json_serializer=_json)
    event.listen(made, "connect", _tune_sqlite)
    return made


def _json(value: Any) -> str:
    """Text of a JSON column; what is not finite becomes null, which both databases accept."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value))


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _tune_postgresql(connection: Any, _record: Any) -> None:
    """Neither a suspended laptop in the middle of a transaction nor a forgotten console may hold up the night."""
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = {round(1000 * ASLEEP_SECONDS)}")
    cursor.execute(f"SET lock_timeout = {round(1000 * BUSY_SECONDS)}")
    cursor.close()
    connection.commit()


@contextmanager
def session(url: str | None = None) -> Iterator[Session]:
    """A short transaction: committed when the block ends well, undone otherwise."""
    with _one_sentence(), Session(engine(url), expire_on_commit=False) as opened, opened.begin():
        yield opened


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Say what is wrong with the database; tell what may pass from what will not."""
    try:
        yield
    except DBAPIError as error:
        known = isinstance(error, (OperationalError, InterfaceError)) or type(error) is SqlDatabaseError
        if not (known or error.connection_invalidated):
            raise  # a mistake of ours, or a row that is there already
        said = str(error.orig).strip().splitlines()[0]
        if _may_pass(error):
            raise DatabaseBusyError(
                f"the run database does not answer ({said}); see that its server runs and no one holds a lock"
            ) from error
        raise DatabaseError(
            f"the run database cannot be used: {said}; check its disk's space and rights, and NIGHTLOOM_DATABASE_URL"
        ) from error


def _may_pass(error: DBAPIError) -> bool:
    """Whether waiting can help: a lock, a server that restarts."""
    name = getattr(error.orig, "sqlite_errorname", None)
    return name is None or name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def patiently(action: "Callable[[], T]", *, seconds: float = 120.0) -> "T":
    """Repeat ``action`` while the database is locked or restarting; give up after ``seconds``."""
    deadline, pause, met = time.monotonic() + seconds, 0.1, False
    while True:
        try:
            return action()
        except IntegrityError:  # two processes added the same row (an environment); the second look finds it
            if met:
                raise
            met = True
        except DatabaseBusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(pause)
            pause = min(2.0, 2 * pause)


def newest_version() -> set[str]:
    """The revisions that no other follows or depends on, read from the migration files (Alembic itself takes long to import)."""
    found = "\n".join(p.read_text(encoding="utf-8") for p in (MIGRATIONS / "versions").glob("*.py"))
    below = re.findall(r"^(?:down_revision|depends_on)\b.*?=(.*)", found, re.M)
    return set(re.findall(r'^revision\b.*?= ["\'](\w+)', found, re.M)) - {
        name for line in below for name in re.findall(r"\w+", line)
    }


def schema_version(made: Engine) -> set[str]:
    """The revisions that the database is at; empty for a new one."""
    with _one_sentence():
        if not inspect(made).has_table("alembic_version"):
            return set()
        with made.connect() as connection:
            return set(connection.execute(text("select version_num from alembic_version")).scalars())


def migrate(url: str | None = None) -> set[str]:
    """Bring the schema to the newest version; return the revisions it is now at."""
    from alembic import command
    from alembic.config import Config

    target = url or settings().database_url
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = target
    with _one_sentence():
        command.upgrade(config, "heads")
    return newest_version()
