"""Gateways that are shut out, and what each gateway has sent."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTS = ("messages", "readings", "qos0_readings", "shed_messages", "rejected_messages", "updated_at")


def upgrade() -> None:
    with op.batch_alter_table("gateway") as batch:
        batch.add_column(sa.Column("disabled_at", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("disabled_why", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "gateway_report",
        sa.Column("gateway", sa.String(length=40), nullable=False),
        sa.Column("last_received_at", sa.BigInteger(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("clock_off_s", sa.Float(), nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("gateway", name=op.f("pk_gateway_report")),
    )
