"""Where a ticket stands: which clock runs, until when, and what comes next."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement

from alerts.lifecycle import LIVE, UNACCEPTED, WITH_THE_DESK, WORKED_OFF
from alerts.tables import ticket
from alerts.timers import DESK_STAGE_OF

OPEN = tuple(sorted(LIVE))
TABS: dict[str, tuple[str, ...]] = {
    "all": OPEN,
    "to_assign": tuple(sorted(WITH_THE_DESK)),
    "waiting": ("dispatched",),
    "working": ("accepted", "on_scene"),
    "to_check": tuple(sorted(WORKED_OFF)),
    "suspended": ("suspended",),
}
"""The queue's tabs and the statuses in each."""


class Due(NamedTuple):
    """The clock that runs now: `stage` is accept, arrive, done or one of the desk's; `by` in µs UTC."""

    stage: str
    by: int


def due(row: Mapping[str, Any]) -> Due | None:
    """The running clock of a ticket: the desk's own where the row was given it (`desk`), None when none runs.

    >>> due({"status": "accepted", "accept_by": 5, "arrive_by": None, "done_by": 9})
    Due(stage='done', by=9)
    """
    if row.get("desk"):
        return Due(*row["desk"])
    stages = {"accepted": ("arrive", "done"), "on_scene": ("done",)}
    if row["status"] in UNACCEPTED:
        stages[row["status"]] = ("accept", "arrive", "done")
    for stage in stages.get(row["status"], ()):
        if row[f"{stage}_by"] is not None:
            return Due(stage, row[f"{stage}_by"])
    return None


def desk_clock(row: Mapping[str, Any]) -> Due | None:
    """The clock of what the desk owes a ticket; None when it owes nothing, or nothing by a time.

    >>> desk_clock({"status": "reported", "desk_by": 9}), desk_clock({"status": "accepted", "desk_by": None})
    (Due(stage='verify', by=9), None)
    """
    stage = DESK_STAGE_OF.get(row["status"])
    return Due(stage, row["desk_by"]) if stage and row["desk_by"] is not None else None


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
