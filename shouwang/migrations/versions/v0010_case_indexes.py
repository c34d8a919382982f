"""The queue's order as a column and an index, so that its first page reads sixty rows however many are open."""

import sqlalchemy as sa
from alembic import op

from core.derived import Derived

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_QUEUE_BY = (
    "CASE WHEN status IN ('closed', 'void', 'false_alarm', 'merged') THEN NULL "
    "WHEN status IN ('reported', 'verified', 'registered', 'dispatched') "
    "THEN coalesce(accept_by, arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'accepted' THEN coalesce(arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'on_scene' THEN coalesce(done_by, 9223372036854775807) "
    "ELSE 9223372036854775807 END"
)


def upgrade() -> None:
    op.add_column("ticket", sa.Column("queue_by", sa.BigInteger(), Derived(_QUEUE_BY), nullable=True))
    open_ones = sa.text("queue_by IS NOT NULL")
    op.create_index(
        "ix_ticket_queue_order",
        "ticket",
        [
            *(sa.text("priority DESC"), "queue_by", sa.text("severity DESC"), "id"),
            *("status", "source", "grid", "hazard", "team", "station"),
        ],
        sqlite_where=open_ones,
        postgresql_where=open_ones,
    )
    # at which sites a storm has alerts already
    op.drop_index("ix_alert_ticket", "alert")
    op.create_index("ix_alert_ticket_site", "alert", ["ticket", "site"])
