"""What a person ended as a false alarm while the reading stays bad is raised again, later each time."""

from sqlalchemy import select

from alerts.alert_rows import update_alert
from alerts.desk_work import DeskWork
from alerts.lifecycle import Status
from alerts.one_writer import hold_desk
from alerts.placing import place_or_hold
from alerts.rows import rows
from alerts.still_bad_policy import StillBadPolicy
from alerts.tables import alert, ticket
from alerts.words import Row

_ENDED = (Status.FALSE_ALARM, Status.VOID)
"""Ends that leave an alert open: closing closes it and arms its rule anew."""
_AT_ONCE = 50


def why_again(about: Row, now: int, policy: StillBadPolicy) -> str:
    """The named reason for raising an open alert again whose ticket ended at `ended_at`; empty while it is not due."""
    due = about["ended_at"] + policy.wait(about["life_safety"], about["reopened"])
    return "still_bad" if now >= due else ""


def raise_again(work: DeskWork) -> int:
    """Raise what is due; how many. Each goes the way of an alert that opens again.

    It makes a ticket linked to the ended one, or joins a live one near; what is shelved, silenced or inhibited is held.
    A drill's alert is none.
    """
    hold_desk(work.connection)
    its = select(alert, ticket.c.closed_at.label("ended_at")).join(ticket, ticket.c.id == alert.c.ticket)
    ended = ticket.c.status.in_(_ENDED), ticket.c.drill.is_(None), ticket.c.closed_at.is_not(None)
    open_ones = alert.c.state == "open", alert.c.held.is_(None), alert.c.paged
    worst_first = alert.c.life_safety.desc(), alert.c.severity.desc(), alert.c.id
    found = rows(work.connection, its.where(*open_ones, *ended).order_by(*worst_first))
    due = [each for each in found if why_again(each, work.now, work.settings.still_bad)][:_AT_ONCE]
    for each in due:
        again = update_alert(work.connection, each["id"], reopened=each["reopened"] + 1, updated_at=work.now)
        work.alert_changed(place_or_hold(work, again), "reopened")
    work.done["reopened"] += len(due)
    work.finish()
    return len(due)
