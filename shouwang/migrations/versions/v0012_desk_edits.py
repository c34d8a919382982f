"""The edits of categories and class codes; the desk's own clock in the order of the queue."""

import sqlalchemy as sa
from alembic import op

from core.derived import Derived

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_QUEUE_BY = (
    "CASE WHEN status IN ('closed', 'void', 'false_alarm', 'merged') THEN NULL "
    "WHEN status IN ('reported', 'verified', 'registered') "
    "THEN coalesce(desk_by, accept_by, arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'dispatched' THEN coalesce(accept_by, arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'accepted' THEN coalesce(arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'on_scene' THEN coalesce(done_by, 9223372036854775807) "
    "WHEN status IN ('handled', 'checked') THEN coalesce(desk_by, 9223372036854775807) "
    "ELSE 9223372036854775807 END"
)
_DESK_BY = (
    "UPDATE ticket SET desk_by = (SELECT min(due_at) FROM ticket_timer WHERE ticket_timer.ticket = ticket.id "
    "AND ended_at IS NULL AND paused_at IS NULL AND stage IN ('verify', 'register', 'assign', 'check')) "
    "WHERE status IN ('reported', 'verified', 'registered', 'handled', 'checked')"
)


def upgrade() -> None:
    _desk_edit()
    _queue_order()


def _desk_edit() -> None:
    op.create_table(
        "desk_edit",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=40), nullable=False),
        sa.Column("what", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=24), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_edit")),
    )


def _queue_order() -> None:
    op.add_column("ticket", sa.Column("desk_by", sa.BigInteger(), nullable=True))
    op.execute(sa.text(_DESK_BY))
    op.drop_index("ix_ticket_queue_order", "ticket")
    op.drop_column("ticket", "queue_by")
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
