"""What people said of the warnings of the models of normal, and what the models say of themselves."""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, text

from core.database import RowId, metadata

anomaly_label = Table(
    "anomaly_label",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("alert", ForeignKey("alert.id"), nullable=False),
    Column("device", String(64), nullable=False),
    Column("metric", String(64), nullable=False),
    Column("verdict", String(8), CheckConstraint("verdict IN ('false', 'real')", name="verdict"), nullable=False),
    Column("who", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
    Column("withdrawn_by", String(40)),
    Index(
        "uq_anomaly_label_stands",
        "alert",
        unique=True,
        sqlite_where=text("withdrawn_at IS NULL"),
        postgresql_where=text("withdrawn_at IS NULL"),
    ),
)

anomaly_view = Table(
    "anomaly_view",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1", name="single"), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("body", JSON, nullable=False),
)
"""The newest word of the models, for pages that other processes serve."""
