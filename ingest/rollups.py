"""Roll-ups: least, mean and greatest value and count of every series by 5 minutes and by the hour, for any store.

The consumer follows the journal and notes which buckets readings touch. Once a bucket is over and the store has what
was noted, its readings are read back, summed up and kept; a late reading has its bucket summed up anew within a minute.
Hours are made of their 5 minutes. All of it replaces itself, so that a restart may do it twice.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import structlog

from core.clock import DAY, HOUR, SECOND, Clock
from core.journal import Journal, Offset, RecordKind
from ingest.follow import follow
from ingest.store import FIVE_MINUTES, ONE_HOUR, ReadingStore, RollUp, Rows, StoreUnavailable
from ingest.words import Block

GRACE = 10 * SECOND
"""How long after a bucket's end its readings may still come without being late."""
PACE = 30 * SECOND
"""The least time between two rounds, so that stragglers are summed up together."""
_PAUSE = 5 * SECOND
_MOST_SERIES, _MOST_READINGS = 20_000, 250_000
_MOST_PARTS, _MOST_NOTED = 256, 200_000

Series = npt.NDArray[np.int32]

_log = structlog.get_logger()


def summed(rows: Rows, width: int) -> RollUp:
    """Readings summed up by buckets of `width` µs.

    >>> rows = Rows(np.array([1, 1, 1], np.int32), np.array([0, 4, 7]), np.array([3.0, 1.0, 8.0]))
    >>> found = summed(rows, 5)
    >>> found.start.tolist(), found.low.tolist(), found.mean.tolist(), found.high.tolist(), found.count.tolist()
    ([0, 5], [1.0, 8.0], [2.0, 8.0], [3.0, 8.0], [2, 1])
    """
    start = rows.at // width * width
    first = _firsts(rows.series, start)
    if not len(first):
        return _nothing()
    count = np.diff(first, append=len(rows))
    low, high = np.minimum.reduceat(rows.value, first), np.maximum.reduceat(rows.value, first)
    return RollUp(rows.series[first], start[first], low, np.add.reduceat(rows.value, first) / count, high, count)


def merged(fine: RollUp, width: int) -> RollUp:
    """Buckets put together into wider ones, a whole number of times their width."""
    start = fine.start // width * width
    first = _firsts(fine.series, start)
    if not len(first):
        return _nothing()
    count = np.add.reduceat(fine.count, first)
    mean = np.add.reduceat(fine.mean * fine.count, first) / count
    low, high = np.minimum.reduceat(fine.low, first), np.maximum.reduceat(fine.high, first)
    return RollUp(fine.series[first], start[first], low, mean, high, count)


def _firsts(series: Series, start: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    begins = np.ones(len(series), np.bool_)
    begins[1:] = (series[1:] != series[:-1]) | (start[1:] != start[:-1])
    return np.flatnonzero(begins)


def _nothing() -> RollUp:
    ints, floats = np.empty(0, np.int64), np.empty(0, np.float64)
    return RollUp(np.empty(0, np.int32), ints, floats, floats, floats, ints)


class Share(NamedTuple):
    """Series that touched a bucket, and with about how many readings."""

    series: Series
    readings: int


@dataclass(slots=True)
class _Bucket:
    """A bucket that was touched: the record before the first touch, its moment, and by which series."""

    before: Offset
    since: int
    parts: list[Series] = field(default_factory=list)
    noted: int = 0
    readings: int = 0

    def add(self, series: Series) -> None:
        self.parts.append(series)
        self.noted += len(series)
        self.readings += len(series)
        if len(self.parts) > _MOST_PARTS or self.noted > _MOST_NOTED:
            self.parts = [self.series()]
            self.noted = 0

    def series(self) -> Series:
        return np.unique(np.concatenate(self.parts))


class Touched:
    """The 5-minute buckets that have readings since they were last summed up."""

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}

    def note(self, block: Block, before: Offset, now: int) -> None:
        """Take in a block that stands behind the offset `before`."""
        start = block.at // FIVE_MINUTES * FIVE_MINUTES
        for moment in np.unique(start).tolist():
            bucket = self._buckets.setdefault(moment, _Bucket(before, now))
            bucket.add(block.series[start == moment].astype(np.int32))

    def take(self, now: int) -> dict[int, Share]:
        """Take out what can be summed up: the series by their bucket's start.

        That is a bucket that is over, or one of the future that was touched two widths ago.
        """
        over = now - GRACE - FIVE_MINUTES
        due = [start for start, bucket in self._buckets.items() if min(start, bucket.since + FIVE_MINUTES) <= over]
        taken = {start: self._buckets.pop(start) for start in sorted(due)}
        return {start: Share(bucket.series(), bucket.readings) for start, bucket in taken.items()}

    def before(self) -> Offset | None:
        """The offset behind which all that is noted stands, None when nothing is."""
        return min((bucket.before for bucket in self._buckets.values()), default=None)


@dataclass(frozen=True)
class _Round:
    """What is to be summed up as soon as the store has applied `upto`."""

    due: Mapping[int, Share]
    upto: Offset


class RollUps:
    """Keeps the roll-ups of a store. `keep` is for how many µs readings (0) and the roll-ups of each width are kept."""

    consumer = "rollup"

    def __init__(self, journal: Journal, store: ReadingStore, clock: Clock, keep: Mapping[int, int]) -> None:
        self._journal, self._store, self._clock, self._keep = journal, store, clock, keep
        self._touched = Touched()
        self._round: _Round | None = None
        self._last = Offset(0, 0)
        self._next_round = self._next_try = self._next_retain = 0

    def run(self, ending: threading.Event) -> None:
        """Follow the journal from what was acknowledged, at most a few minutes behind its head."""
        place = self._last = self._journal.acknowledged(self.consumer)
        self._touched, self._round = Touched(), None
        for records in follow(self._journal, place, ending):
            now = self._clock.now()
            for record in records:
                if record.kind is RecordKind.BLOCK:
                    self._touched.note(Block.from_bytes(record.payload), place, now)
                    self._last = record.offset
                place = record.offset
            if now >= self._next_try:
                self._step(place, now)

    def _step(self, place: Offset, now: int) -> None:
        try:
            if self._round is None and now >= self._next_round:
                self._begin(now)
            if self._round and self._store.applied() >= self._round.upto:
                self._sum_up(self._round.due, now)
                self._round = None
            if self._round is None:
                self._journal.acknowledge(self.consumer, self._touched.before() or place)
            if now >= self._next_retain:
                self._retain(now)
        except StoreUnavailable as error:
            _log.warning("roll-ups wait for the readings store", why=str(error))
            self._next_try = now + _PAUSE

    def _begin(self, now: int) -> None:
        if due := self._touched.take(now):
            self._round = _Round(due, self._last)
            self._next_round = now + PACE

    def _sum_up(self, due: Mapping[int, Share], now: int) -> None:
        """Sum up these buckets and the hours they are in; what is older than the readings that are kept stays."""
        oldest = now - self._keep[0]
        young = {start: share for start, share in due.items() if start >= oldest}
        for since, until, series in _together(young, FIVE_MINUTES):
            self._store.put_rollup(FIVE_MINUTES, summed(self._store.rows(series, since, until), FIVE_MINUTES))
        hours: dict[int, list[Series]] = {}
        for start, share in young.items():
            hours.setdefault(start // HOUR * HOUR, []).append(share.series)
        whole = {hour: Share(np.unique(np.concatenate(parts)), 0) for hour, parts in hours.items()}
        for since, until, series in _together(whole, ONE_HOUR):
            fine = self._store.rollup(FIVE_MINUTES, series, since, until)
            self._store.put_rollup(ONE_HOUR, merged(fine, ONE_HOUR))

    def _retain(self, now: int) -> None:
        self._next_retain = now + HOUR  # a server that refuses to delete is asked no oftener
        for width in (FIVE_MINUTES, ONE_HOUR):
            self._store.retain_rollup(width, now - self._keep[width])
        self._next_retain = now + DAY


def _together(buckets: Mapping[int, Share], width: int) -> Iterator[tuple[int, int, Series]]:
    """Spans of whole buckets and their series: large buckets in slices, small ones that follow each other at once."""
    group: dict[int, Share] = {}
    for start, share in sorted(buckets.items()):
        apart = group and (start - max(group) > HOUR or start - min(group) >= DAY)
        if apart or _slices([*group.values(), share]) > 1:
            yield from _sliced(group, width)
            group = {}
        group[start] = share
    yield from _sliced(group, width)


def _slices(shares: Collection[Share]) -> int:
    """In how many parts these are read, so that one stays small in memory."""
    series, readings = sum(len(share.series) for share in shares), sum(share.readings for share in shares)
    return max(1, -(-series // _MOST_SERIES), -(-readings // _MOST_READINGS))


def _sliced(group: Mapping[int, Share], width: int) -> Iterator[tuple[int, int, Series]]:
    if not group:
        return
    series = np.unique(np.concatenate([share.series for share in group.values()]))
    for part in np.array_split(series, _slices(group.values())):
        if len(part):
            yield min(group), max(group) + width, part
