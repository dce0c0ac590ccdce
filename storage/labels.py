"""Labels: what people decided about candidates and other rows, who and when. Every decision is kept; the newest counts."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Index, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Base, UtcDateTime, now, session

Verdict = Literal["accept", "reject", "clear"]


class Label(Base):
    """One decision of one person about one row of a workload's table."""

    __tablename__ = "label"
    __table_args__ = (Index("ix_label_row", "listing", "row_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    listing: Mapped[str] = mapped_column(String(64))
    row_id: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(16))
    who: Mapped[str] = mapped_column(String(128))
    decided: Mapped[datetime] = mapped_column(UtcDateTime)


def decide(listing: str, row_id: str, verdict: Verdict, who: str) -> dict[str, Any]:
    """Store a decision; ``clear`` takes back what was decided before."""
    label = Label(listing=listing, row_id=row_id, verdict=verdict, who=who, decided=now())
    with session() as s:
        s.add(label)
    return _plain(label)


def labels(listing: str, row_ids: list[str]) -> dict[str, dict[str, Any]]:
    """The decision in force on each of these rows, by id; rows without one are left out."""
    newest = _newest(listing).where(Label.row_id.in_(row_ids))
    wanted = select(Label).where(Label.id.in_(newest), Label.verdict != "clear")
    with session() as s:
        return {label.row_id: _plain(label) for label in s.scalars(wanted)}


def labelled(listing: str, row_id: Any, verdict: str) -> ColumnElement[bool]:
    """The condition that the row with this id column was accepted, rejected, or (``none``) not decided on."""
    in_force = select(Label.row_id).where(Label.id.in_(_newest(listing)))
    if verdict == "none":
        return row_id.not_in(in_force.where(Label.verdict != "clear"))
    return row_id.in_(in_force.where(Label.verdict == verdict))


def _newest(listing: str) -> Any:
    return select(func.max(Label.id)).where(Label.listing == listing).group_by(Label.row_id)


def _plain(label: Label) -> dict[str, Any]:
    return {"verdict": label.verdict, "who": label.who, "decided": label.decided.isoformat(timespec="seconds")}
