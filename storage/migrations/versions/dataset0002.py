"""Samples one by one, and those that were left out because the dataset had the like of them."""

import sqlalchemy as sa
from alembic import op

revision = "dataset0002"
down_revision = "dataset0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sample",
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=True),
        sa.Column("split", sa.String(32), nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("group_key", sa.String(255), nullable=False),
        sa.Column("stratum", sa.String(255), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("content", sa.String(32), nullable=False),
        sa.Column("product_id", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "id"),
    )
    op.create_index("ix_sample_product_id", "sample", ["product_id"])
    op.create_table(
        "dup_edge",
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("sample", sa.String(32), nullable=False),
        sa.Column("kept", sa.String(32), nullable=False),
        sa.Column("distance", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "sample"),
    )
    op.create_index("ix_dup_edge_kept", "dup_edge", ["kept"])


def downgrade() -> None:
    for table in ("dup_edge", "sample"):
        op.drop_table(table)
