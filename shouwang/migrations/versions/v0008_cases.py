"""Tickets with their classes, clocks, requests, acceptances, photos and numbers elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_QUEUE = [
    *("status", "priority", "source", "severity", "grid", "hazard", "team", "station"),
    *("accept_by", "arrive_by", "done_by"),
]


def upgrade() -> None:
    _ticket()
    _ticket_category()
    _ticket_class()
    _ticket_timer()
    _ticket_request()
    _ticket_acceptance()
    _photo()
    _outside_message()
    _person()
    _notice()
    _delivery()
    op.create_index(op.f("ix_link_expires_at"), "link", ["expires_at"])


def _ticket() -> None:
    with op.batch_alter_table("ticket") as batch:
        batch.add_column(sa.Column("source_system", sa.String(length=40), server_default="", nullable=False))
        batch.add_column(sa.Column("outside_number", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("reporter", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("reporter_phone", sa.String(length=32), server_default="", nullable=False))
        batch.add_column(sa.Column("description", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("component_code", sa.String(length=16), server_default="", nullable=False))
        batch.add_column(sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("storm", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("drill", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("acceptance", sa.String(length=8), server_default="first", nullable=False))
        batch.add_column(sa.Column("verified_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("registered_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("merged_into", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("suspended_from", sa.String(length=12), nullable=True))
        batch.add_column(sa.Column("resume_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("paused", sa.BigInteger(), server_default="0", nullable=False))
        batch.add_column(sa.Column("extensions", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("reworks", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("supervised_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("supervised_by", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("reply_by", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("replied_at", sa.BigInteger(), nullable=True))
        batch.drop_index("ix_ticket_queue")
        batch.create_index("ix_ticket_queue", _QUEUE)
        batch.create_index(
            "ix_ticket_holder",
            ["accepted_by", "status", "accepted_at"],
            sqlite_where=sa.text("accepted_by IS NOT NULL"),
            postgresql_where=sa.text("accepted_by IS NOT NULL"),
        )
        batch.create_index(
            "uq_ticket_outside",
            ["source_system", "outside_number"],
            unique=True,
            sqlite_where=sa.text("outside_number IS NOT NULL"),
            postgresql_where=sa.text("outside_number IS NOT NULL"),
        )


def _ticket_category() -> None:
    op.create_table(
        "ticket_category",
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("acceptance", sa.String(length=8), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.CheckConstraint("acceptance IN ('first', 'both')", name=op.f("ck_ticket_category_acceptance")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ticket_category")),
    )


def _ticket_class() -> None:
    op.create_table(
        "ticket_class",
        sa.Column("code", sa.String(length=8), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_ticket_class")),
    )


def _ticket_timer() -> None:
    op.create_table(
        "ticket_timer",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ticket", _ID, nullable=False),
        sa.Column("stage", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("clock", sa.String(length=12), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("paused", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_ticket_timer_ticket_ticket")),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'done', 'overdue', 'void')", name=op.f("ck_ticket_timer_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_timer")),
        sa.UniqueConstraint("ticket", "stage", "started_at", name=op.f("uq_ticket_timer_ticket_stage_started_at")),
    )
    with op.batch_alter_table("ticket_timer") as batch:
        batch.create_index(batch.f("ix_ticket_timer_state_due_at"), ["state", "due_at"])


def _ticket_request() -> None:
    op.create_table(
        "ticket_request",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ticket", _ID, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("opinion", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_ticket_request_ticket_ticket")),
        sa.CheckConstraint("kind IN ('extension', 'suspension')", name=op.f("ck_ticket_request_kind")),
        sa.CheckConstraint("state IN ('waiting', 'granted', 'refused', 'moot')", name=op.f("ck_ticket_request_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_request")),
    )
    with op.batch_alter_table("ticket_request") as batch:
        batch.create_index(
            "uq_ticket_request_waiting",
            ["ticket", "kind"],
            unique=True,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )


def _ticket_acceptance() -> None:
    op.create_table(
        "ticket_acceptance",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ticket", _ID, nullable=False),
        sa.Column("dispatched_at", sa.BigInteger(), nullable=False),
        sa.Column("party_kind", sa.String(length=8), nullable=False),
        sa.Column("party", sa.String(length=20), nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_ticket_acceptance_ticket_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_acceptance")),
        sa.UniqueConstraint(
            "ticket", "dispatched_at", "party_kind", name=op.f("uq_ticket_acceptance_ticket_dispatched_at_party_kind")
        ),
    )


def _photo() -> None:
    op.create_table(
        "photo",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ticket", _ID, nullable=False),
        sa.Column("stage", sa.String(length=12), nullable=False),
        sa.Column("who", sa.String(length=40), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("lng", sa.Float(), nullable=True),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(length=24), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_photo_ticket_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo")),
        sa.UniqueConstraint("ticket", "sha256", name=op.f("uq_photo_ticket_sha256")),
    )


def _outside_message() -> None:
    op.create_table(
        "outside_message",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outside_message")),
        sa.UniqueConstraint("system", "key", name=op.f("uq_outside_message_system_key")),
    )


def _person() -> None:
    with op.batch_alter_table("person") as batch:
        batch.add_column(sa.Column("quiet_hours", sa.String(length=11), server_default="", nullable=False))


def _notice() -> None:
    with op.batch_alter_table("notice") as batch:
        batch.add_column(sa.Column("delivered_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("receipt", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("instead_of", sa.BigInteger(), nullable=True))
        batch.create_index("ix_notice_attempt", ["attempt"])
        batch.create_index(
            "ix_notice_waiting",
            ["channel", "life_safety", "severity", "due_at"],
            sqlite_where=sa.text("state = 'queued'"),
            postgresql_where=sa.text("state = 'queued'"),
        )
        batch.create_index(
            "ix_notice_provider_id",
            ["provider_id"],
            sqlite_where=sa.text("provider_id <> ''"),
            postgresql_where=sa.text("provider_id <> ''"),
        )


def _delivery() -> None:
    with op.batch_alter_table("delivery") as batch:
        batch.add_column(sa.Column("notices", sa.Integer(), server_default="1", nullable=False))
