"""What people decided about rows."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime

revision = "labels0001"
down_revision = None
branch_labels = ("labels",)
depends_on = "core0001"


def upgrade() -> None:
    op.create_table(
        "label",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("listing", sa.String(length=64), nullable=False),
        sa.Column("row_id", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("decided", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_label_row", "label", ["listing", "row_id"])


def downgrade() -> None:
    op.drop_table("label")
