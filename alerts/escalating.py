"""Runs the steps that are due: tells who is next, each step once, in one transaction with what it says."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from alerts.alert_rows import worst_alert
from alerts.desk_work import DeskWork
from alerts.dispatching import desk_recipients, plan_again
from alerts.escalation import CAUSES, Done, DueStep, Snapshot, decide_due
from alerts.escalation_recipients import Choice, Circle, Told, choose
from alerts.escalation_rows import due_among, due_tickets, facts, progress, standing, write_run
from alerts.hushing import NOTICES_OFF
from alerts.one_writer import hold_desk
from alerts.passing_on import PASSED_ON
from alerts.rows import rows
from alerts.settings import DEFAULTS, DeskSettings
from alerts.tables import notice, ticket
from alerts.tickets import note, read_ticket
from alerts.town_view import TownView
from alerts.unsent import NOT_IN_TIME
from alerts.words import Recipient, Row
from detectors.rules import RuleSet

LIMIT = 50
"""Tickets in one transaction, so that the desk is held for a moment only."""


def run_due(
    connection: Connection,
    town: TownView,
    rules: RuleSet,
    now: int,
    settings: DeskSettings = DEFAULTS,
    limit: int = LIMIT,
) -> int:
    """Run what is due for up to `limit` tickets; how many there were.

    Of a stage only the latest due step runs, the others are logged as skipped: after downtime nobody is told in one
    moment what should have been told in turn. Whoever holds the desk second finds the rows moved on.
    """
    hold_desk(connection)
    return _run(connection, town, rules, due_tickets(connection, now, limit), now, settings)


def run_ticket(
    connection: Connection,
    town: TownView,
    rules: RuleSet,
    number: int,
    now: int,
    settings: DeskSettings = DEFAULTS,
) -> bool:
    """Run what is due for one ticket; False when somebody else was faster."""
    hold_desk(connection)
    return bool(_run(connection, town, rules, due_among(connection, [number], now), now, settings))


def _run(
    connection: Connection, town: TownView, rules: RuleSet, numbers: Sequence[int], now: int, settings: DeskSettings
) -> int:
    if not numbers:
        return 0
    kept, done = standing(connection, numbers), progress(connection, numbers)
    work = DeskWork(connection, town, now, settings, rules.rules)
    for each in rows(connection, facts().where(ticket.c.id.in_(numbers)).order_by(ticket.c.id)):
        _escalate(work, each, Snapshot.from_json(kept[each["id"]]["policy"]), done.get(each["id"], {}))
    work.finish()
    return len(numbers)


def _escalate(work: DeskWork, facts: Row, own: Snapshot, done: Done) -> None:
    """Run one ticket's steps; its next one is scheduled when the work is finished."""
    work.changed.add(facts["id"])
    run, skipped = decide_due(facts, own, done, work.now, work.settings.calendar)
    for each in skipped:
        write_run(work.connection, facts["id"], each, "skipped", 0, "a_later_step_is_due", work.now)
        _note(work, facts, each, "escalation_skipped", "a_later_step_is_due")
    if not run:
        return
    whole = read_ticket(work.connection, facts["id"])
    plan = plan_again(work, whole)
    circle = _circle(work, whole, plan.recipients)
    about = worst_alert(work.connection, whole["id"])
    told = _told(work.connection, whole)
    for each in run:
        choice = choose(own.steps(each.stage)[each.step], circle, told)
        _tell(work, whole, about, each, choice, plan.due_at)
    work.ticket_changed(whole, "escalated")


def _tell(work: DeskWork, whole: Row, about: Row | None, step: DueStep, choice: Choice, due_at: int) -> None:
    before = work.done["notices"]
    work.occasion = step.due_at
    work.notify(whole, about, choice.recipients, CAUSES[step.stage], due_at)
    told = work.done["notices"] - before
    did = "repeat" if step.repeated else "notify"
    write_run(work.connection, whole["id"], step, did, told, choice.reason, work.now)
    people = [f"{to.kind}:{to.code}:{to.channel}" for to in choice.recipients]
    _note(work, whole, step, "escalate", choice.reason, told=people)


def _note(work: DeskWork, about: Row, step: DueStep, action: str, reason: str, **more: Any) -> None:
    said = {"stage": step.stage, "step": step.step, "due_at": step.due_at, **more}
    note(work.connection, about, work.now, action, reason, **said)


def _circle(work: DeskWork, whole: Row, plan: Sequence[Recipient]) -> Circle:
    roles = {person.code: person.role for person in work.town.people.values()}
    on_duty = [each for each in plan if each.kind == "person" and roles.get(each.code) == "leader"]
    leaders = on_duty or [to for code, role in roles.items() if role == "leader" for to in _contacts(work, code)]
    holder = whole["accepted_by"]
    return Circle(plan, leaders, desk_recipients(work), _contacts(work, holder) if holder else (), roles)


def _contacts(work: DeskWork, code: str) -> tuple[Recipient, ...]:
    return tuple(Recipient("person", code, *each) for each in work.town.contacts.get(("person", code), ()))


def _told(connection: Connection, whole: Row) -> Told:
    """Who was told of the ticket since it was sent; not who would have been, had the senders been up in time."""
    sent = notice.c.recipient_kind, notice.c.recipient, notice.c.channel
    since = (notice.c.ticket == whole["id"]) & (notice.c.created_at >= (whole["dispatched_at"] or 0))
    told = notice.c.error.not_in((NOT_IN_TIME, NOTICES_OFF)) & (notice.c.cause != PASSED_ON)
    found = connection.execute(select(*sent).where(since, told).distinct())
    return {(kind, code, channel) for kind, code, channel in found}
