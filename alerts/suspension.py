"""挂账 ends: a suspended ticket's clocks go on, each deadline later by what its own clock would have run meanwhile."""

from typing import Any

from alerts.desk_work import DeskWork
from alerts.lifecycle import Status
from alerts.tickets import update_ticket, write_log
from alerts.timers import DUE_COLUMNS, due_after_pause, paused_timers
from alerts.words import Row
from detectors.words import Severity


def resumed(work: DeskWork, before: Row) -> dict[str, Any]:
    """What changes about a suspended ticket that goes on now, beside its status."""
    calendar, stood = work.settings.calendar, paused_timers(work.connection, before["id"])
    values: dict[str, Any] = {"suspended_from": None, "resume_at": None}
    for timer in stood:
        column = DUE_COLUMNS.get(timer["stage"])
        if column and before[column] is not None:
            values[column] = due_after_pause(timer, work.now, calendar)
    paused_at = min((timer["paused_at"] for timer in stood), default=work.now)
    return values | {"paused": before["paused"] + work.now - paused_at}


def wakes(ticket: Row, alert: Row) -> bool:
    """Whether news of an alert ends a suspension: danger to life does, and anything graver than what was put off."""
    graver: bool = alert["life_safety"] or alert["severity"] > ticket["severity"]
    return graver and alert["severity"] > Severity.NONE and ticket["status"] == Status.SUSPENDED


def wake(work: DeskWork, ticket: Row, details: dict[str, Any]) -> Row:
    """Let a suspended ticket go on by itself, as an alert demands it; the ticket afterwards."""
    status = Status(ticket["suspended_from"])
    after = update_ticket(work.connection, ticket, work.now, status=status, **resumed(work, ticket))
    if after is None:
        raise RuntimeError(f"ticket {ticket['id']} changed while the desk was held")
    write_log(work.connection, after, work.now, "resume", "graver_alert", ticket["status"], details=details)
    return after
