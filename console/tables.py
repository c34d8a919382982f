"""Accounts that sign in to the console and their sessions. Times µs UTC."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, String, Table, Text

from core.database import metadata

account = Table(
    "account",
    metadata,
    Column("username", String(40), primary_key=True),
    Column("person", ForeignKey("person.code")),  # null: acts under the username
    Column(
        "role",
        String(12),
        CheckConstraint("role IN ('dispatcher', 'patroller', 'admin')", name="role"),
        nullable=False,
    ),
    Column("password_hash", Text, nullable=False),  # argon2
    Column("must_change", Boolean, nullable=False, default=False),  # a one-time password
    Column("locale", String(2), nullable=False, default="zh"),
    Column("created_at", BigInteger, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256 of the cookie's random token
    Column("account", ForeignKey("account.username"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
