"""The memory of the models of normal on the disk: pages in one SQLite file, replaced all together or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS page (model TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (model, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""


class PagesRefused(Exception):
    """The file is damaged or of another version: the models begin anew."""


class Page(NamedTuple):
    """A part of a model's memory."""

    model: str
    number: int
    body: bytes


class ModelPages:
    """A file of pages and notes, used by one thread. What was `put` since the last `commit` is undone by a crash."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; raises PagesRefused."""
        self._path = path
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._file.execute("PRAGMA journal_mode=WAL")
            (version,) = self._file.execute("PRAGMA user_version").fetchone()
            if version not in (0, _FORMAT):
                raise PagesRefused(f"{path} has format {version}, this version reads format {_FORMAT}")
            self._file.executescript(_SCHEMA)
            self._file.execute(f"PRAGMA user_version={_FORMAT}")
        except sqlite3.DatabaseError as error:
            self._file.close()
            raise PagesRefused(f"{path} can't be read: {error}") from error
        except PagesRefused:
            self._file.close()
            raise

    def notes(self) -> dict[str, bytes]:
        """The notes of the last commit; raises PagesRefused."""
        return dict(self._rows("SELECT name, body FROM note"))

    def pages(self, model: str) -> Iterator[Page]:
        """The pages of a model as of the last commit, by number; raises PagesRefused."""
        for number, body in self._rows("SELECT number, body FROM page WHERE model = ? ORDER BY number", model):
            yield Page(model, number, body)

    def _rows(self, query: str, *asked: str) -> Iterator[tuple[Any, Any]]:
        try:
            with closing(self._file.execute(query, asked)) as answer:
                yield from answer
        except sqlite3.DatabaseError as error:
            raise PagesRefused(f"{self._path} can't be read: {error}") from error

    def put(self, page: Page) -> None:
        """Replace a page, with the next commit; raises OSError where the disk takes nothing."""
        try:
            self._begin()
            self._file.execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?)", page)
        except sqlite3.OperationalError as error:
            raise OSError(f"{self._path} can't be written: {error}") from error

    def commit(self, notes: dict[str, bytes]) -> None:
        """Make lasting what was put, with the notes that go with it; raises OSError where the disk takes nothing."""
        try:
            self._begin()
            self._file.executemany("INSERT OR REPLACE INTO note VALUES (?, ?)", notes.items())
            self._file.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self.undo()
            raise OSError(f"{self._path} can't be written: {error}") from error

    def undo(self) -> None:
        """Forget what was put since the last commit."""
        if self._file.in_transaction:
            self._file.execute("ROLLBACK")

    def clear(self) -> None:
        """Forget everything, with the next commit."""
        self._begin()
        self._file.execute("DELETE FROM page")
        self._file.execute("DELETE FROM note")

    def close(self) -> None:
        """Release the file."""
        self.undo()
        self._file.close()

    def _begin(self) -> None:
        if not self._file.in_transaction:
            self._file.execute("BEGIN IMMEDIATE")
