"""Tables around a ticket: its classes and their edits, clocks, requests, photos. Times µs UTC, positions WGS84."""

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from alerts.tables import ticket
from core.database import RowId, metadata

ticket_category = Table(
    "ticket_category",
    metadata,
    Column("name", String(24), primary_key=True),  # as tickets and rules write it: 安全生产
    Column("name_en", Text, nullable=False),
    Column(
        "acceptance", String(8), CheckConstraint("acceptance IN ('first', 'both')", name="acceptance"), nullable=False
    ),
    Column("place", Integer, nullable=False),  # in lists
    Column("retired", Integer, nullable=False),
)
"""The categories of cases; `acceptance`: whoever accepts first has it, or the team and the station both must."""

ticket_class = Table(
    "ticket_class",
    metadata,
    Column("code", String(8), primary_key=True),  # C01, C01-02 of components (部件), E01-04 of events (事件)
    Column("name", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("retired", Integer, nullable=False),
)

desk_edit = Table(
    "desk_edit",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String(40), nullable=False),  # an account or person code
    Column("what", String(12), nullable=False),  # category, class
    Column("code", String(24), nullable=False),
    Column("before", JSON(none_as_null=True)),  # null: it is new
    Column("after", JSON, nullable=False),
)
"""Append-only: one row an edit of the tables above, in the edit's own transaction."""

ticket_timer = Table(
    "ticket_timer",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("stage", String(12), nullable=False),  # verify, register, accept, arrive, handle, check, reply
    Column(
        "state",
        String(8),
        CheckConstraint("state IN ('running', 'paused', 'done', 'overdue', 'void')", name="state"),
        nullable=False,
    ),
    Column("clock", String(12), nullable=False),  # running 紧急工作时, hours 工作时, days 工作日, natural 自然日
    Column("started_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),  # null: nothing is demanded, the time is only measured
    Column("paused_at", BigInteger),
    Column("paused", BigInteger, nullable=False),  # µs of pauses that are over
    Column("ended_at", BigInteger),
    Column("rule", Text, nullable=False),
    UniqueConstraint("ticket", "stage", "started_at"),
    Index(None, "state", "due_at"),
)
"""One stage of one ticket; `overdue` stays when it ends after its time, `void` is one that a return or merge undid."""

ticket_request = Table(
    "ticket_request",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("kind", String(12), CheckConstraint("kind IN ('extension', 'suspension')", name="kind"), nullable=False),
    Column("asked_by", String(40), nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", BigInteger),  # of a suspension
    Column(
        "state",
        String(8),
        CheckConstraint("state IN ('waiting', 'granted', 'refused', 'moot')", name="state"),
        nullable=False,
    ),
    Column("decided_by", String(40)),
    Column("decided_at", BigInteger),
    Column("opinion", Text, nullable=False),
    Index(
        "uq_ticket_request_waiting",
        "ticket",
        "kind",
        unique=True,
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
)
"""An extension (延期) or suspension (挂账) that somebody asked for, and what was decided."""

ticket_acceptance = Table(
    "ticket_acceptance",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("dispatched_at", BigInteger, nullable=False),
    Column("party_kind", String(8), nullable=False),  # team, station, desk
    Column("party", String(20), nullable=False),
    Column("person", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("ticket", "dispatched_at", "party_kind"),
)
"""Who of the team and who of the station has accepted a ticket as it was dispatched then."""

photo = Table(
    "photo",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("stage", String(12), nullable=False),  # the ticket's status when it came
    Column("who", String(40), nullable=False),
    Column("taken_at", BigInteger),  # by the phone's clock
    Column("received_at", BigInteger, nullable=False),
    Column("lng", Float),
    Column("lat", Float),
    Column("note", Text, nullable=False),
    Column("media_type", String(24), nullable=False),  # image/jpeg, image/png, image/webp
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("ticket", "sha256"),
)

outside_message = Table(
    "outside_message",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("system", String(40), nullable=False),
    Column("key", String(80), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("ticket", BigInteger),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    UniqueConstraint("system", "key"),
)
"""What another platform sent and what it was answered: the same key gets the same answer and has no second effect."""

Index(
    "ix_ticket_queue_order",
    *(ticket.c.priority.desc(), ticket.c.queue_by, ticket.c.severity.desc(), ticket.c.id),
    *(ticket.c[name] for name in ("status", "source", "grid", "hazard", "team", "station")),
    sqlite_where=text("queue_by IS NOT NULL"),
    postgresql_where=text("queue_by IS NOT NULL"),
)
"""The queue in its order, with all that filters it."""
