"""Products are listed newest first: an index, so that a page of a long history does not sort all of it."""

from alembic import op

revision = "core0005"
down_revision = "core0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_product_published", "product", ["published"])


def downgrade() -> None:
    op.drop_index("ix_product_published", "product")
