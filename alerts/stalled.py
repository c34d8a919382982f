"""Notices that nobody sends: what waits although it is due, while nothing goes out at all."""

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from alerts.tables import delivery, notice
from core.clock import MINUTE

PATIENCE = MINUTE


class Stalled(NamedTuple):
    """How many notices wait for more than a minute, and since when the first of them is due (µs UTC)."""

    waiting: int
    since: int


def stalled(connection: Connection, now: int) -> Stalled | None:
    """What waits while no sender of any process began anything for a minute; None when there is nothing of the kind.

    A sender that lives begins an attempt, or expires what is too old: only an address's limit can look the same.
    """
    waits = (notice.c.state == "queued", notice.c.next_try_at <= now - PATIENCE)
    count, since = connection.execute(select(func.count(), func.min(notice.c.next_try_at)).where(*waits)).one()
    if not count:
        return None
    begun = connection.scalar(select(delivery.c.started_at).order_by(delivery.c.id.desc()).limit(1))
    if begun is not None and now - PATIENCE < begun <= now:
        return None
    return Stalled(int(count), int(since))
