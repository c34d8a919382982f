"""The journal in one SQLite file: WAL, synchronous=FULL, one commit a batch."""

import shutil
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from core.clock import HOUR, SECOND
from core.journal import Entry, JournalError, JournalFull, Offset, Record, RecordKind, RegistryMismatch

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    n INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind INTEGER NOT NULL,
    weight INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS consumer (
    name TEXT PRIMARY KEY, n INTEGER NOT NULL, dropped_records INTEGER NOT NULL DEFAULT 0,
    dropped_readings INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""
_FORMAT = "1"
_CACHE_RECORDS = 512
_CACHE_BYTES = 64 * 2**20
_TRIM_STEP = 20_000
_FULL_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC}
_ALWAYS_TAKEN = {RecordKind.TICK, RecordKind.CONTROL}  # small, and time must go on for the detectors
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Quota:
    """How much the journal may hold.

    `limit` bytes of its own; `reserve` bytes of the disk stay free for the alert database; `span` µs are kept for
    replay while there is room. At the limit the oldest records that only the `droppable` consumers still wait for go.
    """

    limit: int = 8 * 2**30
    reserve: int = 2**30
    span: int = 24 * HOUR
    droppable: frozenset[str] = frozenset({"store"})


@dataclass(frozen=True)
class JournalUse:
    """How full the journal is. `share` is of the limit; dropped counts are by consumer."""

    bytes: int
    limit: int
    disk_free: int
    records: int
    dropped_readings: dict[str, int]

    @property
    def share(self) -> float:
        return self.bytes / self.limit


class SqliteJournal:
    """A `core.journal.Journal` in `path`; several threads and processes may hold one open.

    Every consumer that must not miss a record is named in `consumers` when the journal is opened: what none of them
    has acknowledged is kept.
    """

    def __init__(
        self,
        path: Path,
        registry_id: str,
        consumers: Sequence[str] = (),
        quota: Quota | None = None,
        disk_free: Callable[[Path], int] | None = None,
    ) -> None:
        self._path = path
        self._quota = quota or Quota()
        self._disk_free = disk_free or (lambda place: shutil.disk_usage(place).free)
        self._lock = threading.RLock()
        self._grown = threading.Condition()
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        try:
            self._open(registry_id, consumers)
        except sqlite3.Error as error:
            raise JournalError(f"the journal {path} can't be opened: {error}") from error
        self._clock = 0
        self._cache: deque[Record] = deque()
        self._cache_bytes = 0
        self._pending: dict[str, int] = {}

    def _open(self, registry_id: str, consumers: Sequence[str]) -> None:
        self._connection = self._connect()
        self._connection.executescript(SCHEMA)
        self._claim(registry_id)
        for consumer in consumers:
            self._connection.execute("INSERT OR IGNORE INTO consumer (name, n) VALUES (?, 0)", (consumer,))
        self._head, self._last_time = self._read_head()
        self._tail = self._read_tail()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4000"):
            connection.execute(f"PRAGMA {pragma}")
        self._opened.append(connection)
        return connection

    def _reader(self) -> sqlite3.Connection:
        """A connection of this thread's own, so that a reader never waits for the writer."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _claim(self, registry_id: str) -> None:
        kept = dict(self._connection.execute("SELECT key, value FROM meta"))
        if not kept:
            rows = [("registry_id", registry_id), ("format", _FORMAT)]
            self._connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", rows)
            kept = dict(self._connection.execute("SELECT key, value FROM meta"))
        if kept["format"] != _FORMAT:
            raise JournalError(f"{self._path} has format {kept['format']}, this version reads format {_FORMAT}")
        if kept["registry_id"] != registry_id:
            raise RegistryMismatch(
                f"the journal {self._path} belongs to registry {kept['registry_id']}, the database is registry "
                f"{registry_id}: restore both from the same backup, or move the journal away to start a new one"
            )
        self._registry_id = registry_id

    def _read_head(self) -> tuple[int, int]:
        """The last offset ever given and the time of the newest record that is kept."""
        given = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'record'").fetchone()
        newest = self._connection.execute("SELECT time FROM record ORDER BY n DESC LIMIT 1").fetchone()
        return int(given[0]) if given else 0, int(newest[0]) if newest else 0

    def _read_tail(self) -> int:
        row = self._connection.execute("SELECT n FROM record ORDER BY n LIMIT 1").fetchone()
        return int(row[0]) - 1 if row else self._head

    @property
    def registry_id(self) -> str:
        return self._registry_id

    def start_after(self, offset: Offset) -> None:
        """Give no offset at or before this one again, and append at once.

        For a journal that was begun anew, or restored, beside stores that have applied more: they would take its
        records for ones that they know.
        """
        with self._lock:
            self._translated(lambda: self._start_after(offset.n))

    def _start_after(self, n: int) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        self._head, _ = self._read_head()
        if n > self._head:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'record'")
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('record', ?)", (n,))
            self._head = n
        connection.execute("COMMIT")
        self._tail = self._read_tail()

    def append(self, entries: Sequence[Entry], now: int) -> Offset:
        if not entries:
            return self.head()
        with self._lock:
            offset = self._translated(lambda: self._append(entries, now))
        with self._grown:
            self._grown.notify_all()
        return offset

    def _translated(self, work: Callable[[], _Answer]) -> _Answer:
        """Run `work`; a full disk rolls back and becomes JournalFull, any other failure JournalError."""
        try:
            return work()
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if getattr(error, "sqlite_errorcode", None) in _FULL_CODES:
                raise JournalFull(f"the disk of {self._path} is full") from error
            raise JournalError(f"{self._path}: {error}") from error

    def _make_room(self, now: int) -> None:
        """At the limit or the disk's reserve drop what may be dropped; JournalFull when that is not enough."""
        if self._has_room():
            return
        self.trim(now)
        if not self._has_room():
            raise JournalFull(
                f"{self._path} is at its quota of {self._quota.limit} bytes, or less than {self._quota.reserve} bytes "
                "are free on its disk, and detectors still need what it holds"
            )

    def _has_room(self) -> bool:
        return self._bytes() < self._quota.limit and self._disk_free(self._path.parent) >= self._quota.reserve

    def _bytes(self) -> int:
        pages, free, size = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _append(self, entries: Sequence[Entry], now: int) -> Offset:
        if any(entry.kind not in _ALWAYS_TAKEN for entry in entries):
            self._make_room(now)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        head, last_time = self._read_head()
        time = self._time_after(max(last_time, self._last_time), now)
        rows = [(head + i, time, kind, weight, data) for i, (kind, data, weight) in enumerate(entries, 1)]
        connection.executemany("INSERT INTO record (n, time, kind, weight, payload) VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
        self._remember([Record(Offset(0, n), time, kind, data) for n, time, kind, _, data in rows])
        self._head, self._last_time = rows[-1][0], time
        return Offset(0, self._head)

    def _time_after(self, last: int, now: int) -> int:
        """The clock's time; where it was set back the last one, going on a tenth slower than the clock until that has
        caught up."""
        behind = 0 < self._clock < last
        passed = min(max(now - self._clock, 0), SECOND) if behind else 0
        self._clock = now
        return max(now, last + passed * 9 // 10)

    def _remember(self, records: list[Record]) -> None:
        """Keep the newest records in memory, so that a consumer that keeps up reads no file."""
        if self._cache and self._cache[-1].offset.n + 1 != records[0].offset.n:
            self._cache.clear()  # another process appended in between
            self._cache_bytes = 0
        self._cache.extend(records)
        self._cache_bytes += sum(len(record.payload) for record in records)
        while len(self._cache) > _CACHE_RECORDS or self._cache_bytes > _CACHE_BYTES:
            self._cache_bytes -= len(self._cache.popleft().payload)

    def read(self, after: Offset, limit: int) -> list[Record]:
        with self._lock:
            if self._cache and self._cache[0].offset.n <= after.n + 1 <= self._cache[-1].offset.n:
                skip = after.n + 1 - self._cache[0].offset.n
                return list(islice(self._cache, skip, skip + limit))
        rows = self._reader().execute(
            "SELECT n, time, kind, payload FROM record WHERE n > ? ORDER BY n LIMIT ?", (after.n, limit)
        )
        return [Record(Offset(0, n), time, RecordKind(kind), payload) for n, time, kind, payload in rows]

    def wait(self, after: Offset, timeout: float) -> bool:
        if self._head > after.n or self.head() > after:  # another process appends unseen
            return True
        with self._grown:
            return self._grown.wait_for(lambda: self._head > after.n, timeout) or self.head() > after

    def head(self) -> Offset:
        row = self._reader().execute("SELECT max(n) FROM record").fetchone()
        return Offset(0, max(int(row[0] or 0), self._head))

    def tail(self) -> Offset:
        return Offset(0, self._tail)

    def last_time(self) -> int:
        return self._last_time

    def acknowledge(self, consumer: str, offset: Offset) -> None:
        with self._lock:
            self._pending[consumer] = max(offset.n, self._pending.get(consumer, 0))

    def acknowledged(self, consumer: str) -> Offset:
        row = self._reader().execute("SELECT n FROM consumer WHERE name = ?", (consumer,)).fetchone()
        return Offset(0, int(row[0]) if row else 0)

    def flush(self) -> None:
        """Make the acknowledgements so far durable."""
        with self._lock:
            if not self._pending:
                return
            self._connection.executemany(
                "INSERT INTO consumer (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = max(n, excluded.n)",
                self._pending.items(),
            )
            self._pending = {}

    def use(self) -> JournalUse:
        """How full the journal is, and what the quota dropped."""
        with self._lock:
            dropped = dict(self._connection.execute("SELECT name, dropped_readings FROM consumer"))
            free = self._disk_free(self._path.parent)
            return JournalUse(self._bytes(), self._quota.limit, free, self._head - self._tail, dropped)

    def trim(self, now: int) -> int:
        """Delete what nobody needs and what the quota forces out; how many records went. Call it every few seconds.

        Read by all and older than the span: always. Read by all: at the limit. Waited for by droppable consumers
        alone: at the limit too, counted by consumer. Waited for by any other consumer: never.
        """
        with self._lock:
            return self._translated(lambda: self._trim(now))

    def _trim(self, now: int) -> int:
        connection = self._connection
        self.flush()
        offsets = dict(connection.execute("SELECT name, n FROM consumer"))
        read_by_all = min(offsets.values(), default=self._head)
        needed = min((n for name, n in offsets.items() if name not in self._quota.droppable), default=self._head)
        self._tail = self._read_tail()  # another process trims too
        gone = self._delete(min(self._older_than(now - self._quota.span), read_by_all))
        excess = self.use()
        while (excess.share >= 1 or excess.disk_free < self._quota.reserve) and self._tail < needed:
            gone += self._delete(min(self._tail + max(1, excess.records // 20), needed))
            excess = self.use()
        return gone

    def _older_than(self, before: int) -> int:
        """How far records are older than `before`, one step at most; searched from the tail, so that what stays isn't
        read."""
        furthest = self._tail + _TRIM_STEP
        young = "SELECT n FROM record WHERE n > ? AND n <= ? AND time >= ? ORDER BY n LIMIT 1"
        row = self._connection.execute(young, (self._tail, furthest, before)).fetchone()
        return int(row[0]) - 1 if row else furthest

    def _delete(self, upto: int) -> int:
        """Delete the records up to and with `upto`, counting them for the consumers that had not read them."""
        if upto <= self._tail:
            return 0
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "UPDATE consumer SET dropped_records = dropped_records + "
            "(SELECT count(*) FROM record WHERE record.n > consumer.n AND record.n <= :upto), "
            "dropped_readings = dropped_readings + (SELECT coalesce(sum(weight), 0) FROM record "
            "WHERE record.n > consumer.n AND record.n <= :upto), n = :upto WHERE n < :upto",
            {"upto": upto},
        )
        gone = connection.execute("DELETE FROM record WHERE n <= ?", (upto,)).rowcount
        connection.execute("COMMIT")
        connection.execute("PRAGMA incremental_vacuum").fetchall()
        self._tail = upto
        return gone

    def close(self) -> None:
        self.flush()
        with self._lock:
            for connection in self._opened:
                connection.close()


TRIM_INTERVAL = 5 * SECOND
"""How often the owner of a journal calls `trim`."""
