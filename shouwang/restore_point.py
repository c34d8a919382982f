"""Where a restored platform goes on: its place in the journal, what waited to be sent, and numbers given since."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from alerts.hushing import drop_waiting
from core import snapshot
from core.database import open_engine, writing
from core.journal import Offset, RecordKind
from core.journal_copy import head_of
from ingest.applied import read_applied, write_applied
from ingest.words import Block
from shouwang.backup_file import Manifest
from shouwang.database_copy import single_file
from shouwang.restored import Position, Restored


def carry_on(
    database: Path,
    journal: Path,
    safety: Path,
    consumers: Sequence[str],
    manifest: Manifest,
    position: Position,
    now: int,
) -> Restored:
    """Make a backup's database, journal and detection's snapshot ready to go on at the position; what was chosen.

    At "head" these consumers begin behind the journal's last record and detection keeps what it knew; at "replay" they
    begin where the database left off.
    """
    upto = max(head_of(journal)[1], *manifest.applied.values(), 0)
    engine = open_engine(f"sqlite:///{database}")
    try:
        with writing(engine) as connection:
            unsent = drop_waiting(connection, now)
            if position == "head":
                for name in consumers:
                    write_applied(connection, name, max(read_applied(connection, name), Offset(0, upto)))
    finally:
        engine.dispose()
    _skip_numbers(database, _greatest_series(journal))
    single_file(database)
    if position == "head":
        _move_snapshot(safety, upto)
    return Restored(now, manifest.made_at, position, upto, unsent)


def _move_snapshot(file: Path, upto: int) -> None:
    """Let detection go on behind `upto` with what it knew, so that open alerts end and none is said twice."""
    try:
        kept = snapshot.load(file)
    except snapshot.SnapshotDamaged:
        kept = None
    if kept:
        meta, arrays = kept
        snapshot.save(file, meta | {"offset": [0, upto]}, arrays)


def _greatest_series(journal: Path) -> int:
    """The greatest series number that any kept reading has, -1 without one: it may be of a device enrolled since."""
    if not journal.is_file():
        return -1
    greatest = -1
    with closing(sqlite3.connect(journal)) as connection:
        for (payload,) in connection.execute("SELECT payload FROM record WHERE kind = ?", (RecordKind.BLOCK,)):
            series = Block.from_bytes(payload).series
            greatest = max(greatest, int(np.max(series, initial=-1)))
    return greatest


def _skip_numbers(database: Path, greatest: int) -> None:
    """A series number is never used twice, also where its device is not known any more."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE registry SET next_series = max(next_series, ?)", (greatest + 1,))
