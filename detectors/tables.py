"""The rules in force, by version; a detection names the version that made it."""

from sqlalchemy import BigInteger, Column, Integer, Table, Text

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
