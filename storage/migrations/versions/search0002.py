"""Which candidate an injected pulse became, and which point of which Sobol sequence it was."""

import sqlalchemy as sa
from alembic import op

revision = "search0002"
down_revision = "search0001"
branch_labels = None
depends_on = None

COLUMNS = {"candidate_id": sa.String(16), "seed": sa.Integer(), "sobol_index": sa.Integer()}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("injection", sa.Column(name, kind, nullable=True))
    op.create_index("ix_injection_candidate_id", "injection", ["candidate_id"])


def downgrade() -> None:
    op.drop_index("ix_injection_candidate_id", "injection")
    for name in COLUMNS:
        op.drop_column("injection", name)
