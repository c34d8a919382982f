"""What happened, for pages that follow along, and how far those who read it behind the desk's back have come."""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Integer, String, Table

from core.database import metadata

change_counter = Table(
    "change_counter",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1", name="single"), primary_key=True),
    Column("last", BigInteger, nullable=False),
)
"""Taken as a transaction's last statement, so that ids become visible in order and a page resumes without a gap."""

change = Table(
    "change",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(12), nullable=False),  # alert, ticket, notice
    Column("id_of", BigInteger, nullable=False),
    Column("what", JSON, nullable=False),
)

change_reader = Table(
    "change_reader",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("last", BigInteger, nullable=False),  # the id of the last change that it has done with
)
