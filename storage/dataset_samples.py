"""Every sample that a dataset took, and every one that it left out because it had the like of it."""

from typing import Any

from sqlalchemy import Boolean, Double, Index, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Base, session
from storage.listing import Listing


class Sample(Base):
    """A sample: where it came from, what it is, the versions that hold it.

    Its record number is not here: compaction changes it, and each version's index tells it.
    """

    __tablename__ = "sample"
    __table_args__ = (Index("ix_sample_product_id", "product_id"),)

    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int]
    removed: Mapped[int | None]
    split: Mapped[str] = mapped_column(String(32))
    label: Mapped[str] = mapped_column(String(64))
    group_key: Mapped[str] = mapped_column(String(255))
    stratum: Mapped[str] = mapped_column(String(255))
    weight: Mapped[float] = mapped_column(Double)
    simulated: Mapped[bool] = mapped_column(Boolean)
    content: Mapped[str] = mapped_column(String(32))
    product_id: Mapped[str] = mapped_column(String(16))


class Duplicate(Base):
    """A sample that was left out, the one that was kept for it, and the distance of their embeddings."""

    __tablename__ = "dup_edge"

    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    sample: Mapped[str] = mapped_column(String(32), primary_key=True)
    kept: Mapped[str] = mapped_column(String(32), index=True)
    distance: Mapped[float] = mapped_column(Double)
    version: Mapped[int]


COLUMNS = {"id": "id", "version": "version", "split": "split", "label": "label", "group": "group_key"} | {
    "stratum": "stratum", "weight": "weight", "simulated": "simulated", "content": "content", "source": "product_id",
}  # fmt: skip
"""From the index of a version to the table."""


def written_up_to(dataset: str) -> int:
    """The newest version whose samples are in the table; 0 if none is."""
    with session() as s:
        return s.scalar(select(func.max(Sample.version)).where(Sample.dataset == dataset)) or 0


def sample_rows(dataset: str, index: Any, removed: int | None = None) -> list[dict[str, Any]]:
    """The rows of the samples in ``index`` (pandas.DataFrame), which version ``removed`` left out if it is given."""
    renamed = index[list(COLUMNS)].rename(columns=COLUMNS)
    return [{"dataset": dataset, "removed": removed, **row} for row in renamed.to_dict("records")]


def duplicate_rows(dataset: str, version: int, found: list[tuple[str, str, float]]) -> list[dict[str, Any]]:
    """The rows of what was left out while ``version`` was built: (sample, the one kept for it, distance)."""
    about = {"dataset": dataset, "version": version}
    return [{"sample": sample, "kept": kept, "distance": float(d), **about} for sample, kept, d in found]


LISTINGS = {
    "samples": Listing(
        row=Sample,
        columns=("dataset", "id", "version", "removed", "split", "label", "group_key", "simulated", "product_id"),
        order="version",
    ),
    "duplicates": Listing(row=Duplicate, columns=("dataset", "sample", "kept", "distance", "version"), order="version"),
}
