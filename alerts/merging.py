"""合并: one ticket goes on in another, with its alerts, its photos and what is owed about it."""

from typing import Any

from sqlalchemy import Connection, select, update

from alerts.case_tables import photo
from alerts.desk_work import DeskWork
from alerts.dispatching import plan_again, rise, tell
from alerts.lifecycle import WORKED_OFF, Status
from alerts.move_steps import Step, reached, take
from alerts.rows import rows
from alerts.suspension import wake
from alerts.tables import alert
from alerts.ticketing import press, send_back
from alerts.tickets import note, read_ticket, update_ticket
from alerts.words import Row


def merge(step: Step) -> Row:
    """End the ticket as merged; whoever had accepted it hears where its work goes on."""
    work, before = step.work, step.before
    target = read_ticket(work.connection, int(step.asked.into or 0))
    alerts = _move_alerts(work, before["id"], target["id"])
    photos = _move_photos(work.connection, before["id"], target["id"])
    moved = {"alerts": alerts, "photos": photos}
    after = take(
        step,
        {"into": target["id"], "number": target["number"], **moved},
        merged_into=target["id"],
        closed_at=work.now,
        result="merged",
        suspended_from=None,
        resume_at=None,
    )
    note(work.connection, target, work.now, "merged_in", "merge_by_hand", ticket=before["id"], by=step.who, **moved)
    target = _weigh(step, target, before)
    work.notify(target, step.worst, reached(work.town, before["accepted_by"]), "merged", work.now)
    return after


def _weigh(step: Step, target: Row, merged: Row) -> Row:
    """The target becomes as grave and as pressing as what it takes in; news of an open alert weighs as ever.

    So does a report without alerts that was made after the target was handled: it goes back to work.
    """
    work = step.work
    if owed := _owed(target, merged):
        target = update_ticket(work.connection, target, work.now, **owed) or target
    graver = merged["severity"] > target["severity"] or (merged["life_safety"] and not target["life_safety"])
    if graver and target["status"] == Status.SUSPENDED:
        target = wake(work, target, {"merged": merged["id"]})
    news = step.worst if step.worst and step.worst["state"] == "open" else None
    again = step.worst is None and _after_handling(target, merged)
    if again:
        target = send_back(work, target, "reported_after_handling", {"merged": merged["id"]})
    plan = None
    if graver:
        target, plan = rise(work, target, merged)
    if news is None and (again or graver):
        tell(work, target, None, plan or plan_again(work, target), "reported_again" if again else "raised")
    if news is not None:
        placed = {**news, "ticket": target["id"]}
        press(work, target, placed, "merged", "joined" if graver or news["life_safety"] else "")
    target = read_ticket(work.connection, target["id"])
    work.ticket_changed(target, "merged_in")
    return target


def _after_handling(target: Row, merged: Row) -> bool:
    """Somebody saw it after it was said to be done: as with an alert, nobody knows yet that it is over."""
    return target["status"] in WORKED_OFF and merged["reported_at"] > (target["handled_at"] or 0)


def _owed(target: Row, merged: Row) -> dict[str, Any]:
    """A supervision that nobody has answered goes on with the target."""
    owed = merged["supervised_at"] is not None and merged["replied_at"] is None
    if not owed or (target["supervised_at"] is not None and target["replied_at"] is None):
        return {}
    names = ("priority", "supervised_at", "supervised_by", "reply_by")
    return {name: merged[name] for name in names} | {"replied_at": None}


def _move_alerts(work: DeskWork, source: int, target: int) -> list[int]:
    moved = update(alert).where(alert.c.ticket == source).values(ticket=target).returning(*alert.c)
    found = sorted(rows(work.connection, moved), key=lambda each: int(each["id"]))
    for each in found:
        work.alert_changed(each, "moved")
    return [each["id"] for each in found]


def _move_photos(connection: Connection, source: int, target: int) -> list[int]:
    """All but those that the target has already."""
    known = list(connection.scalars(select(photo.c.sha256).where(photo.c.ticket == target)))
    mine = (photo.c.ticket == source) & photo.c.sha256.not_in(known)
    return sorted(connection.scalars(update(photo).where(mine).values(ticket=target).returning(photo.c.id)))
