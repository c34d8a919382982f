"""The database's schema: what state it is in, and bringing it up to this program's."""

from dataclasses import dataclass
from enum import StrEnum

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

import alerts.anomaly_tables
import alerts.case_tables
import alerts.escalation_tables
import alerts.event_tables
import alerts.quiet_tables
import alerts.tables
import console.tables
import detectors.tables
import devices.tables
import ingest.tables
from core.database import metadata, reading, writing
from grafana.views import drop_views, ensure_views

TABLE_MODULES = (
    *(devices.tables, ingest.tables, detectors.tables, alerts.tables, console.tables),
    *(alerts.case_tables, alerts.escalation_tables, alerts.event_tables, alerts.quiet_tables),
)
"""Imported so that `core.database.metadata` knows every table."""

_LOCK = 0x5377_4D69  # any constant: one migration at a time on PostgreSQL; SQLite's write lock does it by itself


class Standing(StrEnum):
    """How a database's schema stands to this program's."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"
    UNVERSIONED = "unversioned"


@dataclass(frozen=True)
class Schema:
    """`revision` is the database's (None without one), `wanted` this program's."""

    standing: Standing
    revision: str | None
    wanted: str


class SchemaRefused(Exception):
    """The database can't be brought to this program's schema; the text says why and what to do."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        super().__init__(_REFUSALS[schema.standing].format(revision=schema.revision, wanted=schema.wanted))


_REFUSALS = {
    Standing.EMPTY: (
        "数据库是空的：请先运行 shouwang init，或用 --config 指明设置文件。\n"
        "The database is empty: run `shouwang init` first, or name the settings file with --config."
    ),
    Standing.OLDER: (
        "数据库的结构版本是 {revision}，比本程序的 {wanted} 旧：请停下平台，运行 shouwang upgrade（它先备份）。\n"
        "The database's schema is {revision}, older than this program's {wanted}: "
        "stop the platform and run `shouwang upgrade`, which makes a backup first."
    ),
    Standing.NEWER: (
        "数据库的结构版本是 {revision}，比本程序的 {wanted} 新：请升级程序，或恢复升级之前的备份。\n"
        "The database's schema is {revision}, newer than this program's {wanted}: "
        "upgrade the program, or restore the backup made before the upgrade."
    ),
    Standing.UNVERSIONED: (
        "数据库里已有本程序的表，却没有结构版本：请改用一个空库，或恢复备份。\n"
        "The database holds tables of this program but no schema version: use an empty one, or restore a backup."
    ),
}


def schema_state(engine: Engine) -> Schema:
    """The schema's state; changes nothing."""
    with reading(engine) as connection:
        return schema_of(connection)


def migrate(engine: Engine) -> Schema:
    """Bring the schema to this program's in one transaction; the state that it was in before.

    A database that is newer, or has tables without a version, raises SchemaRefused and stays as it is.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        before = schema_of(connection)
        if before.standing in (Standing.NEWER, Standing.UNVERSIONED):
            raise SchemaRefused(before)
        if before.standing is not Standing.CURRENT:
            drop_views(connection)
            command.upgrade(alembic_config(connection), "head")
        ensure_views(connection)
    return before


def ensure_schema(engine: Engine) -> None:
    """Make the schema in an empty database; any other must have this program's.

    An older one raises SchemaRefused too: a program of this version that only looks, or starts, must not change what an
    older one may still be working on; `shouwang upgrade` does, behind a backup.
    """
    if schema_state(engine).standing is Standing.EMPTY:
        migrate(engine)
    schema = schema_state(engine)
    if schema.standing is not Standing.CURRENT:
        raise SchemaRefused(schema)


def alembic_config(connection: Connection) -> Config:
    """Where the migrations are, and the connection they run on, inside its transaction."""
    config = Config()
    config.set_main_option("script_location", "shouwang:migrations")
    config.attributes["connection"] = connection
    return config


def schema_of(connection: Connection) -> Schema:
    """The schema's state, read in the caller's transaction."""
    known = known_revisions()
    revision = MigrationContext.configure(connection).get_current_revision()
    return Schema(_standing(connection, revision, known), revision, known[0])


def known_revisions() -> list[str]:
    """The schema revisions of this program, newest first."""
    config = Config()
    config.set_main_option("script_location", "shouwang:migrations")
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def _standing(connection: Connection, revision: str | None, known: list[str]) -> Standing:
    if revision is None:
        ours = set(metadata.tables) & set(inspect(connection).get_table_names())
        return Standing.UNVERSIONED if ours else Standing.EMPTY
    if revision not in known:
        return Standing.NEWER
    return Standing.CURRENT if revision == known[0] else Standing.OLDER
