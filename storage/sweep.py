"""Clearing away: staging areas that nobody will take up again, and old runs' products by choice."""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select

from storage.areas import STAGING
from storage.database import now, session
from storage.settings import settings
from storage.stores import is_local, join, remove
from storage.tables import RUNNING, ProductRow, Run, TileRow


def stale_areas(keep: timedelta) -> list[Path]:
    """Staging folders that no live run owns, and that are either superseded by a completed run or older than ``keep``."""
    store = settings().store
    if not is_local(store):
        return []
    root = Path(join(store, STAGING))
    folders = [p for p in root.glob("*/*") if p.is_dir()] if root.exists() else []
    return [folder for folder in folders if _is_stale(folder, now() - keep)]


def _is_stale(folder: Path, oldest: datetime) -> bool:
    prefix, _, generation = folder.name.partition("-")
    with session() as s:
        owners = s.scalars(select(Run).where(Run.flow == folder.parent.name, Run.key.startswith(prefix))).all()
    if any(run.status == RUNNING for run in owners):
        return False
    last = max((run.started for run in owners), default=None)
    done = any(run.status == "completed" and run.generation == int(generation or 0) for run in owners)
    return done or last is None or last < oldest


def sweep(keep: timedelta) -> list[str]:
    """Remove stale staging areas and the ledger rows that describe them; return what was removed."""
    removed = stale_areas(keep)
    for folder in removed:
        remove(str(folder))
        with session() as s:
            s.execute(delete(TileRow).where(TileRow.key.startswith(folder.name.partition("-")[0])))
    return [str(folder) for folder in removed]


def expired_products(older_than: timedelta) -> list[ProductRow]:
    """Published products older than ``older_than``, for a retention policy to choose from."""
    with session() as s:
        wanted = select(ProductRow).where(ProductRow.published < now() - older_than, ProductRow.deleted.is_(None))
        return list(s.scalars(wanted))


def delete_product(row: ProductRow) -> None:
    """Take a product out of every reader's sight, then remove its bytes; its row stays as the record."""
    with session() as s:
        s.get_one(ProductRow, row.id).deleted = now()
    remove(row.uri)
