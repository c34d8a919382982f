"""How far those who read the event table behind the desk's back have come."""

from sqlalchemy import BigInteger, Column, String, Table

from core.database import metadata

change_reader = Table(
    "change_reader",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("last", BigInteger, nullable=False),  # the id of the last change that it has done with
)
