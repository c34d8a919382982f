"""What a process does once instead of for each test: it is worked out anew in real life too, but only at a start."""

from functools import cache
from typing import Any

import httpx
import pytest
import sqlalchemy
from httpx._transports import default as transports
from sqlalchemy import Connection, Dialect, Engine, event, inspect

from core import database


def share_certificates(patch: pytest.MonkeyPatch) -> None:
    """Clients of the same certificates share them: the world's are read once, not for each client."""
    patch.setattr(transports, "create_ssl_context", cache(httpx.create_ssl_context))


def share_statements(patch: pytest.MonkeyPatch) -> None:
    """Engines of the same kind of database share their dialect and its compiled statements, as one engine does.

    The first that has connected gives them: its dialect has asked what the server can.
    """
    known: dict[str, tuple[Dialect, Any]] = {}

    def create_engine(url: str, **options: Any) -> Engine:
        engine = sqlalchemy.create_engine(url, query_cache_size=5000, **options)
        if engine.name in known:
            engine.dialect, engine._compiled_cache = known[engine.name]
            return engine

        @event.listens_for(engine, "engine_connect", once=True)
        def connected(_: Connection) -> None:
            known.setdefault(engine.name, (engine.dialect, engine._compiled_cache))

        return engine

    patch.setattr(database, "create_engine", create_engine)


def share_migrations(patch: pytest.MonkeyPatch) -> None:
    """An empty SQLite database is given at once what the first one was migrated to; migrating has tests of its own."""
    from shouwang import wiring

    ensure_schema, made = wiring.ensure_schema, list[str]()

    def ensure_once(engine: Engine) -> None:
        with database.writing(engine) as connection:
            empty = engine.name == "sqlite" and not inspect(connection).get_table_names()
            for statement in made if empty else ():
                connection.exec_driver_sql(statement)
        ensure_schema(engine)
        if empty and not made:
            with database.reading(engine) as connection:
                dumped: Any = connection.connection.driver_connection
                made.extend(line for line in dumped.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;"))

    patch.setattr(wiring, "ensure_schema", ensure_once)
