"""The tables of the transient search."""

import sqlalchemy as sa
from alembic import op

revision = "search0001"
down_revision = None
branch_labels = ("search",)
depends_on = "core0001"


def upgrade() -> None:
    op.create_table(
        "candidate",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("run_id", sa.String(16), nullable=False),
        sa.Column("product_id", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("snr", sa.Double(), nullable=False),
        sa.Column("trial_snr", sa.Double(), nullable=False),
        sa.Column("false_alarm_probability", sa.Double(), nullable=False),
        sa.Column("time_s", sa.Double(), nullable=False),
        sa.Column("mjd", sa.Double(), nullable=True),
        sa.Column("ref_freq_mhz", sa.Double(), nullable=False),
        sa.Column("dm", sa.Double(), nullable=False),
        sa.Column("width_s", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("ra_deg", sa.Double(), nullable=True),
        sa.Column("dec_deg", sa.Double(), nullable=True),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("known_source", sa.String(128), nullable=True),
        sa.Column("separation_arcsec", sa.Double(), nullable=True),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("cutouts", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_candidate_snr", "candidate", ["snr"])
    op.create_index("ix_candidate_product", "candidate", ["product_id"])
    op.create_index("ix_candidate_run_id", "candidate", ["run_id"])

    op.create_table(
        "exposure",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("run_id", sa.String(16), nullable=False),
        sa.Column("product_id", sa.String(16), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("n_pixel", sa.Integer(), nullable=False),
        sa.Column("area_deg2", sa.Double(), nullable=True),
        sa.Column("ra_deg", sa.Double(), nullable=True),
        sa.Column("dec_deg", sa.Double(), nullable=True),
        sa.Column("mjd", sa.Double(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("dm_max", sa.Double(), nullable=False),
        sa.Column("width_max_s", sa.Double(), nullable=False),
        sa.Column("dt_s", sa.Double(), nullable=False),
        sa.Column("noise", sa.Double(), nullable=False),
        sa.Column("units", sa.String(32), nullable=False),
        sa.Column("n_channel", sa.Integer(), nullable=False),
        sa.Column("flagged_fraction", sa.Double(), nullable=False),
        sa.Column("n_candidate", sa.Integer(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_exposure_run_id", "exposure", ["run_id"])
    op.create_index("ix_exposure_product_id", "exposure", ["product_id"])

    op.create_table(
        "injection",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("run_id", sa.String(16), nullable=False),
        sa.Column("product_id", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("time_s", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("dm", sa.Double(), nullable=False),
        sa.Column("width_s", sa.Double(), nullable=False),
        sa.Column("scattering_s", sa.Double(), nullable=False),
        sa.Column("spectral_index", sa.Double(), nullable=False),
        sa.Column("fluence", sa.Double(), nullable=False),
        sa.Column("ideal_snr", sa.Double(), nullable=False),
        sa.Column("found", sa.Boolean(), nullable=False),
        sa.Column("snr", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_injection_run_id", "injection", ["run_id"])
    op.create_index("ix_injection_product_id", "injection", ["product_id"])


def downgrade() -> None:
    for table in ("injection", "exposure", "candidate"):
        op.drop_table(table)
