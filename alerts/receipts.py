"""Receipts: what a provider says later of a message that it took, and which notices nobody has proven delivered."""

from collections.abc import Collection
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, literal_column, or_, select, update

from alerts.changes import record_changes
from alerts.fallback import fall_back
from alerts.lifecycle import LIVE
from alerts.notices import change_state, changed
from alerts.rows import rows
from alerts.tables import notice, ticket
from alerts.words import Row
from core.clock import MINUTE

PATIENCE = 3 * MINUTE
"""How long (µs) a receipt may take before its notice counts as not proven delivered."""

_KNOWN = 80  # characters of a provider's id that are kept
_UNDER_WAY = ("queued", "sending")
_HAS_ID = notice.c.provider_id != literal_column("''")  # as the index over them says it

Proof = Literal["acted", "delivered", "not_proven", "no_receipts", "receipt_awaited", "unknown", "not_sent", "waiting"]


class Receipt(NamedTuple):
    """How many notices a receipt was for, 0 when none is known by it yet, and how many were told another way."""

    notices: int
    instead: int = 0


def delivered(
    connection: Connection, channel: str, provider_id: str, ok: bool, said: str, now: int, notice_id: int | None = None
) -> Receipt:
    """Take a receipt for a message by the provider's id, or by the notice's own where the provider carries it.

    A message that did not arrive fails its notices, which go another way at once; a receipt that comes twice, or behind
    a person's answer, changes nothing more. A result of (0, 0) may be a receipt that was faster than our own record of
    the request, by the notice's own id too: answer so that the provider says it again.
    """
    known = notice.c.provider_id == provider_id[:_KNOWN]
    which = notice.c.id == notice_id if notice_id is not None else and_(known, _HAS_ID)
    known_ones = rows(connection, select(notice).where(notice.c.channel == channel, which).order_by(notice.c.id))
    found = [row for row in known_ones if row["state"] not in _UNDER_WAY]
    meant = notice.c.id.in_([row["id"] for row in found])
    happened = []
    instead = 0
    if ok:
        moved = change_state(connection, meant, "delivered", delivered_at=now, receipt=said, claimed_by=None)
        first = and_(meant, notice.c.state == "acknowledged", notice.c.delivered_at.is_(None))
        connection.execute(update(notice).where(first).values(delivered_at=now, receipt=said))
        happened = changed(moved, "delivered", "receipt")
    else:
        why = {"error": f"not_delivered {said}".rstrip(), "receipt": said, "claimed_by": None}
        moved = change_state(connection, meant, "failed", sources=("accepted", "uncertain"), **why)
        instead = sum(fall_back(connection, row, now) for row in found if row["id"] in moved)
        happened = changed(moved, "failed", "not_delivered")
    record_changes(connection, now, happened)
    return Receipt(len(found), instead)


def proof(row: Row, gives_receipts: bool, now: int) -> Proof:
    """What is known of a notice's arrival; `gives_receipts` is its channel's."""
    state = row["state"]
    if state in ("acknowledged", "delivered"):
        return "acted" if state == "acknowledged" else "delivered"
    if state == "accepted":
        if not gives_receipts:
            return "no_receipts"
        return "not_proven" if row["accepted_at"] + PATIENCE <= now else "receipt_awaited"
    if state == "uncertain":
        return "unknown"
    return "not_sent" if state in ("failed", "expired") else "waiting"


def unproven(channels: Collection[str], now: int) -> ColumnElement[bool]:
    """Notices that are not proven delivered: nobody knows, or the receipt that one of `channels` gives is missing."""
    missing = and_(notice.c.channel.in_(sorted(channels)), notice.c.accepted_at <= now - PATIENCE)
    return or_(notice.c.state == "uncertain", and_(notice.c.state == "accepted", missing))


def not_proven_delivered(connection: Connection, channels: Collection[str], now: int, limit: int = 100) -> list[Row]:
    """Those of live tickets, the newest first, with their ticket's number; `channels` are those that give receipts."""
    columns = [
        notice.c[name]
        for name in ("id", "ticket", "channel", "recipient_kind", "recipient", "state", "accepted_at", "error")
    ]
    found = select(*columns, ticket.c.number).join(ticket, ticket.c.id == notice.c.ticket)
    live = ticket.c.status.in_(sorted(LIVE))
    return rows(connection, found.where(unproven(channels, now), live).order_by(notice.c.id.desc()).limit(limit))
