"""What a stage's tiles cost and in how many pieces they fitted: the experience that plans are made from."""

import sqlalchemy as sa
from alembic import op

from storage.database import Json

revision = "core0003"
down_revision = "core0002"
branch_labels = None
depends_on = None

COLUMNS = ("tile_shape", "tile_seconds", "pieces")


def upgrade() -> None:
    op.add_column("stage", sa.Column("tile_shape", Json, nullable=True))
    op.add_column("stage", sa.Column("tile_seconds", sa.Double(), nullable=True))
    op.add_column("stage", sa.Column("pieces", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("stage", name)
