"""One transaction at a time changes alerts and tickets, on either database."""

from typing import Any

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite

_DESK = 0x5357_4445  # any number that no other advisory lock of this database uses


def hold_desk(connection: Connection) -> None:
    """Wait until no other transaction changes alerts or tickets, and keep it so to the end of this one.

    SQLite's write transaction is that already. On PostgreSQL an advisory lock does it: two consumers that decide at
    once which ticket an alert joins would otherwise both make one, and row locks taken in two orders would deadlock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:desk)"), {"desk": _DESK})


def insert_or(database: Connection | str, table: Table) -> Any:
    """The INSERT that knows ON CONFLICT, of a connection's dialect or of the dialect of that name."""
    name = database if isinstance(database, str) else database.dialect.name
    return postgresql.insert(table) if name == "postgresql" else sqlite.insert(table)
