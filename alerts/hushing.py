"""Notices off: what a restored platform makes of old records is written, and nobody is told of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from alerts.notices import change_state, tell
from alerts.one_writer import hold_desk
from alerts.tables import notice

NOTICES_OFF = "notices_off_after_restore"
"""Why a notice is expired that was due before the platform was restored."""


@contextmanager
def notices_off(connection: Connection, now: int) -> Iterator[None]:
    """Expire what is queued in this block of the caller's transaction, before any sender can see it.

    The notices stay, each with its reason, so that a ticket shows whom nobody told. Escalation counts them as not told
    and goes on by its deadlines: what nobody accepts is heard of in the end.
    """
    hold_desk(connection)
    before = connection.scalar(select(func.max(notice.c.id))) or 0
    yield
    silenced = change_state(connection, notice.c.id > before, "expired", sources={"queued"}, error=NOTICES_OFF)
    tell(connection, silenced, "expired", NOTICES_OFF, now)


def drop_waiting(connection: Connection, now: int) -> int:
    """Let go of notices that waited when a backup was made: they may have been sent since; how many there were.

    One whose request was under way stays uncertain for ever and is not sent again.
    """
    waiting = change_state(connection, notice.c.state == "queued", "expired", error=NOTICES_OFF)
    sending = change_state(connection, notice.c.state == "sending", "uncertain", claimed_by=None, error=NOTICES_OFF)
    unsettled = notice.c.claimed_by.is_not(None) & (notice.c.state == "uncertain")
    connection.execute(notice.update().where(unsettled).values(claimed_by=None))
    tell(connection, waiting, "expired", NOTICES_OFF, now)
    return len(waiting) + len(sending)
