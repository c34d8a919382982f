"""Brings a database to this program's schema: behind a backup, tried on its copy, and put back when it can't start."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from alerts.auditor import audit
from alerts.town_view import load_town_view
from core.database import metadata, open_engine, reading, writing
from core.journal_copy import head_of
from detectors.rules import RuleErrors, load_packs
from devices.device_types import CatalogueError, load_device_types
from devices.registry import RegistryError, load_registry
from shouwang.at_work import refuse_while_at_work
from shouwang.backup import DATABASE, JOURNAL_FILE, make_backup
from shouwang.backup_file import unpack
from shouwang.database_copy import copy_in, sqlite_revision, upgrade_file
from shouwang.migrate import Schema, SchemaRefused, Standing, migrate, schema_state
from shouwang.restored import refuse_half_restored
from shouwang.role_lock import RoleLocks
from shouwang.rules_at_start import newest_readable
from shouwang.settings import ROLES, Settings

WHY = "before-upgrade"
_LOCK = "upgrade"


class UpgradeFailed(Exception):
    """The database is as it was before; the text says why it can't be upgraded, and where the backup is."""


class Upgraded(NamedTuple):
    """The schema before; `backup` is None when there was nothing to upgrade."""

    before: Schema
    backup: Path | None


def upgrade(settings: Settings, config: Path | None, now: int) -> Upgraded:
    """Bring the database to this program's schema; an empty one is made, one that has it stays.

    Raises SchemaRefused for a newer one, PartFailed while a platform or another upgrade runs, UpgradeFailed.
    """
    refuse_half_restored(settings.state)
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_engine(settings.database_url)
    locks = RoleLocks(settings.state)
    try:
        before = schema_state(engine)
        if before.standing in (Standing.NEWER, Standing.UNVERSIONED):
            raise SchemaRefused(before)
        if before.standing is Standing.CURRENT:
            return Upgraded(before, None)
        locks.take((_LOCK, *ROLES))
        refuse_while_at_work(engine)
        if before.standing is Standing.EMPTY:
            migrate(engine)
            return Upgraded(before, None)
        return Upgraded(before, _upgrade(settings, config, engine, now))
    finally:
        locks.release()
        engine.dispose()


def why_not_startable(settings: Settings, engine: Engine, now: int) -> list[str]:
    """What would keep a platform from starting on this database; empty when it would start. Changes nothing."""
    try:
        types = load_device_types(settings.device_types)
        registry = load_registry(engine, types)
        with reading(engine) as connection:
            problems = [
                f"schema: {each}" for each in compare_metadata(MigrationContext.configure(connection), metadata)
            ]
            if newest_readable(connection) is None:
                load_packs(settings.rules, types)
            load_town_view(connection)
            audit(connection, now, settings.desk.policies())
    except (CatalogueError, RegistryError, RuleErrors, SQLAlchemyError) as error:
        return [_told(error)]
    kept, _ = head_of(settings.state / JOURNAL_FILE)
    if kept not in ("", registry.id):
        problems.append(f"journal: it is of registry {kept}, the database is of {registry.id}")
    return problems


def _upgrade(settings: Settings, config: Path | None, engine: Engine, now: int) -> Path:
    """Back up, try on the copy, migrate, look; the backup's file."""
    folder = settings.backup.folder_in(settings.state)
    made = make_backup(settings, config, folder, now, keep=settings.backup.keep, why=WHY)
    with _unpacked(made.file, folder) as old:
        _rehearse(settings, old, made.file, now)
        try:
            migrate(engine)
            problems = why_not_startable(settings, engine, now)
        except SQLAlchemyError as error:  # of the migration, which is one transaction: nothing was changed
            raise _failed([_told(error)], made.file) from error
        if problems:
            _put_back(engine, old)
            raise _failed(problems, made.file)
    return made.file


def _rehearse(settings: Settings, old: Path, backup: Path, now: int) -> None:
    """Upgrade a copy and look whether a platform would start on it."""
    copy = old.with_name("rehearsal.sqlite")
    shutil.copy(old, copy)
    engine = open_engine(f"sqlite:///{copy}")
    try:
        upgrade_file(copy)
        problems = why_not_startable(settings, engine, now)
    except SQLAlchemyError as error:
        raise _failed([_told(error)], backup) from error
    finally:
        engine.dispose()
    if problems:
        raise _failed(problems, backup)


def _put_back(engine: Engine, old: Path) -> None:
    if engine.dialect.name == "postgresql":
        with writing(engine) as connection:
            copy_in(old, connection)
        return
    engine.dispose()
    with closing(sqlite3.connect(old)) as source, closing(sqlite3.connect(str(engine.url.database))) as target:
        source.backup(target)


def _told(error: Exception) -> str:
    """What an error is, without the statement that it came of."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _failed(problems: list[str], backup: Path) -> UpgradeFailed:
    told = "；".join(problems[:5])
    return UpgradeFailed(
        f"升级没有完成，数据库仍是原样：{told}。备份在 {backup}。\n"
        f"The upgrade was not done, the database is as it was: {told}. Its backup is {backup}."
    )


@contextmanager
def _unpacked(backup: Path, folder: Path) -> Iterator[Path]:
    """The backup's database, in a private folder of its own on the same disk."""
    place = folder / ".upgrade.part"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    try:
        unpack(backup, place)
        if not sqlite_revision(place / DATABASE):
            raise UpgradeFailed(f"备份 {backup} 里没有数据库。\nThe backup {backup} has no database.")
        yield place / DATABASE
    finally:
        shutil.rmtree(place)
