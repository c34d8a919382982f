"""Tables of escalation, live positions, routes and drills. Times µs UTC, positions WGS84 degrees."""

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.database import RowId, metadata

escalation = Table(
    "escalation",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True, autoincrement=False),
    Column(
        "state",
        String(10),
        CheckConstraint("state IN ('scheduled', 'waiting', 'over')", name="state"),
        nullable=False,
    ),
    Column("stage", String(12), nullable=False),  # what is missing: assign, accept, arrive, handle, check, reply
    Column("began_at", BigInteger, nullable=False),  # when the stage's clock started
    Column("step", Integer, nullable=False),  # of the policy's steps for the stage: the next one
    Column("next_at", BigInteger),  # null: nothing is due; `why` says why not
    Column("why", Text, nullable=False),
    Column("policy", JSON, nullable=False),  # snapshotted when the ticket was dispatched
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "state", "next_at"),
)
"""The next step of every ticket; one row for each that is live."""

escalation_run = Table(
    "escalation_run",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("stage", String(12), nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("step", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("ran_at", BigInteger, nullable=False),
    Column("did", String(12), nullable=False),  # notify, widen, repeat, skipped
    Column("told", Integer, nullable=False),  # notices queued
    Column("reason", Text, nullable=False),
    UniqueConstraint("ticket", "stage", "began_at", "step", "due_at"),
)
"""What escalation did, append-only: each step once."""

position = Table(
    "position",
    metadata,
    Column("person", ForeignKey("person.code"), primary_key=True, autoincrement=False),
    Column("lng", Float, nullable=False),
    Column("lat", Float, nullable=False),
    Column("accuracy", Float),  # metres
    Column("at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
)
"""Where a person's phone was last, with the person's consent; only the newest is kept."""

route = Table(
    "route",
    metadata,
    Column("from_kind", String(8), primary_key=True),  # station, team
    Column("from_code", String(20), primary_key=True),
    Column("site", String(40), primary_key=True),
    Column("metres", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("service", Text, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
)
"""What a routing service said of the way to a site; asked ahead, as no alert waits for one."""

drill = Table(
    "drill",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("teams", JSON, nullable=False),  # codes of teams and stations; [] = all
    Column("schedule", JSON, nullable=False),  # {"days": [1…7], "at": "10:00"} local; {} = only by hand
    Column("window", BigInteger, nullable=False),  # µs in which an answer counts
    Column("owner", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_at", BigInteger),
    Column("retired", Integer, nullable=False),
)

drill_run = Table(
    "drill_run",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("drill", ForeignKey("drill.id"), nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("ticket", BigInteger),
    Column("report", JSON),
    Index(None, "drill", "began_at"),
    Index(None, "ended_at"),
)

drill_call = Table(
    "drill_call",
    metadata,
    Column("run", ForeignKey("drill_run.id"), primary_key=True, autoincrement=False),
    Column("person", String(20), primary_key=True),
    Column("replied_at", BigInteger),
)
"""Who was called by a drill and when they answered; the notices say on which channel they were reached."""
