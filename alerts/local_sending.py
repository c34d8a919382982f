"""Sending on a channel that writes into this very database: claim, message and record are one transaction."""

from typing import Any

from sqlalchemy import Connection, String, and_, bindparam, cast, func, insert, not_, null, select

from alerts.changes import Happened, record_changes
from alerts.channels import LocalChannel
from alerts.claims import outgoing_notice, personal_links
from alerts.notices import change_state, changed
from alerts.picking import ORDER
from alerts.rows import rows
from alerts.tables import delivery, notice
from alerts.unsent import moot
from alerts.words import Row

AT_ONCE = 32
"""Notices in one transaction, so that it holds up the desk for a few ms only."""
_WAITING = (
    select(notice.c.id)
    .where(notice.c.state == "queued", notice.c.channel == bindparam("of_channel"))
    .where(notice.c.next_try_at <= bindparam("moment"))
    .order_by(*ORDER)
    .limit(AT_ONCE)
)
_STARTED = insert(delivery)
_ATTEMPT = select(func.max(delivery.c.id)).where(delivery.c.notice == notice.c.id).scalar_subquery()


def anything_waits(connection: Connection, channel: LocalChannel, now: int) -> bool:
    """Whether there is anything to send: an idle sender takes no write lock."""
    return connection.execute(_WAITING, {"of_channel": channel.name, "moment": now}).first() is not None


def send_locally(connection: Connection, channel: LocalChannel, now: int, *, link_key: bytes) -> int:
    """Deliver the most urgent notices, of whatever addresses, in the caller's transaction; how many.

    Nothing can stay uncertain: the messages are there if, and only if, the notices are accepted. Each has its own
    delivery row.
    """
    taken = _take(connection, channel, now)
    if not taken:
        return 0
    ids = [row["id"] for row in taken]
    mine = notice.c.id.in_(ids)
    requested = func.coalesce(notice.c.requested_at, now)
    change_state(connection, mine, "sending", attempts=notice.c.attempts + 1, requested_at=requested)
    links = personal_links(connection, taken, link_key, now) if channel.one_to_one else {}
    channel.deliver(connection, [outgoing_notice(row, now, links.get(row["id"], "")) for row in taken])
    connection.execute(_STARTED, [_delivery(row, now) for row in taken])
    done = {"accepted_at": now, "provider_id": cast(notice.c.id, String), "error": "", "claimed_by": null()}
    moved = change_state(connection, mine, "accepted", sources=("sending",), attempt=_ATTEMPT, **done)
    happened: list[Happened] = changed(moved, "accepted", "accepted")
    record_changes(connection, now, happened)
    return len(moved)


def _take(connection: Connection, channel: LocalChannel, now: int) -> list[Row]:
    """Those that still wait and are not moot; whoever is changing one now keeps it."""
    ids = list(connection.scalars(_WAITING, {"of_channel": channel.name, "moment": now}))
    if not ids:
        return []
    waiting = and_(notice.c.id.in_(ids), notice.c.state == "queued", not_(moot(now)))
    found = select(notice).where(waiting).order_by(notice.c.id)
    return rows(connection, found.with_for_update(skip_locked=True, of=notice))


def _delivery(row: Row, now: int) -> dict[str, Any]:
    times = {"started_at": now, "finished_at": now}
    return {"notice": row["id"], "channel": row["channel"], "address": row["address"], "outcome": "accepted", **times}
