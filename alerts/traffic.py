"""What went to each address of late, by whichever sender, read from the recorded attempts."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, or_, select

from alerts.batching import Standing
from alerts.channels import Channel
from alerts.owners import LEASE
from alerts.tables import delivery

_COLUMNS = (
    delivery.c.id,
    delivery.c.channel,
    delivery.c.address,
    delivery.c.started_at,
    delivery.c.finished_at,
    delivery.c.hold_until,
)


class Traffic:
    """The attempts of some channels, kept in memory and read on from where they were read last.

    Attempts get their numbers one after the other, each before the next one's transaction begins: what has a higher
    number than the last one read is all that is new, besides the results of those that were under way.
    """

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._names = sorted(channels)
        spans = {name: max((limit.window for limit in each.limits), default=0) for name, each in channels.items()}
        self._spans = spans
        self._seen = -1
        self._under_way: set[int] = set()
        self._sent: dict[tuple[str, str], dict[int, int | None]] = {}
        self._held: dict[tuple[str, str], int] = {}

    def read_on(self, connection: Connection, now: int) -> None:
        """Take in what happened since; in the transaction that decides by it."""
        column = delivery.c
        if self._seen < 0:
            since = now - max(self._spans.values(), default=0) - LEASE
            wanted = or_(column.started_at > since, column.hold_until > now)
        elif self._under_way:
            wanted = or_(column.id > self._seen, column.id.in_(sorted(self._under_way)))
        else:
            wanted = column.id > self._seen
        found = select(*_COLUMNS).where(column.channel.in_(self._names), wanted)
        for row in connection.execute(found.order_by(column.id)):
            self._take(row)

    def standing(self, channel: str, address: str, now: int) -> Standing:
        """How an address stands now; an attempt under way counts as of now."""
        place = (channel, address)
        sent = self._sent.get(place, {})
        since = now - self._spans[channel]
        for number in [number for number, moment in sent.items() if moment is not None and moment <= since]:
            del sent[number]
        # a provider counts a request when it arrives, at the latest when its answer does
        moments = [now if moment is None else moment for moment in sent.values()]
        return Standing(moments, self._held.get(place, 0))

    def _take(self, row: Any) -> None:
        place = (row.channel, row.address)
        self._seen = max(self._seen, row.id)
        if row.finished_at is None:
            self._under_way.add(row.id)
        else:
            self._under_way.discard(row.id)
        if self._spans[row.channel]:
            self._sent.setdefault(place, {})[row.id] = row.finished_at
        if row.hold_until:
            self._held[place] = max(self._held.get(place, 0), row.hold_until)
