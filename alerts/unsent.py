"""Notices that are not to be sent any more, or cannot be: expired or failed with a reason, and what follows."""

from collections.abc import Collection, Mapping
from functools import cache

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, or_, select, true

from alerts.changes import Happened, record_changes
from alerts.escalation import CAUSES, Stage
from alerts.fallback import fall_back
from alerts.lifecycle import ENDED, Status
from alerts.notices import change_state, changed
from alerts.picking import URGENT
from alerts.rows import rows
from alerts.tables import notice, ticket

NOT_IN_TIME = "not_sent_in_time"
"""Why a notice is expired that no sender came to."""
NEEDLESS = ("ticket_over", "dispatched_anew", "superseded", "done_since")
"""Why one is expired that nobody misses: something happened since that makes it moot."""


_COMES: Mapping[Stage, ColumnElement[int | None]] = {
    "accept": ticket.c.accepted_at,
    "arrive": ticket.c.on_scene_at,
    "handle": ticket.c.handled_at,
    "check": ticket.c.checked_at,
    "reply": ticket.c.replied_at,
}
"""When what a stage waits for came; that a ticket was assigned or closed makes its notices moot anyhow."""
_STOPPED: tuple[Stage, ...] = ("accept", "arrive", "handle")
"""The stages that stand still while a ticket is suspended."""


def expire(connection: Connection, now: int, channels: Collection[str] | None = None) -> list[int]:
    """What is not to be sent any more is expired and shown with its reason, never sent; the ids.

    `channels` narrows that to some.
    """
    some = true() if channels is None else notice.c.channel.in_(sorted(channels))
    happened: list[Happened] = []
    for reason, which in _moot(now).items():
        ids = change_state(connection, and_(some, which), "expired", sources={"queued"}, error=reason)
        happened += changed(ids, "expired", reason)
    record_changes(connection, now, happened)
    return [each.id_of for each in happened]


def moot(now: int) -> ColumnElement[bool]:
    """Notices that are not to be sent any more, should they still wait."""
    return or_(*_moot(now).values())


def give_up(connection: Connection, ids: Collection[int], reason: str, now: int) -> int:
    """Expire waiting notices that cannot go out in time, and tell on another way; how many gave up."""
    return _end(connection, notice.c.id.in_(sorted(ids)), "expired", reason, now)


def refuse_unknown(connection: Connection, channels: Collection[str], now: int) -> int:
    """Fail what waits for a channel that is not in `channels`, and tell on another way at once; how many failed.

    `channels` are all that are configured; call it every few seconds, in a transaction of its own.
    """
    return _end(connection, notice.c.channel.not_in(list(channels)), "failed", "no_such_channel", now)


def refuse_idle_calls(connection: Connection, channels: Collection[str], now: int) -> int:
    """Nobody is rung for what is neither critical nor life-safety: it goes another way; how many notices did."""
    theirs = and_(notice.c.channel.in_(sorted(channels)), not_(URGENT))
    return _end(connection, theirs, "expired", "not_urgent_enough_to_ring", now)


def _end(connection: Connection, which: ColumnElement[bool], state: str, reason: str, now: int) -> int:
    """Until nothing is left: what is told instead may wait for such a channel too."""
    ended: list[int] = []
    waiting = and_(notice.c.state == "queued", which)
    while found := rows(connection, select(notice).where(waiting).order_by(notice.c.id)):
        moved = change_state(
            connection, and_(waiting, notice.c.id.in_([row["id"] for row in found])), state, error=reason
        )
        for row in found:
            if row["id"] in moved:
                fall_back(connection, row, now)
        ended += moved
    record_changes(connection, now, changed(ended, state, reason))
    return len(ended)


def _moot(now: int) -> dict[str, ColumnElement[bool]]:
    return {NOT_IN_TIME: notice.c.not_after <= now, **_overtaken()}


@cache
def _overtaken() -> dict[str, ColumnElement[bool]]:
    """What happened since makes a notice moot; made once, as every sender asks often."""
    its_ticket = exists().where(ticket.c.id == notice.c.ticket)
    over = its_ticket.where(ticket.c.status.in_(sorted(ENDED)))
    sent_anew = its_ticket.where(ticket.c.dispatched_at > notice.c.created_at)
    return dict(zip(NEEDLESS, (over, sent_anew, _told_sooner(), its_ticket.where(_done_since())), strict=True))


def _done_since() -> ColumnElement[bool]:
    """What a notice says is missing came before it went out, or stands still with its ticket."""
    missed = (and_(notice.c.cause == CAUSES[stage], came > notice.c.created_at) for stage, came in _COMES.items())
    still = and_(ticket.c.status == Status.SUSPENDED, notice.c.cause.in_([CAUSES[stage] for stage in _STOPPED]))
    return or_(still, *missed)


def _told_sooner() -> ColumnElement[bool]:
    """A later notice of the same ticket went, or goes, to the same recipient before this one is due.

    Or together with it: what escalation repeated while somebody was not to be disturbed is said once.
    """
    later = notice.alias("later")
    same = (later.c[name] == notice.c[name] for name in ("ticket", "recipient_kind", "recipient", "channel"))
    repeated = (notice.c.cause.in_(sorted(CAUSES.values())), later.c.cause == notice.c.cause)
    together = and_(later.c.due_at == notice.c.due_at, notice.c.due_at > notice.c.created_at, *repeated)
    sooner = (later.c.id > notice.c.id, or_(later.c.due_at < notice.c.due_at, together))
    return exists().where(*same, *sooner, later.c.state.not_in(("failed", "expired")))
