"""What is said of the warnings of the models of normal, and what the models say of themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "anomaly_label",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("alert", _ID, nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("who", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_by", sa.String(length=40), nullable=True),
        sa.CheckConstraint("verdict IN ('false', 'real')", name=op.f("ck_anomaly_label_verdict")),
        sa.ForeignKeyConstraint(["alert"], ["alert.id"], name=op.f("fk_anomaly_label_alert_alert")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anomaly_label")),
    )
    stands = sa.text("withdrawn_at IS NULL")
    op.create_index(
        "uq_anomaly_label_stands",
        "anomaly_label",
        ["alert"],
        unique=True,
        sqlite_where=stands,
        postgresql_where=stands,
    )
    op.create_table(
        "anomaly_view",
        sa.Column("one", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_anomaly_view_single")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_anomaly_view")),
    )
