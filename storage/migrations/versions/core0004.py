"""Which part of a stage's time its devices waited for data."""

import sqlalchemy as sa
from alembic import op

revision = "core0004"
down_revision = "core0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stage", sa.Column("waited", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("stage", "waited")
