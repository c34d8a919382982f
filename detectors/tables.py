"""The rules in force, by version; a detection names the version that made it. What was edited, tried and proposed."""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text, text

from core.database import metadata

rules_version = Table(
    "rules_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False),  # SHA-256 of content
    Column("content", Text, nullable=False),  # all packs and overrides as one JSON text
    Column("created_at", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

rules_sheet = Table(
    "rules_sheet",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("text", Text, nullable=False),  # a rule pack as YAML; empty: withdrawn
    Column("at", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "name"),
)
"""The town's own rules and overrides beside the files, one row an edit: of each name the newest is in force."""

backtest = Table(
    "backtest",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("asked_at", BigInteger, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("text", Text, nullable=False),  # the rule pack to try beside those in force
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("sites", JSON, nullable=False),  # codes; empty: the whole town
    Column(
        "state",
        String(12),
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="state"),
        nullable=False,
    ),
    Column("owner", Text, nullable=False, default=""),  # the process that runs it
    Column("begun_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("progress", Integer, nullable=False, default=0),  # %
    Column("result", JSON),
    Column("error", Text, nullable=False, default=""),
    Index(None, "state"),
)
"""Rules tried on what is stored, on request."""

rule_proposal = Table(
    "rule_proposal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("rule", Text, nullable=False),
    Column("scope_kind", String(12), nullable=False),  # rule, site or device
    Column("scope", Text, nullable=False),
    Column("change", JSON, nullable=False),  # the override's fields
    Column("why", JSON, nullable=False),  # the labels that it comes from
    Column("backtest", ForeignKey("backtest.id")),
    Column(
        "state",
        String(12),
        CheckConstraint("state IN ('proposed', 'accepted', 'dismissed', 'superseded')", name="state"),
        nullable=False,
    ),
    Column("made_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", Text, nullable=False, default=""),
    Column("opinion", Text, nullable=False, default=""),
    Index(None, "rule", "state"),
    Index(  # one open proposal a scope, whoever makes it
        "uq_rule_proposal_open",
        *("rule", "scope_kind", "scope"),
        unique=True,
        sqlite_where=text("state = 'proposed'"),
        postgresql_where=text("state = 'proposed'"),
    ),
)
"""Changes of rules that the false alarms speak for; only a person applies one."""
