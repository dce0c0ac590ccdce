"""The table of grasp synthesis."""

import sqlalchemy as sa
from alembic import op

revision = "grasp0001"
down_revision = None
branch_labels = ("grasp",)
depends_on = "core0001"


def upgrade() -> None:
    op.create_table(
        "grasp_summary",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("run_id", sa.String(16), nullable=False),
        sa.Column("product_id", sa.String(16), nullable=False),
        sa.Column("hand", sa.String(64), nullable=False),
        sa.Column("object", sa.String(128), nullable=False),
        sa.Column("test", sa.String(16), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("success", sa.Double(), nullable=True),
        sa.Column("success_low", sa.Double(), nullable=True),
        sa.Column("success_high", sa.Double(), nullable=True),
        sa.Column("clean", sa.Double(), nullable=True),
        sa.Column("penetration_mm", sa.Double(), nullable=True),
        sa.Column("self_penetration_mm", sa.Double(), nullable=True),
        sa.Column("filter_yield", sa.Double(), nullable=False),
        sa.Column("filter_success", sa.Double(), nullable=True),
        sa.Column("diversity", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_grasp_summary_product", "grasp_summary", ["product_id"])
    op.create_index("ix_grasp_summary_run_id", "grasp_summary", ["run_id"])


def downgrade() -> None:
    op.drop_table("grasp_summary")
