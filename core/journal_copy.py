"""A copy of a journal, or of its newest part, while others write to it."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from core.sqlite_journal import SCHEMA


class Copied(NamedTuple):
    """What a copy holds: the records behind `after`, up to `head`, of which there are `records`."""

    after: int
    head: int
    records: int


def copy_journal(source: Path, to: Path, held: Collection[int] | None) -> Copied:
    """Write the records that some consumer has still to read, or that are behind one of `held`, to a new file.

    All of one moment; None copies everything that is kept. The offsets stay what they are.
    """
    with closing(sqlite3.connect(to, isolation_level=None)) as copy:
        copy.execute("PRAGMA auto_vacuum=INCREMENTAL")
        copy.executescript(SCHEMA)
        copy.execute("ATTACH DATABASE ? AS source", (str(source),))
        copy.execute("BEGIN")
        after = -1 if held is None else _needed_after(copy, held)
        copy.execute("INSERT INTO main.meta SELECT * FROM source.meta")
        copy.execute("INSERT INTO main.consumer SELECT * FROM source.consumer")
        written = copy.execute("INSERT INTO main.record SELECT * FROM source.record WHERE n > ?", (after,))
        head = _head(copy, "source")
        copy.execute("DELETE FROM main.sqlite_sequence WHERE name = 'record'")
        copy.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES ('record', ?)", (head,))
        copy.execute("COMMIT")
    return Copied(max(after, 0), head, written.rowcount)


def head_of(file: Path) -> tuple[str, int]:
    """The registry that a journal's file belongs to, and the last offset that it gave; empty and 0 without one."""
    if not file.is_file():
        return "", 0
    with closing(sqlite3.connect(file)) as connection:
        kept = connection.execute("SELECT value FROM meta WHERE key = 'registry_id'").fetchone()
        return (str(kept[0]) if kept else ""), _head(connection, "main")


def _needed_after(connection: sqlite3.Connection, held: Collection[int]) -> int:
    read = [int(row[0]) for row in connection.execute("SELECT n FROM source.consumer")]
    return min([*read, *held], default=0)


def _head(connection: sqlite3.Connection, schema: str) -> int:
    given = connection.execute(f"SELECT seq FROM {schema}.sqlite_sequence WHERE name = 'record'").fetchone()
    return int(given[0]) if given else 0
