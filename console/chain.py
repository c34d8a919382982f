"""The chain of one ticket: every hop from the reading to the closing, with its time and the time it took."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class Hop(NamedTuple):
    """One hop. `at` is None while it has not happened; `since` is µs after the latest earlier hop that has.

    `since` is negative when the clock of the hop before was ahead, as a device's may be.
    """

    name: str
    at: int | None
    since: int | None


def _earliest(rows: Iterable[Row], column: str) -> int | None:
    return min((row[column] for row in rows if row[column] is not None), default=None)


def chain(ticket: Row, alerts: Sequence[Row], notices: Sequence[Row]) -> list[Hop]:
    """The hops in order. The alert is the one that opened the ticket.

    Of the notices each hop is the earliest since the ticket was last dispatched: those of an earlier dispatch belong to
    another chain.
    """
    first = min(alerts, key=lambda row: (row["opened_at"], row["id"]), default=None)
    times: list[tuple[str, int | None]] = []
    if first is not None:
        times += [(name, first[column]) for name, column in _ALERT_HOPS]
    times += [("ticket", ticket["reported_at"]), ("dispatched", ticket["dispatched_at"])]
    ours = [row for row in notices if row["created_at"] >= (ticket["dispatched_at"] or 0)]
    times += [(name, _earliest(ours, column)) for name, column in _NOTICE_HOPS]
    times += [(name, ticket[column]) for name, column in _TICKET_HOPS]
    return _hops(times)


_ALERT_HOPS = (("reading", "at"), ("received", "received_at"), ("journalled", "journalled_at"), ("alert", "opened_at"))
_NOTICE_HOPS = (
    ("queued", "created_at"),
    ("requested", "requested_at"),
    ("provider", "accepted_at"),
    ("acknowledged", "acknowledged_at"),
)
_TICKET_HOPS = (
    ("accepted", "accepted_at"),
    ("on_scene", "on_scene_at"),
    ("handled", "handled_at"),
    ("checked", "checked_at"),
    ("closed", "closed_at"),
)


def _hops(times: Iterable[tuple[str, int | None]]) -> list[Hop]:
    hops: list[Hop] = []
    before: int | None = None
    for name, at in times:
        since = None if at is None or before is None else at - before
        hops.append(Hop(name, at, since))
        before = at if at is not None else before
    return hops


STEPS = {
    "reported": "reported_at",
    "verified": "verified_at",
    "registered": "registered_at",
    "dispatched": "dispatched_at",
    "accepted": "accepted_at",
    "on_scene": "on_scene_at",
    "handled": "handled_at",
    "checked": "checked_at",
    "closed": "closed_at",
}


def steps(ticket: Row) -> list[tuple[str, int | None]]:
    """The straight way of a ticket: each status with when it was reached."""
    return [(status, ticket[column]) for status, column in STEPS.items()]


def present_step(ticket: Row) -> str:
    """Where on its straight way a ticket stands: one that is suspended, where it comes back to.

    >>> present_step({"status": "suspended", "suspended_from": "accepted"})
    'accepted'
    """
    stands: str = ticket["suspended_from"] if ticket["status"] == "suspended" else ticket["status"]
    return stands
