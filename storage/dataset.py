"""What dataset construction leaves behind: datasets, their versions, the splits of their groups, the gates they passed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Double, Index, String, Text, func, select
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Base, Json, UtcDateTime, session
from storage.errors import BadInputError
from storage.listing import Listing
from storage.tables import COMPLETED, ProductRow, Run


class Dataset(Base):
    """A growing set of samples of one kind, cut by one recipe; ``shard`` is how many records a shard holds."""

    __tablename__ = "dataset"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), index=True)
    recipe: Mapped[dict[str, Any]] = mapped_column(Json)
    recipe_hash: Mapped[str] = mapped_column(String(64))
    shard: Mapped[int]
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class DatasetVersion(Base):
    """A published version; its id follows from its content alone."""

    __tablename__ = "dataset_version"
    __table_args__ = (Index("ix_dataset_version_number", "dataset", "number", unique=True),)

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(64), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    number: Mapped[int]
    version_id: Mapped[str] = mapped_column(String(32), index=True)
    parent: Mapped[int | None]
    run_id: Mapped[str] = mapped_column(String(16), index=True)
    uri: Mapped[str] = mapped_column(Text)
    records: Mapped[int] = mapped_column(BigInteger)
    live: Mapped[int] = mapped_column(BigInteger)
    added: Mapped[int] = mapped_column(BigInteger)
    groups: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    splits: Mapped[dict[str, int]] = mapped_column(Json)
    labels: Mapped[dict[str, int]] = mapped_column(Json)
    published: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def folder(self) -> str:
        """Where the version's files lie."""
        return self.uri.rsplit("/", 1)[0]


class GroupSplit(Base):
    """The split that a group was given once and for all."""

    __tablename__ = "group_split"

    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    group_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    split: Mapped[str] = mapped_column(String(32))
    stratum: Mapped[str] = mapped_column(String(255))
    version: Mapped[int]


class SourceRef(Base):
    """A product that a dataset has taken samples from, and how many it offered."""

    __tablename__ = "source_ref"

    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    product_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    uri: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(32))
    version: Mapped[int]
    offered: Mapped[int]
    taken: Mapped[int]


class GateResult(Base):
    """One quality gate of one build, passed or not."""

    __tablename__ = "gate_result"

    run_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int]
    passed: Mapped[bool]
    found: Mapped[float | None] = mapped_column(Double)
    limit: Mapped[float | None] = mapped_column(Double)
    offenders: Mapped[list[str]] = mapped_column(Json)


def candidates(kind: str, condition: str = "") -> list[ProductRow]:
    """Published products of ``kind`` made by completed runs that meet ``condition``, in an order that never changes."""
    from storage.query import run_field
    from storage.where import where

    wanted = (
        select(ProductRow)
        .join(Run, Run.id == ProductRow.run_id)
        .where(ProductRow.kind == kind, ProductRow.deleted.is_(None), Run.status == COMPLETED)
        .order_by(ProductRow.digest, ProductRow.published, ProductRow.id)
    )
    if condition:
        wanted = wanted.where(where(condition, run_field))
    with session() as s:
        rows = s.scalars(wanted).all()
    return list({row.digest: row for row in reversed(rows)}.values())[::-1]


def dataset(name: str) -> Dataset | None:
    """The dataset called ``name``, if it was ever built."""
    with session() as s:
        return s.get(Dataset, name)


def versions(name: str) -> Sequence[DatasetVersion]:
    """Versions of the dataset called ``name``, oldest first."""
    with session() as s:
        wanted = select(DatasetVersion).where(DatasetVersion.dataset == name)
        return s.scalars(wanted.order_by(DatasetVersion.number)).all()


def version(name: str) -> DatasetVersion:
    """The version meant by ``denoise`` (the newest), ``denoise/v002``, a version id, or its address."""
    dataset_name, _, number = name.partition("/v")
    with session() as s:
        wanted = select(DatasetVersion).order_by(DatasetVersion.number.desc()).limit(1)
        if number.isdecimal():
            where = (DatasetVersion.dataset == dataset_name) & (DatasetVersion.number == int(number))
        else:
            where = (
                (DatasetVersion.dataset == name) | (DatasetVersion.version_id == name) | (DatasetVersion.uri == name)
            )
        found = s.scalar(wanted.where(where))
    if found is None:
        raise BadInputError(
            f"there is no dataset version {name!r}; name one as `nightloom datasets ls` does, such as denoise/v001"
        )
    return found


def stored_splits(name: str) -> dict[str, str]:
    """The split of every group that a dataset ever had."""
    with session() as s:
        rows = s.execute(select(GroupSplit.group_key, GroupSplit.split).where(GroupSplit.dataset == name))
        return dict(rows.tuples().all())


def known_sources(name: str) -> dict[str, str]:
    """Digest by product id of everything that a dataset has taken samples from."""
    with session() as s:
        rows = s.execute(select(SourceRef.product_id, SourceRef.digest).where(SourceRef.dataset == name))
        return dict(rows.tuples().all())


def drawn_so_far(name: str) -> int:
    """Candidates that a dataset was ever offered: where its sequence of simulated draws goes on."""
    with session() as s:
        return s.scalar(select(func.sum(SourceRef.offered)).where(SourceRef.dataset == name)) or 0


def _diff(old: str, new: str) -> dict[str, Any]:
    """Show what changed between two versions, sample by sample."""
    from storage.dataset_files import compare

    return compare(version(old), version(new))


def _verify(name: str) -> dict[str, Any]:
    """Compare every file of a version with the checksum it was published with."""
    from storage.dataset_files import damaged

    wanted = version(name)
    wrong = damaged(wanted.folder)
    if wrong:
        raise BadInputError(
            f"{wanted.id}: {len(wrong)} files are missing or damaged, first {wrong[0]}; build the dataset again with force"
        )
    return {"version": wanted.id, "intact": True, "version_id": wanted.version_id, "uri": wanted.uri}


def _export(name: str, to: str, format: str = "webdataset") -> dict[str, Any]:
    """Write a version as `webdataset` (tar files) or `parquet` into a folder, or add it to an `icechunk` repository."""
    from storage.dataset_export import export

    wanted = version(name)
    return {"version": wanted.id, "format": format, "files": export(wanted.folder, to, format)}


LISTINGS = {
    "datasets": Listing(
        row=DatasetVersion,
        columns=("id", "kind", "version_id", "live", "added", "groups", "splits", "bytes", "published", "uri"),
        order="published",
        commands={"diff": _diff, "verify": _verify, "export": _export},
    ),
}
