"""The readings store's port: the writer appends, charts read. `ingest.duckdb_store` is the embedded adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from core.clock import HOUR, MINUTE
from core.journal import Offset
from ingest.words import Block


class StoreError(Exception):
    """The readings store can't do what was asked."""


class StoreBusy(StoreError):
    """Another process owns the store; trying again won't help until it stops."""


class StoreUnavailable(StoreError):
    """The store can't serve now: give the same batch again later, what of it was kept is known by `applied`."""


class Refused(NamedTuple):
    """A reading that the store will never take, with what is known of it: µs UTC, and why it was refused."""

    gateway: str
    device: str
    metric: str
    at: int
    received_at: int
    value: float
    reason: str


class Appended(NamedTuple):
    """What became of a batch's readings.

    `stored` have a (series, at) never kept before; `duplicate` replaced one, in the store or earlier in the batch;
    `replayed` came at or before the applied offset and were dropped; `refused` count in none of these. After a kill the
    last refused ones may be told again.
    """

    stored: int
    duplicate: int
    replayed: int
    refused: tuple[Refused, ...] = ()


class Counts(NamedTuple):
    """Over the whole life of the store: distinct (series, at) ever kept, and readings that replaced one."""

    stored: int
    duplicate: int


class Point(NamedTuple):
    """One reading of a known series: µs UTC, in the metric's unit, `ingest.words.Quality` flags."""

    at: int
    value: float
    quality: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A series over a span, ascending by `at` (int64 µs UTC); `low`, `mean`, `high` are float64 of the same length.

    A raw curve has the value in all three; a downsampled one has a bucket's least, mean and greatest value at the
    newest `at` of the bucket (from a server, when it holds very many readings, at the bucket's end).
    """

    at: npt.NDArray[np.int64]
    low: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings as columns of one length, ordered by series and at, each (series, at) once; times µs UTC."""

    series: npt.NDArray[np.int32]
    at: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.series)


@dataclass(frozen=True, slots=True)
class RollUp:
    """Readings summed up by buckets of one width, ordered by series and `start` (µs UTC), each (series, start) once.

    A bucket's least, mean and greatest value, and how many readings it has (int64, never 0).
    """

    series: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    low: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.series)

    def take(self, rows: Any) -> "RollUp":
        """Some of it, by a slice or a mask."""
        columns = (self.series, self.start, self.low, self.mean, self.high, self.count)
        return RollUp(*(column[rows] for column in columns))


class Slice(NamedTuple):
    """A span of the times at which readings were known, µs; `readings` in it, 0 where the store does not count them."""

    since: int
    until: int
    readings: int


FIVE_MINUTES, ONE_HOUR = 5 * MINUTE, HOUR
"""The widths of the roll-ups, µs."""


class ReadingStore(Protocol):
    """Every reading once per (series, at), the last write winning. One writer; reads from any thread meanwhile."""

    def append(self, batch: Sequence[tuple[Offset, Block]]) -> Appended:
        """Keep the blocks, in the order of their offsets, with the applied offset and the counts.

        A kill at any moment loses nothing that this returned for, and what comes again after it counts once.
        Raises StoreUnavailable.
        """
        ...

    def applied(self) -> Offset:
        """The offset of the last block that is kept, START when none is."""
        ...

    def latest(self, series: Sequence[int]) -> dict[int, Point]:
        """The newest reading by `at` of each of these series that has any."""
        ...

    def range(self, series: int, since: int, until: int, points: int) -> Curve:
        """The readings with since <= at < until: as they are up to `points` of them, else in at most `points` buckets.

        Raises ValueError when `points` isn't positive.
        """
        ...

    def counts(self) -> Counts:
        """How many readings were ever stored, and how many replaced one; retention takes nothing off."""
        ...

    def retain(self, before: int) -> int:
        """Delete the readings with at < before; how many went. One that comes again after that counts as stored."""
        ...

    def rows(self, series: npt.NDArray[np.int32], since: int, until: int) -> Rows:
        """The readings of these series (distinct numbers) with since <= at < until."""
        ...

    def slices(self, series: npt.NDArray[np.int32] | None, since: int, until: int, most: int) -> list[Slice]:
        """[since, until) cut at whole minutes into spans for `scan`, each of at most about `most` readings.

        What has none may be left out. `series` as for `scan`.
        """
        ...

    def scan(self, series: npt.NDArray[np.int32] | None, since: int, until: int) -> Block:
        """The readings of these series (distinct numbers; None: all) that were known within [since, until), in order.

        A reading is known from its receipt on; a store that does not keep receipts gives `at` for it.
        """
        ...

    def put_rollup(self, width: int, rollup: RollUp) -> None:
        """Keep these buckets of `width` (FIVE_MINUTES or ONE_HOUR), each replacing the one of its (series, start)."""
        ...

    def rollup(self, width: int, series: npt.NDArray[np.int32], since: int, until: int) -> RollUp:
        """The buckets of `width` of these series (distinct numbers) with since <= start < until."""
        ...

    def retain_rollup(self, width: int, before: int) -> None:
        """Delete the buckets of `width` with start < before."""
        ...

    def close(self) -> None:
        """Release the store; what `append` returned for is durable."""
        ...
