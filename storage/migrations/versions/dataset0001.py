"""The tables of dataset construction."""

import sqlalchemy as sa
from alembic import op

from storage.database import Json, UtcDateTime

revision = "dataset0001"
down_revision = None
branch_labels = ("dataset",)
depends_on = "core0001"


def upgrade() -> None:
    op.create_table(
        "dataset",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("recipe", Json, nullable=False),
        sa.Column("recipe_hash", sa.String(64), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_dataset_kind", "dataset", ["kind"])

    op.create_table(
        "dataset_version",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.String(16), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.BigInteger(), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("groups", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("splits", Json, nullable=False),
        sa.Column("labels", Json, nullable=False),
        sa.Column("published", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_dataset_version_dataset", "dataset_version", ["dataset"])
    op.create_index("ix_dataset_version_number", "dataset_version", ["dataset", "number"], unique=True)
    op.create_index("ix_dataset_version_run_id", "dataset_version", ["run_id"])
    op.create_index("ix_dataset_version_version_id", "dataset_version", ["version_id"])

    op.create_table(
        "gate_result",
        sa.Column("run_id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("found", sa.Double(), nullable=True),
        sa.Column("limit", sa.Double(), nullable=True),
        sa.Column("offenders", Json, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name"),
    )
    op.create_index("ix_gate_result_dataset", "gate_result", ["dataset"])

    op.create_table(
        "group_split",
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("group_key", sa.String(255), nullable=False),
        sa.Column("split", sa.String(32), nullable=False),
        sa.Column("stratum", sa.String(255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "group_key"),
    )

    op.create_table(
        "source_ref",
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("product_id", sa.String(16), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("offered", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "product_id"),
    )


def downgrade() -> None:
    for table in ("source_ref", "group_split", "gate_result", "dataset_version", "dataset"):
        op.drop_table(table)
