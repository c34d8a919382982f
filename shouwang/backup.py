"""Makes a backup of a platform that may run meanwhile: one file with all that it takes to go on elsewhere.

The order makes it whole: detection's snapshot first, then the database, then the journal. So the snapshot is never
ahead of the database, nor the database ahead of the journal, and what lies between is replayed as after a kill.
"""

import fcntl
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from core import snapshot
from core.clock import local
from core.database import open_engine
from core.journal_copy import copy_journal
from shouwang.backup_file import FORMAT, KeptJournal, Manifest, Member, sum_of, sync_folder, write_backup
from shouwang.database_copy import copy_out, refuse_unknown
from shouwang.program import program_version, variables_set
from shouwang.settings import Settings

DATABASE, JOURNAL, STATE, SETTINGS = "database.sqlite", "journal.sqlite", "state/", "settings.toml"
SNAPSHOTS = ("safety.snapshot", "gate.snapshot")
JOURNAL_FILE = "journal.db"
_WORKING = re.compile(r"\.(lock|part|new|db|db-wal|db-shm|db-journal|duckdb|duckdb\.wal)$")
_LEFT = frozenset({"heartbeat.json", "restored.json", "restoring"})  # they tell of this machine, now
_STAMP = re.compile(r"^shouwang(?P<why>-[a-z-]+)?-\d{8}-\d{6}\.tar\.gz$")


class BackupRefused(Exception):
    """No backup can be made now; the text says why."""


class Made(NamedTuple):
    """A backup that was written, and the older ones that were let go for it."""

    file: Path
    manifest: Manifest
    removed: list[Path]


def make_backup(
    settings: Settings,
    config: Path | None,
    folder: Path,
    now: int,
    *,
    keep: int = 0,
    why: str = "",
    whole: bool = False,
) -> Made:
    """Write a backup into `folder` and let go of all but the newest `keep` (0: none goes) made for the same reason.

    `whole`: with all of the journal that is kept, not only what some consumer has still to read. Raises SchemaRefused,
    CopyRefused, BackupRefused.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(folder), _staging(folder) as staged:
        files, manifest = _collect(settings, config, staged, now, whole)
        target = folder / _name(now, why)
        if target.exists():
            raise BackupRefused(f"{target} 已存在，请稍后再试。\n{target} is there already: try again in a second.")
        write_backup(target, manifest, files)
        return Made(target, manifest, _let_go(folder, keep, why))


def backups_in(folder: Path, why: str = "") -> list[Path]:
    """The backups in a folder that were made for this reason, oldest first."""
    if not folder.is_dir():
        return []
    suffix = f"-{why}" if why else None
    named = [(file, _STAMP.match(file.name)) for file in folder.iterdir()]
    return sorted(file for file, match in named if match and match["why"] == suffix)


def _collect(
    settings: Settings, config: Path | None, staged: Path, now: int, whole: bool
) -> tuple[dict[str, Path], Manifest]:
    engine = open_engine(settings.database_url)
    try:
        refuse_unknown(engine)
        files = dict(_state_files(settings, staged))
        revision = copy_out(engine, staged / DATABASE)
        registry, applied = _known(staged / DATABASE)
    finally:
        engine.dispose()
    files[DATABASE] = staged / DATABASE
    journal = _journal(settings, staged, whole)
    if journal:
        files[JOURNAL] = staged / JOURNAL
    if config and config.is_file():
        files[SETTINGS] = config
    rules = _folders("rules", settings.rules, files)
    types = _folders("device_types", settings.device_types, files)
    manifest = Manifest(
        format=FORMAT,
        program=program_version(),
        made_at=now,
        schema=revision,
        kind=engine.dialect.name,
        registry=registry,
        applied=applied,
        journal=journal,
        settings=SETTINGS if SETTINGS in files else "",
        rules=rules,
        device_types=types,
        variables=variables_set(),
        left_out=_left_out(journal),
        members=[Member(name, *sum_of(file), _mode(file)) for name, file in _frozen(files, staged)],
    )
    return files, manifest


def _frozen(files: dict[str, Path], staged: Path) -> Iterator[tuple[str, Path]]:
    """Each file as it is now, copied unless it lies in `staged` already: nothing changes between sum and tar."""
    for name, file in list(files.items()):
        if not file.is_relative_to(staged):
            files[name] = _copied(file, staged / "copies" / name)
        yield name, files[name]


def _copied(file: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copy(file, to)
    return to


def _mode(file: Path) -> int:
    return 0o700 if os.access(file, os.X_OK) else 0o600


def _state_files(settings: Settings, staged: Path) -> Iterator[tuple[str, Path]]:
    """What the state folder holds beside databases, journal, readings, locks and backups: snapshots first, and keys."""
    found = [file for file in sorted(settings.state.rglob("*")) if file.is_file() and belongs(settings, file)]
    for file in sorted(found, key=lambda each: each.name not in SNAPSHOTS):
        name = STATE + file.relative_to(settings.state).as_posix()
        yield name, _copied(file, staged / name)


def belongs(settings: Settings, file: Path) -> bool:
    """Whether a file of the state folder goes with a backup as it is."""
    inner = file.relative_to(settings.state)
    if inner.parts[0].startswith("replaced-") or any(part.startswith(".") for part in inner.parts):
        return False
    if file.is_relative_to(settings.backup.folder_in(settings.state)) or file == settings.store_file:
        return False
    here = file.name in _LEFT or file.name.startswith("pulse-")
    return not (_WORKING.search(file.name) or (len(inner.parts) == 1 and here))


def _journal(settings: Settings, staged: Path, whole: bool) -> KeptJournal | None:
    source = settings.state / JOURNAL_FILE
    if not source.is_file():
        return None
    held = None if whole else [_reached(staged / STATE / name) for name in SNAPSHOTS]
    copied = copy_journal(source, staged / JOURNAL, None if held is None else [n for n in held if n is not None])
    return KeptJournal(*copied)


def _reached(file: Path) -> int | None:
    """The offset of a snapshot; None without one that can be read."""
    try:
        kept = snapshot.load(file)
    except snapshot.SnapshotDamaged:
        return None
    return int(kept[0]["offset"][1]) if kept else None


def _known(file: Path) -> tuple[str, dict[str, int]]:
    """The registry's id and how far each consumer is applied, as the copied database says."""
    with closing(sqlite3.connect(file)) as copy:
        tables = {row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        registry = copy.execute("SELECT id FROM registry").fetchone()
        applied = copy.execute("SELECT consumer, n FROM applied").fetchall() if "applied" in tables else []
    return str(registry[0]) if registry else "", {str(consumer): int(n) for consumer, n in applied}


def _folders(kind: str, places: list[Path], files: dict[str, Path]) -> list[str]:
    """Add the files of the town's own rules or device types; the prefix of each place's members."""
    prefixes = []
    for number, place in enumerate(places):
        prefix = f"{kind}/{number}"
        found = [place] if place.is_file() else sorted(file for file in place.rglob("*") if file.is_file())
        for file in found:
            inner = file.name if place.is_file() else file.relative_to(place).as_posix()
            files[f"{prefix}/{inner}"] = file
        prefixes.append(prefix)
    return prefixes


def _left_out(journal: KeptJournal | None) -> list[str]:
    return ["readings", "outside_files", *(["no_journal"] if journal is None else [])]


def _name(now: int, why: str) -> str:
    return f"shouwang{'-' if why else ''}{why}-{local(now):%Y%m%d-%H%M%S}.tar.gz"


def _let_go(folder: Path, keep: int, why: str) -> list[Path]:
    gone = backups_in(folder, why)[:-keep] if keep else []
    for file in gone:
        file.unlink()
    if gone:
        sync_folder(folder)
    return gone


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time writes into a folder."""
    descriptor = os.open(folder / ".backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BackupRefused(f"另一个备份正在写入 {folder}。\nAnother backup is being written to {folder}.") from error
    finally:
        os.close(descriptor)


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A private folder on the same disk, gone at the end; what a killed backup left goes too."""
    staged = folder / ".backup.part"
    shutil.rmtree(staged, ignore_errors=True)
    for rest in folder.glob(".shouwang-*.part"):
        rest.unlink()
    staged.mkdir(mode=0o700)
    try:
        yield staged
    finally:
        shutil.rmtree(staged)
