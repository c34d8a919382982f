"""The readings store in one DuckDB file, owned by one process.

There is no index: it would cost more than the rows. A reading that is newer than its series' newest is certainly new;
the others are looked up, within their span of time so that the row groups' minima and maxima rule most out, deleted and
written again in the same transaction.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np
import numpy.typing as npt

from core.clock import HOUR
from core.journal import START, Offset
from ingest.newest import Newest, last_of_each
from ingest.store import Appended, Counts, Curve, Point, StoreBusy, StoreUnavailable
from ingest.words import Block

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reading (
    series INTEGER NOT NULL, "at" BIGINT NOT NULL, received_at BIGINT NOT NULL,
    value DOUBLE NOT NULL, quality USMALLINT NOT NULL);
CREATE TABLE IF NOT EXISTS applied (
    "partition" INTEGER NOT NULL, n BIGINT NOT NULL, stored BIGINT NOT NULL, duplicate BIGINT NOT NULL);
"""
_REPLACE = (
    'DELETE FROM reading USING suspect WHERE reading."at" BETWEEN ? AND ? '
    'AND reading.series = suspect.series AND reading."at" = suspect."at"'
)
_NEWEST = """
SELECT series, max("at") AS "at", arg_max(value, "at") AS value, arg_max(quality, "at") AS quality
FROM reading GROUP BY series ORDER BY series
"""
_SPAN = 'FROM reading WHERE series = $series AND "at" >= $since AND "at" < $until'
_BUCKETS = f"""
SELECT max("at") AS "at", min(value) AS low, avg(value) AS mean, max(value) AS high {_SPAN}
GROUP BY ("at" - $since) // $width ORDER BY 1
"""
_COLUMNS = ("series", "at", "received_at", "value", "quality")
_LOOKUPS = 8
"""Into how many spans the suspects of one batch are cut at most; each costs a look at the row groups it touches."""

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Footprint:
    """What the store may use: memory and threads, and how large its log grows before a checkpoint; sizes as "64MB"."""

    memory: str = "512MB"
    threads: int = 1
    log: str = "16MB"

    def settings(self) -> dict[str, Any]:
        return {
            "memory_limit": self.memory,
            "threads": self.threads,
            "checkpoint_threshold": self.log,
            "autoinstall_known_extensions": False,
        }


class DuckDbStore:
    """An `ingest.store.ReadingStore` in the file `path`, opened by `open` or at the first use.

    The newest readings stand in memory; opening reads them from the file, about 25 ms for a million readings.
    """

    def __init__(self, path: Path, footprint: Footprint | None = None) -> None:
        self._path = path
        self._footprint = footprint or Footprint()
        self._writing = threading.Lock()
        self._seen = threading.RLock()
        self._root: duckdb.DuckDBPyConnection | None = None

    def open(self) -> Self:
        """Open or create the file. Raises StoreBusy when another process owns it, else StoreUnavailable."""
        with self._seen:
            self._connection()
        return self

    def append(self, batch: Sequence[tuple[Offset, Block]]) -> Appended:
        with self._writing:
            applied, counts = self.applied(), self.counts()
            fresh = [(offset, block) for offset, block in batch if offset > applied]
            received = sum(len(block) for _, block in fresh)
            replayed = sum(len(block) for _, block in batch) - received
            if not fresh:
                return Appended(0, 0, replayed)
            rows, applied = _last_writes([block for _, block in fresh]), fresh[-1][0]
            with self._seen:
                self._newest.reach(int(rows["series"].max(initial=-1)))
            with self._transaction() as cursor:
                stored = len(rows["at"]) - self._delete_old(cursor, rows)
                counts = Counts(counts.stored + stored, counts.duplicate + received - stored)
                _insert(cursor, rows)
                cursor.execute("DELETE FROM applied")
                cursor.execute("INSERT INTO applied VALUES (?, ?, ?, ?)", [*applied, *counts])
            with self._seen:
                self._newest.fold(rows["series"], rows["at"], rows["value"], rows["quality"])
                self._applied, self._counts = applied, counts
        return Appended(stored, received - stored, replayed)

    def applied(self) -> Offset:
        with self._seen:
            self._connection()
            return self._applied

    def latest(self, series: Sequence[int]) -> dict[int, Point]:
        with self._seen:
            self._connection()
            return self._newest.points(series)

    def range(self, series: int, since: int, until: int, points: int) -> Curve:
        if points < 1:
            raise ValueError(f"a curve of {points} points can't be drawn")
        width = max(1, -(-(until - since) // points))
        with self._reading() as cursor:
            span = {"series": series, "since": since, "until": until}
            row = cursor.execute(f"SELECT count(*) {_SPAN}", span).fetchone()
            if row is not None and row[0] <= points:
                found = cursor.execute(f'SELECT "at", value {_SPAN} ORDER BY "at"', span).fetchnumpy()
                return Curve(found["at"], found["value"], found["value"], found["value"])
            found = cursor.execute(_BUCKETS, span | {"width": width}).fetchnumpy()
        return Curve(found["at"], found["low"], found["mean"], found["high"])

    def counts(self) -> Counts:
        with self._seen:
            self._connection()
            return self._counts

    def retain(self, before: int) -> int:
        with self._writing:
            with self._transaction() as cursor:
                gone = _changed(cursor.execute('DELETE FROM reading WHERE "at" < ?', [before]))
            with self._seen:
                self._newest.forget(before)
        return gone

    def close(self) -> None:
        with self._writing:
            self._release()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        """The connection that holds the file open; what is known of its content is read when it is made."""
        if self._root is None:
            root = self._connect()
            applied = root.execute("SELECT * FROM applied").fetchone()
            self._newest = _read_newest(root)
            self._applied = Offset(*applied[:2]) if applied else START
            self._counts = Counts(*applied[2:]) if applied else Counts(0, 0)
            self._root = root
        return self._root

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            root = duckdb.connect(str(self._path), config=self._footprint.settings())
            root.execute(_SCHEMA)
        except duckdb.Error as error:
            if "lock on file" in str(error):
                raise StoreBusy(f"another process has the readings store {self._path} open: stop it first") from error
            raise StoreUnavailable(f"the readings store {self._path} can't be opened: {error}") from error
        return root

    def _release(self) -> None:
        with self._seen:
            if self._root is not None:
                self._root.close()
                self._root = None

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One consistent read transaction of this thread's own."""
        with self._seen:
            cursor = self._connection().cursor()
        try:
            cursor.begin()
            yield cursor
        except duckdb.Error as error:
            raise StoreUnavailable(f"the readings store {self._path} can't be read: {error}") from error
        finally:
            cursor.close()

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One write transaction; after a failure the file is opened anew, because only it tells what was kept."""
        with self._seen:
            cursor = self._connection().cursor()
        try:
            cursor.begin()
            yield cursor
            cursor.commit()
        except duckdb.Error as error:
            cursor.close()
            self._release()
            raise StoreUnavailable(f"the readings store {self._path} can't be written: {error}") from error
        finally:
            cursor.close()

    def _delete_old(self, cursor: duckdb.DuckDBPyConnection, rows: Columns) -> int:
        """Delete what stands at the (series, at) of these rows; how many there were."""
        suspect = self._newest.suspects(rows["series"], rows["at"])
        if not suspect.any():
            return 0
        series, at = rows["series"][suspect], rows["at"][suspect]
        gone = 0
        for part in _spans(at):
            cursor.register("suspect", {"series": series[part], "at": at[part]})
            gone += _changed(cursor.execute(_REPLACE, [int(at[part].min()), int(at[part].max())]))
            cursor.unregister("suspect")
        return gone


def _last_writes(blocks: Sequence[Block]) -> Columns:
    """The readings of these blocks, each (series, at) once, ordered by both."""
    columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in _COLUMNS}
    rows = last_of_each(columns["series"], columns["at"])
    return {name: column[rows] for name, column in columns.items()}


def _spans(at: npt.NDArray[np.int64]) -> list[npt.NDArray[np.intp]]:
    """Rows grouped by time, cut at the widest gaps over an hour, so that one old reading costs little."""
    order = np.argsort(at)
    gaps = np.diff(at[order])
    widest = np.argsort(gaps)[-(_LOOKUPS - 1) :]
    cuts = np.sort(widest[gaps[widest] > HOUR]) + 1
    return np.split(order, cuts)


def _insert(cursor: duckdb.DuckDBPyConnection, rows: Columns) -> None:
    cursor.register("fresh", rows)
    cursor.execute('INSERT INTO reading SELECT series, "at", received_at, value, quality FROM fresh')
    cursor.unregister("fresh")


def _changed(done: duckdb.DuckDBPyConnection) -> int:
    row = done.fetchone()
    return int(row[0]) if row else 0


def _read_newest(connection: duckdb.DuckDBPyConnection) -> Newest:
    found = connection.execute(_NEWEST).fetchnumpy()
    newest = Newest()
    if len(found["series"]):
        newest.reach(int(found["series"][-1]))
        newest.fold(found["series"], found["at"], found["value"], found["quality"])
    return newest
