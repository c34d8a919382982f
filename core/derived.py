"""Columns that the database works out by itself, on either engine."""

from typing import Any

from sqlalchemy import Computed
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler


class Derived(Computed):
    """A column that the database works out from others of its row: stored in PostgreSQL, made as it is read in SQLite.

    SQLite adds a column to a table with rows in no other way.
    """


@compiles(Derived, "postgresql")
def _stored(element: Derived, compiler: DDLCompiler, **_: Any) -> str:
    return f"GENERATED ALWAYS AS ({compiler.sql_compiler.process(element.sqltext, literal_binds=True)}) STORED"
