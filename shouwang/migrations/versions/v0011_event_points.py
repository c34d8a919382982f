"""How far the events have been written to the readings store; alerts and the moves of tickets by their time."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "change_reader",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_change_reader")),
    )
    with op.batch_alter_table("ticket_log") as batch:
        batch.create_index(batch.f("ix_ticket_log_at"), ["at"])
    with op.batch_alter_table("alert") as batch:
        batch.create_index(batch.f("ix_alert_opened_at"), ["opened_at"])
