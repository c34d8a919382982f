"""Where a ticket stands: which clock runs, until when, and what comes next."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement

from alerts.lifecycle import LIVE, UNACCEPTED, WORKED_OFF
from alerts.tables import ticket

OPEN = tuple(sorted(LIVE))
TABS: dict[str, tuple[str, ...]] = {
    "all": OPEN,
    "waiting": tuple(sorted(UNACCEPTED)),
    "working": ("accepted", "on_scene"),
    "to_check": tuple(sorted(WORKED_OFF)),
    "suspended": ("suspended",),
}
"""The queue's tabs and the statuses in each."""


class Due(NamedTuple):
    """The clock that runs now: `stage` is accept, arrive or done; `by` in µs UTC."""

    stage: str
    by: int


def due(row: Mapping[str, Any]) -> Due | None:
    """The running clock of a ticket, None when it waits for the dispatcher or is over.

    >>> due({"status": "accepted", "accept_by": 5, "arrive_by": None, "done_by": 9})
    Due(stage='done', by=9)
    """
    stages = {"accepted": ("arrive", "done"), "on_scene": ("done",)}
    if row["status"] in UNACCEPTED:
        stages[row["status"]] = ("accept", "arrive", "done")
    for stage in stages.get(row["status"], ()):
        if row[f"{stage}_by"] is not None:
            return Due(stage, row[f"{stage}_by"])
    return None


def clock_shown(row: Mapping[str, Any]) -> Due | None:
    """The running clock, or until when a suspended ticket stands still."""
    if row["status"] == "suspended" and row["resume_at"] is not None:
        return Due("resume", row["resume_at"])
    return due(row)


def badges_of(row: Mapping[str, Any], now: int) -> list[str]:
    """What of a ticket must catch the eye, by the names of the console's texts.

    >>> badges_of({"status": "suspended", "source": "drill", "supervised_at": 5, "replied_at": None}, 9)
    ['supervised', 'suspended', 'drill']
    """
    clock = due(row) if row["status"] != "suspended" else None
    found = {
        "supervised": row["supervised_at"] is not None and row["replied_at"] is None,
        "overdue": clock is not None and clock.by < now,
        "suspended": row["status"] == "suspended",
        "drill": row["source"] == "drill",
        "storm": row["source"] == "storm",
    }
    return [name for name, true in found.items() if true]


def in_queue(statuses: Collection[str]) -> list[ColumnElement[bool]]:
    """That an open ticket is in one of these; the other statuses are ruled out, so that the order's index serves."""
    others = [status for status in OPEN if status not in statuses]
    wanted: list[ColumnElement[bool]] = [ticket.c.queue_by.is_not(None)]
    return [*wanted, ticket.c.status.not_in(others)] if others else wanted
