"""What the platform finds wrong in itself: named faults of plain figures, journalled at each change."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from core.clock import MINUTE
from core.journal import Entry, Journal, JournalError, Offset, RecordKind
from core.sqlite_journal import JournalUse, SqliteJournal
from detectors.faults import PLATFORM
from ingest.words import Event, encode
from ingest.writer import StoreWriter
from shouwang.canary import Standing

Figures = Mapping[str, float | None]
"""By the event's type; None where it can't be told yet."""

_GIGABYTE = 2**30
_SAMPLES = 32
_RECENT = 10 * MINUTE
_log = structlog.get_logger()


class Fault(NamedTuple):
    """One fault of a part of the platform: it begins at `limit` and ends on the good side of `recovery`.

    `below`: it begins when the figure falls.
    """

    part: str
    event: str
    limit: float
    recovery: float
    below: bool = False

    def stands(self, value: float | None, before: bool | None) -> bool | None:
        """Whether it stands; what was known before while the figure is between the two, None for nothing.

        >>> backlog = Fault("journal", "journal_quota", limit=80, recovery=70)
        >>> [backlog.stands(share, None) for share in (80, 75, 69)]
        [True, None, False]
        >>> backlog.stands(75, before=True)
        True
        """
        if value is None:
            return before
        sign = -1 if self.below else 1
        if sign * value >= sign * self.limit:
            return True
        return False if sign * value < sign * self.recovery else before


STORE_BEHIND = Fault("store", "store_behind", limit=5, recovery=2)  # min
CANARY_S = 10.0


def faults(reserve: int, canary_s: float = CANARY_S) -> tuple[Fault, ...]:
    """All faults; `reserve` is how many bytes of the disk the journal leaves free, a canary is sent each `canary_s`."""
    kept = reserve / _GIGABYTE
    return (
        Fault("journal", "journal_quota", limit=80, recovery=70),  # %
        Fault("journal", "readings_dropped", limit=1, recovery=1),  # in the last ten minutes
        STORE_BEHIND,
        Fault("disk", "disk_low", limit=2 * kept, recovery=2.5 * kept, below=True),  # GB
        Fault("broker", "broker_drops", limit=1, recovery=1),  # in the last ten minutes
        Fault("rules", "rules_refused", limit=1, recovery=1),  # errors
        Fault("escalation", "escalation_unsure", limit=1, recovery=1),  # tickets
        Fault("canary", "canary_missed", limit=3 * canary_s, recovery=1.5 * canary_s + 3),  # s
    )


class Lately:
    """How much a count grew in the last ten minutes; one that falls has begun anew."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, float]] = deque()

    def grown(self, now: int, total: float) -> float | None:
        """By how much; None while it did not grow and fewer minutes are known.

        >>> lately = Lately()
        >>> [lately.grown(minute * MINUTE, total) for minute, total in ((0, 5), (1, 7), (2, 1), (13, 1))]
        [None, 2, None, 0]
        """
        if self._seen and total < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, total))
        while len(self._seen) > 1 and self._seen[1][0] <= now - _RECENT:
            self._seen.popleft()
        since, before = self._seen[0]
        return total - before or (0 if now - since >= _RECENT else None)


class SelfWatch:
    """Looks at journal, store and disk, and journals what changed, so that detection finds it at every replay.

    What stands is said once after each start, as soon as it is known: between limit and recovery nothing is, so that a
    restart neither ends a fault nor begins one. `canary` tells how the canary fares, None where it runs elsewhere;
    `drops` how many messages the broker dropped since its start, None while it doesn't say, `refused` how many errors
    keep the rules as they are edited out of force, `unsure` how many tickets have no next step that can be counted on.
    """

    def __init__(
        self,
        journal: SqliteJournal,
        reserve: int,
        canary: Callable[[], Standing | None] = lambda: None,
        canary_s: float = CANARY_S,
        drops: Callable[[], float | None] = lambda: None,
        refused: Callable[[], float | None] = lambda: None,
        unsure: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._journal, self._canary, self._drops, self._refused = journal, canary, drops, refused
        self._unsure = unsure
        self._faults = faults(reserve, canary_s)
        self._figures: Figures = {}
        self._more: dict[str, dict[str, str]] = {}
        self._found: dict[str, bool | None] = {}
        self._said: dict[str, bool] = {}
        self._dropped, self._broker_dropped = Lately(), Lately()
        self._since: int | None = None

    def look(self, now: int) -> None:
        """Judge the present figures; best called when the journal was just trimmed."""
        self._since = now if self._since is None else self._since
        use, beats, drops = self._journal.use(), self._canary(), self._drops()
        self._more = {"canary_missed": {"hop": beats.hop}} if beats else {}
        self._figures = {
            "journal_quota": 100 * waiting_share(self._journal, use),
            "readings_dropped": self._dropped.grown(now, max(use.dropped_readings.values(), default=0)),
            "broker_drops": None if drops is None else self._broker_dropped.grown(now, drops),
            "store_behind": self._store_behind(now, now - self._since),
            "rules_refused": self._refused(),
            "escalation_unsure": self._unsure(),
            "disk_low": use.disk_free / _GIGABYTE,
            "canary_missed": beats.age if beats else None,
        }
        for fault in self._faults:
            before = self._found.get(fault.event)
            self._found[fault.event] = fault.stands(self._figures[fault.event], before)

    def say(self, now: int) -> None:
        """Journal what is news; where the journal takes nothing it stays news."""
        news = {event: stands for event, stands in self._found.items() if stands not in (None, self._said.get(event))}
        if not news:
            return
        entries = [
            Entry(RecordKind.EVENT, encode(self._event(fault, now))) for fault in self._faults if fault.event in news
        ]
        try:
            self._journal.append(entries, now)
        except JournalError as error:
            _log.warning("the journal takes no word of the platform: trying again", news=news, why=str(error))
            return
        self._said |= {event: bool(stands) for event, stands in news.items()}

    def _event(self, fault: Fault, now: int) -> Event:
        value = round(self._figures[fault.event] or 0.0, 2)
        figures = {"active": self._found[fault.event], "value": value, "limit": fault.limit}
        attributes = figures | self._more.get(fault.event, {})
        return Event(PLATFORM, fault.part, fault.event, now, now, attributes)

    def _store_behind(self, now: int, running: int) -> float | None:
        """By how many minutes the store is behind the journal.

        None while it had no more than that to catch up since the start: the platform itself was away.
        """
        unread = self._journal.read(self._journal.acknowledged(StoreWriter.consumer), 1)
        behind = max(0, now - unread[0].time) / MINUTE if unread else 0.0
        return None if behind >= STORE_BEHIND.limit > running / MINUTE else behind


def waiting_share(journal: Journal, use: JournalUse) -> float:
    """How much of its quota the journal needs for records that some consumer has still to read.

    What all have read is kept for replay only while there is room, so that a full journal is no fault by itself.
    """
    read = min((journal.acknowledged(consumer).n for consumer in use.dropped_readings), default=0)
    tail, head = journal.tail().n, journal.head().n
    waiting, kept = _weight(journal, max(read, tail), head), _weight(journal, tail, read)
    return use.share * waiting / (waiting + kept) if waiting else 0.0


def _weight(journal: Journal, after: int, upto: int) -> float:
    """About how many bytes the records behind `after` up to `upto` take, by the mean of some."""
    count = upto - after
    if count <= 0:
        return 0.0
    places = (after + step * count // _SAMPLES for step in range(_SAMPLES)) if count > _SAMPLES else range(after, upto)
    read = [record for place in places for record in journal.read(Offset(0, place), 1)]
    return count * (1 + sum(len(record.payload) for record in read) / max(1, len(read)))
