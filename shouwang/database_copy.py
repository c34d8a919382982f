"""The whole database as one SQLite file, from SQLite or PostgreSQL as it runs, and back into either.

One form for both, so that a backup is read with any SQLite, goes from one database to the other, and an older one is
brought up by the migrations before it replaces anything. Values cross as the columns keep them: JSON stays its text.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import JSON, Boolean, Connection, Engine, Inspector, inspect, make_url, text
from sqlalchemy.sql import quoted_name

from core.database import metadata, open_engine, reading, writing
from shouwang.migrate import SchemaRefused, Standing, alembic_config, migrate, schema_of, schema_state

VERSION_TABLE = "alembic_version"
_ROWS = 2_000  # at once
_PAGES = -1  # all in one step: one consistent read, which no writer can make begin anew


class CopyRefused(Exception):
    """A database that can't be copied, or a copy that is not whole; the text says what to do."""


def copy_out(engine: Engine, file: Path) -> str:
    """Write the database as it is at one moment to a new SQLite file, while others write; its schema revision.

    Raises SchemaRefused for a database that this program does not know, CopyRefused for one that is damaged.
    """
    if engine.dialect.name == "sqlite":
        refuse_unknown(engine)
        _back_up(Path(str(make_url(str(engine.url)).database)), file)
        found = sqlite_revision(file)
    else:
        with reading(engine) as connection:  # REPEATABLE READ: one snapshot for all tables
            found = _known_revision(connection)
            _empty_file(file, found)
            _fill_file(connection, file)
    check_file(file)
    return found


def refuse_unknown(engine: Engine) -> None:
    """Raise SchemaRefused for a database that is empty, newer than this program or without a version."""
    schema = schema_state(engine)
    if schema.standing not in (Standing.CURRENT, Standing.OLDER):
        raise SchemaRefused(schema)


def copy_in(file: Path, connection: Connection) -> None:
    """Replace all tables of a PostgreSQL database by those of a file, of the same schema, in its transaction."""
    _drop_all(connection)
    command.upgrade(alembic_config(connection), sqlite_revision(file))
    present = set(inspect(connection).get_table_names())
    names = [table.name for table in metadata.sorted_tables if table.name in present]
    for name in reversed(names):
        connection.execute(text(f"DELETE FROM {_quoted(name)}"))  # what migrations put there
    with closing(sqlite3.connect(file)) as source:
        for name in names:
            _load(connection, source, name)
    _set_sequences(connection, names)


def upgrade_file(file: Path) -> None:
    """Bring a file to this program's schema by the migrations. Raises SchemaRefused."""
    engine = open_engine(f"sqlite:///{file}")
    try:
        migrate(engine)
    finally:
        engine.dispose()
    single_file(file)


def single_file(file: Path) -> None:
    """Fold a file's write-ahead log into it, so that it can be moved alone."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()


def check_file(file: Path) -> None:
    """Raise CopyRefused for a file whose pages, indexes or references don't hold together."""
    with closing(sqlite3.connect(file)) as connection:
        try:
            wrong = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
            astray = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
        except sqlite3.DatabaseError as error:
            wrong, astray = [str(error)], []
    if wrong or astray:
        told = "; ".join([*wrong, *(f"{row[0]} row {row[1]} refers to no {row[2]}" for row in astray)])
        raise CopyRefused(
            f"数据库已损坏（{told}）：请恢复较早的备份。\nThe database is damaged ({told}): restore an earlier backup."
        )


def sqlite_revision(file: Path) -> str:
    """The schema revision of a SQLite file; empty without one."""
    with closing(sqlite3.connect(file)) as connection:
        try:
            row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
        except sqlite3.DatabaseError:
            return ""
    return str(row[0]) if row else ""


def _back_up(source: Path, file: Path) -> None:
    with closing(sqlite3.connect(source)) as opened, closing(sqlite3.connect(file)) as copy:
        try:
            opened.backup(copy, pages=_PAGES)
        except sqlite3.DatabaseError as error:
            if "disk is full" in str(error):
                raise CopyRefused(
                    f"{file.parent} 所在的磁盘满了，没有写成备份：请清理，或换一个目录（backup.folder 或 --to）。\n"
                    f"The disk of {file.parent} is full, no backup was written: free some, or choose another folder "
                    "with --to."
                ) from error
            raise CopyRefused(
                f"数据库 {source} 读不出来（{error}）。\nThe database {source} can't be read ({error})."
            ) from error
    single_file(file)


def _known_revision(connection: Connection) -> str:
    schema = schema_of(connection)
    if schema.standing not in (Standing.CURRENT, Standing.OLDER):
        raise SchemaRefused(schema)
    return str(schema.revision)


def _empty_file(file: Path, revision: str) -> None:
    """A file of this schema revision, made by the migrations, without any row."""
    engine = open_engine(f"sqlite:///{file}")
    with writing(engine) as connection:
        command.upgrade(alembic_config(connection), revision)
    engine.dispose()
    single_file(file)


def _fill_file(connection: Connection, file: Path) -> None:
    inspector = inspect(connection)
    with closing(sqlite3.connect(file)) as copy:
        tables = [row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in tables:
            if name == VERSION_TABLE or name.startswith("sqlite_"):
                continue
            columns = [str(row[1]) for row in copy.execute(f"PRAGMA table_info({_quoted(name)})")]
            copy.execute(f"DELETE FROM {_quoted(name)}")
            places = ", ".join("?" * len(columns))
            into = f"INSERT INTO {_quoted(name)} ({_listed(columns)}) VALUES ({places})"
            for rows in _rows(connection, inspector, name, columns):
                copy.executemany(into, rows)
        copy.commit()


def _rows(
    connection: Connection, inspector: Inspector, name: str, columns: Sequence[str]
) -> Iterator[list[tuple[Any, ...]]]:
    types = {column["name"]: column["type"] for column in inspector.get_columns(name)}
    wanted = ", ".join(_quoted(column) + _cast(types[column]) for column in columns)
    query = text(f"SELECT {wanted} FROM {_quoted(name)}")
    with connection.execution_options(stream_results=True).execute(query) as result:
        for part in result.partitions(_ROWS):
            yield [tuple(bytes(value) if isinstance(value, memoryview) else value for value in row) for row in part]


def _cast(kind: object) -> str:
    """How PostgreSQL gives a value as SQLite keeps it."""
    if isinstance(kind, JSON):
        return "::text"
    return "::int" if isinstance(kind, Boolean) else ""


def _load(connection: Connection, source: sqlite3.Connection, name: str) -> None:
    columns = [str(row[1]) for row in source.execute(f"PRAGMA table_info({_quoted(name)})")]
    rows = source.execute(f"SELECT {_listed(columns)} FROM {_quoted(name)}")
    cursor = connection.connection.cursor()  # the driver's own, in the same transaction
    with closing(cursor), cursor.copy(f"COPY {_quoted(name)} ({_listed(columns)}) FROM STDIN") as stream:
        for row in rows:
            stream.write_row(row)


def _drop_all(connection: Connection) -> None:
    connection.execute(text("DROP SCHEMA IF EXISTS grafana CASCADE"))  # views on the tables; the migrations make them
    known = set(inspect(connection).get_table_names())
    for name in sorted(known & {*metadata.tables, VERSION_TABLE}):
        connection.execute(text(f"DROP TABLE {_quoted(name)} CASCADE"))


def _set_sequences(connection: Connection, names: Sequence[str]) -> None:
    """Let each sequence go on behind the greatest number that its column has."""
    for table in (metadata.tables[name] for name in names):
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = text("SELECT pg_get_serial_sequence(:table, :column)")
        its = connection.scalar(sequence, {"table": _quoted(table.name), "column": column.name})
        if its:
            greatest = f"(SELECT max({_quoted(column.name)}) FROM {_quoted(table.name)})"
            connection.execute(
                text(f"SELECT setval(:its, greatest({greatest}, 1), {greatest} IS NOT NULL)"), {"its": its}
            )


def _quoted(name: str) -> str:
    return f'"{quoted_name(name, quote=True)}"'


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(_quoted, columns))
