"""Runs of one status, newest first, without sorting them all."""

from alembic import op

revision = "core0002"
down_revision = "core0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_run_status", table_name="run")
    op.create_index("ix_run_status_started", "run", ["status", "started"])


def downgrade() -> None:
    op.drop_index("ix_run_status_started", table_name="run")
    op.create_index("ix_run_status", "run", ["status"])
