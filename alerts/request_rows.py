"""Rows of requests on tickets: an extension or a suspension that waits for an answer, was decided, or became moot."""

from collections.abc import Collection
from typing import Literal

from sqlalchemy import Connection, and_, insert, literal_column, or_, select, update

from alerts.case_tables import ticket_request
from alerts.lifecycle import Status, statuses_for
from alerts.rows import rows
from alerts.tables import ticket
from alerts.words import Row

RequestKind = Literal["extension", "suspension"]
_WAITING = ticket_request.c.state == literal_column("'waiting'")
"""Written as a literal, so that the database sees that the index over them fits."""
_KEPT_IN: dict[RequestKind, list[str]] = {
    "extension": [*statuses_for("extend"), Status.SUSPENDED],
    "suspension": [*statuses_for("suspend")],
}


def waiting_requests(connection: Connection, number: int) -> dict[str, Row]:
    """A ticket's requests that wait for an answer, by kind: at most one of each."""
    its = select(ticket_request).where(ticket_request.c.ticket == number, _WAITING)
    return {row["kind"]: row for row in rows(connection, its)}


def requests_of(connection: Connection, number: int) -> list[Row]:
    """All requests on a ticket, the oldest first."""
    its = select(ticket_request).where(ticket_request.c.ticket == number)
    return rows(connection, its.order_by(ticket_request.c.id))


def write_request(
    connection: Connection, number: int, kind: RequestKind, who: str, now: int, reason: str, until: int | None
) -> None:
    """Write a request that waits for its answer."""
    row = {"ticket": number, "kind": kind, "asked_by": who, "asked_at": now, "reason": reason, "until": until}
    connection.execute(insert(ticket_request), row | {"state": "waiting", "opinion": ""})


def answer_request(
    connection: Connection,
    number: int,
    kind: RequestKind,
    state: Literal["granted", "refused"],
    who: str,
    now: int,
    opinion: str,
) -> bool:
    """Decide the request that waits; whether there was one."""
    its = and_(ticket_request.c.ticket == number, ticket_request.c.kind == kind, _WAITING)
    decided = {"state": state, "decided_by": who, "decided_at": now, "opinion": opinion}
    return connection.execute(update(ticket_request).where(its).values(**decided)).rowcount > 0


def drop_moot(connection: Connection, tickets: Collection[int], now: int) -> None:
    """Let go of what was asked for about tickets that have moved to where it means nothing."""
    if not tickets:
        return
    its = and_(ticket_request.c.ticket.in_(sorted(tickets)), _WAITING)
    moot = [
        and_(
            ticket_request.c.kind == kind,
            ~select(ticket.c.id).where(ticket.c.id == ticket_request.c.ticket, ticket.c.status.in_(statuses)).exists(),
        )
        for kind, statuses in _KEPT_IN.items()
    ]
    connection.execute(update(ticket_request).where(its, or_(*moot)).values(state="moot", decided_at=now))
