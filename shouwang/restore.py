"""Puts a backup in place: everything is checked and made ready beside the target first, then moved in at once.

What stood there is moved aside, never deleted. A kill in between leaves a mark that no platform starts over.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from core.clock import SECOND
from core.database import open_engine, writing
from core.journal_copy import head_of
from ingest.dead_letters import CONSUMER as DEAD_LETTERS
from shouwang.at_work import refuse_while_at_work
from shouwang.backup import DATABASE, JOURNAL, JOURNAL_FILE, STATE, belongs, make_backup
from shouwang.backup_file import Manifest, read_manifest, sum_of, sync_folder, unpack
from shouwang.database_copy import check_file, copy_in, upgrade_file
from shouwang.migrate import Standing, known_revisions, schema_state
from shouwang.restore_point import carry_on
from shouwang.restored import FILE, MARKER, Position, Restored
from shouwang.role_lock import RoleLocks
from shouwang.settings import ROLES, Settings
from shouwang.watch import SafetyWatch

CONSUMERS = (SafetyWatch.consumer, DEAD_LETTERS)
"""Whose place in the journal is a choice; the store's is not: what it takes twice stands once."""
_SAFETY = "safety.snapshot"


class RestoreRefused(Exception):
    """Nothing was restored; the text says why and what to do."""


class Done(NamedTuple):
    """What a restore did: the backup's manifest, where it went on, and where the old files are (None: there were
    none)."""

    manifest: Manifest
    restored: Restored
    own_journal: bool
    aside: Path | None


def restore(settings: Settings, file: Path, now: int, journal: Position, *, force: bool = False) -> Done:
    """Restore a backup into the settings' state folder and database.

    Raises RestoreRefused, BackupDamaged, SchemaRefused, CopyRefused, PartFailed: then what was there is as it was.
    """
    manifest = read_manifest(file)
    refuse_newer(file, manifest)
    state = settings.state
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    locks = RoleLocks(state)
    locks.take(ROLES)
    try:
        _refuse_at_work(settings)
        _refuse_full(settings, force)
        staged = state / ".restoring"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700)
        unpack(file, staged)
        check_file(staged / DATABASE)
        upgrade_file(staged / DATABASE)
        return _put(settings, manifest, staged, now, journal)
    finally:
        shutil.rmtree(state / ".restoring", ignore_errors=True)
        locks.release()


def refuse_newer(file: Path, manifest: Manifest) -> None:
    """Raise RestoreRefused for a backup of a schema that this program does not know."""
    known = known_revisions()
    if manifest.schema not in known:
        raise RestoreRefused(
            f"{file} 的结构版本 {manifest.schema}（程序 {manifest.program}）比本程序的 {known[0]} 新：请先升级程序。\n"
            f"{file} has schema {manifest.schema} (program {manifest.program}), newer than this program's {known[0]}: "
            "upgrade the program first."
        )


def _put(settings: Settings, manifest: Manifest, staged: Path, now: int, position: Position) -> Done:
    """The backup's content, ready in `staged`, into its places."""
    state = settings.state
    own = _own_journal(state, manifest, staged)
    journal = state / JOURNAL_FILE if own else staged / JOURNAL
    restored = carry_on(staged / DATABASE, journal, staged / STATE / _SAFETY, CONSUMERS, manifest, position, now)
    aside = state / f"replaced-{datetime.fromtimestamp(now / SECOND, UTC):%Y%m%dT%H%M%SZ}"
    saved = _save_postgresql(settings, now)
    (state / MARKER).touch(mode=0o600)
    _load_postgresql(settings, staged / DATABASE)
    moved = _move_aside(settings, manifest.registry, aside, keep_journal=own)
    if file := _sqlite_file(settings):
        _move(staged / DATABASE, file)
    if not own and journal.is_file():
        journal.replace(state / JOURNAL_FILE)
    for source in sorted(each for each in (staged / STATE).rglob("*") if each.is_file()):
        _move(source, state / source.relative_to(staged / STATE))
    _place_folders(settings.rules, manifest.rules, staged, aside)
    _place_folders(settings.device_types, manifest.device_types, staged, aside)
    _note(state, restored)
    (state / MARKER).unlink()
    sync_folder(state)
    return Done(manifest, restored, own, aside if moved else saved)


def _refuse_at_work(settings: Settings) -> None:
    if _sqlite_file(settings) is None:
        engine = open_engine(settings.database_url)
        try:
            refuse_while_at_work(engine)
        finally:
            engine.dispose()


def _refuse_full(settings: Settings, force: bool) -> None:
    there = [str(each) for each in _present(settings)]
    if _standing(settings) is not Standing.EMPTY:
        there.append(f"{_shown(settings)}")
    if there and not force:
        raise RestoreRefused(
            f"目标不是空的（{there[0]}）：换一个目录或空库，或加 --force（原有文件移到一旁，不删除）。\n"
            f"The target is not empty ({there[0]}): choose another folder or an empty database, or add --force, which "
            "moves what is there aside."
        )


def _present(settings: Settings) -> Iterator[Path]:
    """What of a platform lies in the state folder."""
    if not settings.state.is_dir():
        return
    names = {JOURNAL_FILE, "shouwang.db", "gate.snapshot", _SAFETY, FILE, MARKER}
    yield from (settings.state / name for name in sorted(names) if (settings.state / name).exists())


def _sqlite_file(settings: Settings) -> Path | None:
    url = make_url(settings.database_url)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _shown(settings: Settings) -> str:
    return make_url(settings.database_url).render_as_string(hide_password=True)


def _standing(settings: Settings) -> Standing:
    """How the target's database stands; a SQLite file that can't be read is not empty."""
    file = _sqlite_file(settings)
    if file is not None:
        return Standing.UNVERSIONED if file.exists() else Standing.EMPTY
    engine = open_engine(settings.database_url)
    try:
        return schema_state(engine).standing
    finally:
        engine.dispose()


def _own_journal(state: Path, manifest: Manifest, staged: Path) -> bool:
    """Whether the journal that lies there is this platform's own and reaches further than the backup's."""
    registry, head = head_of(state / JOURNAL_FILE)
    _, brought = head_of(staged / JOURNAL)
    return registry == manifest.registry and head >= max(brought, *manifest.applied.values(), 0)


def _save_postgresql(settings: Settings, now: int) -> Path | None:
    """A backup of a PostgreSQL database that is about to be replaced; None when there is nothing to save."""
    if _sqlite_file(settings) is not None or _standing(settings) is Standing.EMPTY:
        return None
    folder = settings.backup.folder_in(settings.state)
    return make_backup(settings, None, folder, now, why="before-restore").file


def _move_aside(settings: Settings, registry: str, aside: Path, *, keep_journal: bool) -> bool:
    """Move what stands in the way; readings only where they are another town's, whose numbers mean other series."""
    state, file = settings.state, _sqlite_file(settings)
    going = [each for each in sorted(state.rglob("*")) if each.is_file() and belongs(settings, each)]
    if file is not None:
        going += _with_logs(file)
    if not keep_journal:
        going += _with_logs(state / JOURNAL_FILE)
    if _registry_of(settings) not in ("", registry):
        going += [settings.store_file, Path(f"{settings.store_file}.wal")]
    going.append(state / FILE)
    there = [each for each in going if each.is_file()]
    for each in there:
        inner = each.relative_to(state) if each.is_relative_to(state) else Path(each.name)
        _move(each, aside / inner)
    return bool(there)


def _with_logs(file: Path) -> list[Path]:
    return [file, *(file.with_name(f"{file.name}-{rest}") for rest in ("wal", "shm", "journal"))]


def _registry_of(settings: Settings) -> str:
    """The registry of what stands in the target; empty when that can't be told."""
    known, _ = head_of(settings.state / JOURNAL_FILE)
    file = _sqlite_file(settings)
    if known or file is None or not file.is_file():
        return known
    with closing(sqlite3.connect(file)) as connection:
        try:
            row = connection.execute("SELECT id FROM registry").fetchone()
        except sqlite3.DatabaseError:
            return ""
    return str(row[0]) if row else ""


def _load_postgresql(settings: Settings, source: Path) -> None:
    """Put the rows into a PostgreSQL database in one transaction; when it fails nothing was changed at all."""
    if _sqlite_file(settings) is not None:
        return
    engine = open_engine(settings.database_url)
    try:
        with writing(engine) as connection:
            copy_in(source, connection)
    except SQLAlchemyError:
        (settings.state / MARKER).unlink()
        raise
    finally:
        engine.dispose()


def _place_folders(places: Sequence[Path], prefixes: Sequence[str], staged: Path, aside: Path) -> None:
    """The town's own files into the places that the settings name, in their order."""
    for number, (place, prefix) in enumerate(zip(places, prefixes, strict=False)):
        for source in sorted(each for each in (staged / prefix).rglob("*") if each.is_file()):
            inner = source.relative_to(staged / prefix)
            to = place if place.suffix in (".yaml", ".yml") else place / inner
            if to.is_file() and sum_of(to) != sum_of(source):
                _move(to, aside / prefix.split("/")[0] / str(number) / inner)
            _move(source, to)


def _move(source: Path, to: Path) -> None:
    """Move a file, across disks too; whole under its name or not there."""
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = to.with_name(f".{to.name}.part")
    try:
        source.replace(to)
    except OSError:
        shutil.copy2(source, draft)
        draft.replace(to)
        source.unlink()
    sync_folder(to.parent)


def _note(state: Path, restored: Restored) -> None:
    draft = state / f".{FILE}.part"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
        json.dump(restored._asdict(), opened)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(state / FILE)
