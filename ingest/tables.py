"""Dead letters: what the gate refused, kept in full up to a limit an hour and counted beyond it."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from core.database import RowId, metadata

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("journal_n", BigInteger, nullable=False, unique=True),
    Column("gateway", String(64), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("readings", Integer, nullable=False, default=0),
    Column("retained", Boolean, nullable=False, default=False),
    Column("replay_asked_at", BigInteger),
    Column("replayed_at", BigInteger),
    Index(None, "gateway", "reason", "received_at"),
)

reject_count = Table(
    "reject_count",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("gateway", String(64), primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("messages", Integer, nullable=False),
    Column("readings", Integer, nullable=False),
)
"""Every reject, by hour (µs UTC of its start), gateway and reason."""

applied = Table(
    "applied",
    metadata,
    Column("consumer", String(32), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("n", BigInteger, nullable=False),
)
"""How far into the journal a consumer's effects in this database reach; committed with those effects."""

gateway_report = Table(
    "gateway_report",
    metadata,
    Column("gateway", String(40), primary_key=True),
    Column("last_received_at", BigInteger),
    Column("online", Boolean),
    Column("clock_off_s", Float),
    Column("messages", BigInteger, nullable=False),
    Column("readings", BigInteger, nullable=False),
    Column("qos0_readings", BigInteger, nullable=False),
    Column("shed_messages", BigInteger, nullable=False),
    Column("rejected_messages", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""What each gateway has sent since its row began."""
