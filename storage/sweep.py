"""Clearing away: what dead runs left and nobody will take up again, and old runs' products by choice."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from storage.areas import STAGING
from storage.database import now, session
from storage.settings import settings
from storage.stores import children, is_local, join, remove
from storage.tables import COMPLETED, RUNNING, ProductRow, Run, TileRow

AREA = re.compile(r"(?P<key>[0-9a-f]{12})(-(?P<generation>\d+))?")


def stale(keep: timedelta) -> list[str]:
    """Staging areas, and unpublished things beside published ones, that no live run owns and nobody will take up.

    That is so when a later run completed the same work, or when the last try is older than ``keep``. What no run of
    this database made is left alone: another database may know it.
    """
    store, oldest = settings().store, now() - keep
    roots = [join(store, STAGING)] if is_local(store) else []
    found = [uri for root in roots for uri, flow in _areas(root) if _is_over(uri, flow, oldest)]
    for uri, flow in _areas(store):
        if _is_over(uri, flow, oldest):
            found += _unpublished(uri)
    return found


def _areas(root: str) -> Iterator[tuple[str, str]]:
    """Every folder under ``root`` that is named like a run's area, and its flow."""
    for flow in children(root):
        if flow != STAGING:
            yield from ((join(root, flow, name), flow) for name in children(join(root, flow)) if AREA.fullmatch(name))


def _is_over(uri: str, flow: str, oldest: datetime) -> bool:
    named = AREA.fullmatch(uri.rsplit("/", 1)[-1])
    assert named, uri
    generation = int(named["generation"] or 0)
    with session() as s:
        owners = s.scalars(select(Run).where(Run.flow == flow, Run.key.startswith(named["key"]))).all()
    if not owners or any(run.status == RUNNING for run in owners):
        return False
    done = any(run.status == COMPLETED and run.generation == generation for run in owners)
    return done or max(run.started for run in owners) < oldest


def _unpublished(uri: str) -> list[str]:
    with session() as s:
        kept = s.scalars(select(ProductRow.uri).where(ProductRow.uri.startswith(f"{uri}/", autoescape=True))).all()
    if kept and is_local(uri):
        return []  # all of it was renamed into place at once; what else lies there, a person put there
    here = [join(uri, name) for name in children(uri)]
    return [child for child in here if not any(k == child or k.startswith(f"{child}/") for k in kept)]


def sweep(keep: timedelta) -> list[str]:
    """Remove what is stale and the ledger rows of work that is over; return what was removed."""
    removed = stale(keep)
    for uri in removed:
        remove(uri)
    _forget(now() - keep)
    return removed


def _forget(oldest: datetime) -> None:
    """Drop ledger rows that no run will use: their work was completed, or its last try is too old."""
    with session() as s:
        for key, generation in s.execute(select(TileRow.key, TileRow.generation).distinct()).all():
            owners = s.scalars(select(Run).where(Run.key == key)).all()
            done = any(run.status == COMPLETED and run.generation == generation for run in owners)
            if any(run.status == RUNNING for run in owners) or not (
                done or all(run.started < oldest for run in owners)
            ):
                continue
            s.execute(delete(TileRow).where(TileRow.key == key, TileRow.generation == generation))


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
