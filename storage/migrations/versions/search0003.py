"""Candidates are sorted by any column that people look at, also when there are a million of them."""

from alembic import op

revision = "search0003"
down_revision = "search0002"
branch_labels = None
depends_on = None

SORTED = ("dm", "width_s", "time_s", "mjd", "ra_deg", "dec_deg", "false_alarm_probability", "known_source")


def upgrade() -> None:
    for name in SORTED:
        op.create_index(f"ix_candidate_{name}", "candidate", [name])


def downgrade() -> None:
    for name in SORTED:
        op.drop_index(f"ix_candidate_{name}", "candidate")
