"""Which notices go into the next message of a channel: the most urgent address that may have one now."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, or_, select

from alerts.batching import decide_batch
from alerts.channels import Channel
from alerts.tables import notice
from alerts.traffic import Traffic
from detectors.words import Severity

_PAGE = 64
_COLUMN = notice.c
ORDER = (_COLUMN.life_safety.desc(), _COLUMN.severity.desc(), _COLUMN.due_at, _COLUMN.id)
"""Who goes first: life-safety, then severity, then the longest due."""
URGENT = or_(_COLUMN.life_safety, _COLUMN.severity >= int(Severity.CRITICAL))
"""What rings people."""


class Waiting(NamedTuple):
    """What decides about a notice that waits."""

    id: int
    address: str
    recipient_kind: str
    recipient: str
    life_safety: bool
    severity: int
    due_at: int
    not_after: int


_COLUMNS = [_COLUMN[name] for name in Waiting._fields]


class Picked(NamedTuple):
    """The notices of one message, most urgent first; `hopeless` can't go out in time, as their address is full."""

    channel: str = ""
    ids: tuple[int, ...] = ()
    hopeless: tuple[int, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.ids or self.hopeless)


def pick(connection: Connection, channels: Mapping[str, Channel], traffic: Traffic, now: int) -> Picked:
    """What to send next on these channels: life-safety and severity first, then the longest due.

    What waits for an address that is held or at its limit holds up no other address. Whether a notice is moot is not
    looked at.
    """
    traffic.read_on(connection, now)
    best: tuple[Any, ...] | None = None
    picked, hopeless = Picked(), []
    for name, channel in channels.items():
        look = _Look(connection, channel, traffic, now)
        found = look.next()
        hopeless += look.hopeless
        if found and (best is None or _urgency(found[0]) < best):
            best = _urgency(found[0])
            picked = Picked(name, tuple(row.id for row in found))
    return picked._replace(hopeless=tuple(hopeless))


def _urgency(row: Waiting) -> tuple[Any, ...]:
    return (not row.life_safety, -row.severity, row.due_at, row.id)


class _Look:
    """One look at what waits for one channel."""

    def __init__(self, connection: Connection, channel: Channel, traffic: Traffic, now: int) -> None:
        self._connection, self._channel, self._traffic, self._now = connection, channel, traffic, now
        self._blocked: set[str] = set()
        self.hopeless: list[int] = []

    def next(self) -> Sequence[Waiting]:
        for page in self._pages():
            for row in page:
                if row.address in self._blocked:
                    continue
                waiting = self._waiting(row, page)
                standing = self._traffic.standing(self._channel.name, row.address, self._now)
                limits, most = self._channel.limits, self._channel.most_in_one
                batch = decide_batch(row.life_safety, len(waiting), standing, limits, most, self._now)
                if batch.size:
                    return waiting[: batch.size]
                self._blocked.add(row.address)
                self.hopeless += [each.id for each in waiting if each.not_after <= batch.free_at]
        return ()

    def _pages(self) -> Iterator[Sequence[Waiting]]:
        while True:
            free = [_COLUMN.address.not_in(sorted(self._blocked))] if self._blocked else []
            page = self._read(_PAGE, *free)
            if page:
                yield page
            if len(page) < _PAGE:
                return

    def _waiting(self, first: Waiting, page: Sequence[Waiting]) -> Sequence[Waiting]:
        """What may go with the first: for the same address, and where links are personal the same person."""
        if len(page) == _PAGE and self._channel.most_in_one > 1:
            page = self._read(_PAGE, _COLUMN.address == first.address)
        same = ("address", "recipient_kind", "recipient") if self._channel.one_to_one else ("address",)
        return [row for row in page if all(getattr(row, name) == getattr(first, name) for name in same)]

    def _read(self, most: int, *more: ColumnElement[bool]) -> Sequence[Waiting]:
        channel = self._channel
        due = (_COLUMN.state == "queued", _COLUMN.channel == channel.name, _COLUMN.next_try_at <= self._now)
        rung = (URGENT,) if channel.urgent_only else ()
        found = select(*_COLUMNS).where(*due, *rung, *more).order_by(*ORDER).limit(most)
        return [Waiting(*row) for row in self._connection.execute(found)]
