"""Tables of what keeps alerts from paging: shelves, silences, maintenance windows, and storms. Times µs UTC."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from core.database import RowId, metadata

quiet = Table(
    "quiet",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("kind", String(8), CheckConstraint("kind IN ('shelf', 'silence', 'window')", name="kind"), nullable=False),
    Column("matchers", JSON, nullable=False),  # all must hold: [{"label", "op": "=" | "!=" | "in", "value"}]
    Column("one_shot", Boolean, nullable=False),  # a shelf that ends when its alert clears
    Column("life_safety", Boolean, nullable=False),  # holds life-safety alerts too
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column(
        "schedule", JSON, nullable=False
    ),  # a window's weekly hours, local: {"days": [1…7], "from": "22:00", "to": …}
    Column("owner", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),  # before its time
    Column("ended_by", String(40)),
    Column("ended_why", String(24), nullable=False),  # by_hand, cleared, superseded; "" while it holds
    CheckConstraint("ends_at > starts_at", name="span"),
    CheckConstraint("reason <> ''", name="reason"),
    Index(None, "ends_at"),
)
"""A shelf holds one subject's rule, a silence what its matchers say, a window the same at hours that come again."""

storm = Table(
    "storm",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("hazard", String(24), nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),  # of its newest alert
    Column("ended_at", BigInteger),
    Column("ticket", BigInteger),
    Column("sites", Integer, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("why", JSON, nullable=False),  # the counts and limits by which it was declared
    Index(
        "uq_storm_open",
        "hazard",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)
"""Many sites at once: one incident ticket for what is no matter of life and safety."""
