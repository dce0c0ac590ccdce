"""The tables every workload shares: what ran, on what, what it made, and who is at work now.

What a workload adds (candidates, grasps, datasets) is declared in its own module beside this one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storage.database import Base, Json, PlainText, UtcDateTime

RUNNING, COMPLETED, FAILED, CANCELLED, INTERRUPTED = "running", "completed", "failed", "cancelled", "interrupted"


class Environment(Base):
    """The software a run used: the same for many runs, so stored once."""

    __tablename__ = "environment"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    python: Mapped[str] = mapped_column(String(32))
    platform: Mapped[str] = mapped_column(Text)
    lock_digest: Mapped[str | None] = mapped_column(String(64))
    packages: Mapped[dict[str, str]] = mapped_column(Json)


class Run(Base):
    """One execution of a flow. Runs of one ``key`` do the same work on the same input with the same code."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_key_status", "key", "status"),
        Index("ix_run_started", "started"),
        Index("ix_run_status_started", "status", "started"),
    )

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    flow: Mapped[str] = mapped_column(String(64), index=True)
    key: Mapped[str] = mapped_column(String(32))
    generation: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(String(16))
    params: Mapped[dict[str, Any]] = mapped_column(Json)
    seed: Mapped[int | None] = mapped_column(BigInteger)
    commit: Mapped[str | None] = mapped_column(String(40))
    dirty: Mapped[bool] = mapped_column(default=False)
    code_version: Mapped[str] = mapped_column(String(64))
    environment_id: Mapped[str | None] = mapped_column(ForeignKey("environment.id"))
    host: Mapped[str] = mapped_column(String(255))
    devices: Mapped[list[str]] = mapped_column(Json)
    flow_run_id: Mapped[str | None] = mapped_column(String(36), index=True)
    trigger: Mapped[str] = mapped_column(String(16))
    parent_id: Mapped[str | None] = mapped_column(String(16), index=True)
    started: Mapped[datetime] = mapped_column(UtcDateTime)
    ended: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seconds: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(Text)
    summary: Mapped[dict[str, Any] | None] = mapped_column(Json)

    inputs: Mapped[list["Input"]] = relationship(order_by="Input.role")
    stages: Mapped[list["Stage"]] = relationship(order_by="Stage.started")
    metrics: Mapped[list["Metric"]] = relationship(order_by="Metric.key")
    products: Mapped[list["ProductRow"]] = relationship(order_by="ProductRow.position")


class Input(Base):
    """What a run read: a file or a product, by content."""

    __tablename__ = "input"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    role: Mapped[str] = mapped_column(String(64))
    uri: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(32), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class Stage(Base):
    """One pass over the tiles of a run."""

    __tablename__ = "stage"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    name: Mapped[str] = mapped_column(String(128))
    status: Mapped[str] = mapped_column(String(16))
    tiles: Mapped[int]
    reused: Mapped[int] = mapped_column(default=0)
    retried: Mapped[int] = mapped_column(default=0)
    split: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    peak_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    busy_seconds: Mapped[float] = mapped_column(default=0.0)
    tile_shape: Mapped[list[int] | None] = mapped_column(Json)
    tile_seconds: Mapped[float | None]
    pieces: Mapped[int] = mapped_column(default=1, server_default="1")
    waited: Mapped[float | None]
    seconds: Mapped[float | None]
    started: Mapped[datetime] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)


class TileRow(Base):
    """The ledger: one finished tile of one stage. A run of the same key and generation takes it up where it stands."""

    __tablename__ = "tile"

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(String(128), primary_key=True)
    tile: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    digest: Mapped[str] = mapped_column(String(32))
    seconds: Mapped[float]
    peak_bytes: Mapped[int] = mapped_column(BigInteger)
    writes: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    record: Mapped[Any] = mapped_column(PlainText)
    finished: Mapped[datetime] = mapped_column(UtcDateTime)


class Metric(Base):
    """A number that a run measured; ``position`` tells the elements of a series (a band, an iteration) apart."""

    __tablename__ = "metric"
    __table_args__ = (UniqueConstraint("run_id", "key", "position"), Index("ix_metric_key_value", "key", "value"))

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"))
    key: Mapped[str] = mapped_column(String(128))
    position: Mapped[int] = mapped_column(default=-1)
    value: Mapped[float]
    unit: Mapped[str | None] = mapped_column(String(32))


class ProductRow(Base):
    """A published product. Readers take addresses from here and from nowhere else."""

    __tablename__ = "product"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    position: Mapped[int] = mapped_column(default=0)
    name: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(64), index=True)
    uri: Mapped[str] = mapped_column(Text, unique=True)
    digest: Mapped[str] = mapped_column(String(32), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    shape: Mapped[list[int] | None] = mapped_column(Json)
    dims: Mapped[list[str] | None] = mapped_column(Json)
    dtype: Mapped[str | None] = mapped_column(String(32))
    attrs: Mapped[dict[str, Any]] = mapped_column(Json)
    published: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    deleted: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Lineage(Base):
    """One product was made from another."""

    __tablename__ = "lineage"

    child_id: Mapped[str] = mapped_column(ForeignKey("product.id"), primary_key=True)
    parent_id: Mapped[str] = mapped_column(ForeignKey("product.id"), primary_key=True, index=True)


class Lease(Base):
    """Who is at work on a key now, and until when that is believed without a sign of life."""

    __tablename__ = "lease"

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(16))
    host: Mapped[str] = mapped_column(String(255))
    boot_id: Mapped[str] = mapped_column(String(64))
    pid: Mapped[int]
    process_started: Mapped[float]
    expires: Mapped[datetime] = mapped_column(UtcDateTime)
