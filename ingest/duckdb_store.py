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

from core.clock import MINUTE
from core.journal import START, Offset
from ingest.newest import Columns, Newest, last_writes, spans
from ingest.store import (
    FIVE_MINUTES,
    ONE_HOUR,
    Appended,
    Counts,
    Curve,
    Point,
    RollUp,
    Rows,
    Slice,
    StoreBusy,
    StoreUnavailable,
)
from ingest.words import Block

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reading (
    series INTEGER NOT NULL, "at" BIGINT NOT NULL, received_at BIGINT NOT NULL,
    value DOUBLE NOT NULL, quality USMALLINT NOT NULL);
CREATE TABLE IF NOT EXISTS applied (
    "partition" INTEGER NOT NULL, n BIGINT NOT NULL, stored BIGINT NOT NULL, duplicate BIGINT NOT NULL);
"""
_ROLLUP_SCHEMA = """
CREATE TABLE IF NOT EXISTS {table} (
    series INTEGER NOT NULL, start BIGINT NOT NULL, low DOUBLE NOT NULL, mean DOUBLE NOT NULL, high DOUBLE NOT NULL,
    count BIGINT NOT NULL);
"""
_ROLLUPS = {FIVE_MINUTES: "rollup_5m", ONE_HOUR: "rollup_1h"}
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
_KNOWN = "reading WHERE received_at >= ? AND received_at < ?"
_COLUMNS = 'series, "at", received_at, value, quality'


@dataclass(frozen=True)
class Footprint:
    """What the store may use: memory and threads, and how large its log grows before a checkpoint; sizes as "64MB".

    DuckDB keeps what it wrote in memory up to its limit, so that `memory` is what the store takes for good. Reading the
    newest reading of a million series wants more, for a second: `opening`.
    """

    memory: str = "64MB"
    opening: str = "512MB"
    threads: int = 1
    log: str = "16MB"

    def settings(self) -> dict[str, Any]:
        return {
            "memory_limit": self.opening,
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
            rows, applied = last_writes([block for _, block in fresh]), fresh[-1][0]
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

    def rows(self, series: npt.NDArray[np.int32], since: int, until: int) -> Rows:
        with self._reading() as cursor:
            cursor.register("wanted", {"series": series})
            span = 'reading."at" >= ? AND reading."at" < ?'
            asked = f'SELECT reading.series, "at", value FROM reading SEMI JOIN wanted USING (series) WHERE {span}'
            found = cursor.execute(f"{asked} ORDER BY 1, 2", [since, until]).fetchnumpy()
        return Rows(found["series"], found["at"], found["value"])

    def slices(self, series: npt.NDArray[np.int32] | None, since: int, until: int, most: int) -> list[Slice]:
        with self._reading() as cursor:
            asked = f"SELECT received_at // {MINUTE} AS minute, count(*) AS readings FROM {_of(cursor, series)}"
            found = cursor.execute(f"{asked} GROUP BY 1 ORDER BY 1", [since, until]).fetchnumpy()
        return sliced(found["minute"] * MINUTE, found["readings"], since, until, most)

    def scan(self, series: npt.NDArray[np.int32] | None, since: int, until: int) -> Block:
        with self._reading() as cursor:
            asked = f"SELECT {_COLUMNS} FROM {_of(cursor, series)}"
            return ordered(cursor.execute(asked, [since, until]).fetchnumpy())

    def export(self, series: npt.NDArray[np.int32] | None, since: int, until: int, file: Path) -> None:
        """Write what `scan` gives, in no order, into a Parquet file for another process: see `exported`."""
        with self._reading() as cursor:
            chosen = f"SELECT {_COLUMNS} FROM {_of(cursor, series)}"
            kind = "(FORMAT parquet, COMPRESSION uncompressed)"
            cursor.execute(f"COPY ({chosen}) TO '{str(file).replace(chr(39), chr(39) * 2)}' {kind}", [since, until])

    def put_rollup(self, width: int, rollup: RollUp) -> None:
        table = _ROLLUPS[width]
        if not len(rollup):
            return
        with self._writing, self._transaction() as cursor:
            cursor.register("fresh", {name: getattr(rollup, name) for name in RollUp.__slots__})
            ends = [int(rollup.start.min()), int(rollup.start.max())]
            same = f"{table}.series = fresh.series AND {table}.start = fresh.start"
            cursor.execute(f"DELETE FROM {table} USING fresh WHERE {table}.start BETWEEN ? AND ? AND {same}", ends)
            cursor.execute(f"INSERT INTO {table} SELECT series, start, low, mean, high, count FROM fresh")

    def rollup(self, width: int, series: npt.NDArray[np.int32], since: int, until: int) -> RollUp:
        table = _ROLLUPS[width]
        with self._reading() as cursor:
            cursor.register("wanted", {"series": series})
            asked = f"SELECT {table}.* FROM {table} SEMI JOIN wanted USING (series) WHERE start >= ? AND start < ?"
            found = cursor.execute(f"{asked} ORDER BY series, start", [since, until]).fetchnumpy()
        return RollUp(*(found[name] for name in RollUp.__slots__))

    def retain_rollup(self, width: int, before: int) -> None:
        with self._writing, self._transaction() as cursor:
            cursor.execute(f"DELETE FROM {_ROLLUPS[width]} WHERE start < ?", [before])

    def close(self) -> None:
        with self._writing:
            self._release()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        """The connection that holds the file open; what is known of its content is read when it is made."""
        if self._root is None:
            root = self._connect()
            applied = root.execute("SELECT * FROM applied").fetchone()
            self._newest = _read_newest(root)
            root.execute(f"SET memory_limit = '{self._footprint.memory}'")
            self._applied = Offset(*applied[:2]) if applied else START
            self._counts = Counts(*applied[2:]) if applied else Counts(0, 0)
            self._root = root
        return self._root

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            root = duckdb.connect(str(self._path), config=self._footprint.settings())
            root.execute(_SCHEMA + "".join(_ROLLUP_SCHEMA.format(table=table) for table in _ROLLUPS.values()))
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
        for part in spans(at):
            cursor.register("suspect", {"series": series[part], "at": at[part]})
            gone += _changed(cursor.execute(_REPLACE, [int(at[part].min()), int(at[part].max())]))
            cursor.unregister("suspect")
        return gone


def exported(file: Path) -> Block:
    """What `DuckDbStore.export` wrote, in the order in which it was known."""
    with duckdb.connect(config={"threads": 1}) as connection:
        return ordered(connection.execute(f"SELECT {_COLUMNS} FROM read_parquet(?)", [str(file)]).fetchnumpy())


def ordered(columns: Columns) -> Block:
    """A block of these columns by their receipt; what came at once by its own time."""
    if (np.diff(columns["received_at"]) < 0).any():
        order = np.lexsort((columns["at"], columns["received_at"]))
        columns = {name: column[order] for name, column in columns.items()}
    return Block(*(np.asarray(columns[name]) for name in ("series", "at", "received_at", "value", "quality")))


def sliced(
    minute: npt.NDArray[np.int64], readings: npt.NDArray[np.int64], since: int, until: int, most: int
) -> list[Slice]:
    """Spans of whole minutes, from counts by minute (its start, µs), each of at most `most` readings or one minute.

    >>> one = np.array([1, 1, 3])
    >>> sliced(np.array([0, 1, 2]) * MINUTE, one, 0, 3 * MINUTE, 2)
    [Slice(since=0, until=120000000, readings=2), Slice(since=120000000, until=180000000, readings=3)]
    """
    found: list[Slice] = []
    for start, count in zip(minute.tolist(), readings.tolist(), strict=True):
        begin, end = max(start, since), min(start + MINUTE, until)
        if found and found[-1].readings + count <= most:
            found[-1] = found[-1]._replace(until=end, readings=found[-1].readings + count)
        else:
            found.append(Slice(begin, end, count))
    return found


def _of(cursor: duckdb.DuckDBPyConnection, series: npt.NDArray[np.int32] | None) -> str:
    """The readings that were known within two moments, of all series or of these."""
    if series is None:
        return _KNOWN
    cursor.register("wanted", {"series": series})
    return f"{_KNOWN} AND series IN (SELECT series FROM wanted)"


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
