"""Tickets as a phone shows them."""

from typing import Any

from sqlalchemy import Connection, or_, select

from alerts.escalation_tables import drill_call, drill_run
from alerts.facts import gather_facts
from alerts.lifecycle import LIVE, Status
from alerts.measurements import measurement_of
from alerts.move_decisions import Actor
from alerts.moves import is_theirs
from alerts.photos import photos_of
from alerts.request_rows import waiting_requests
from alerts.tables import ticket, ticket_log
from console import dossier, worklist
from console.acting import FIELD_BUTTONS, marks_on, moves_now
from detectors.rules import RuleSet

_REPORTS = 10
_IN_HAND = (Status.ACCEPTED, Status.ON_SCENE, Status.HANDLED, Status.SUSPENDED)


def carried(connection: Connection, post: worklist.Posting, who: str) -> list[dossier.Row]:
    """The drills that ask somebody for an answer, the tickets of their team and station, and those they accepted."""
    asked = select(drill_run.c.ticket).join(drill_call, drill_call.c.run == drill_run.c.id)
    drills = ticket.c.id.in_(asked.where(drill_call.c.person == who, drill_run.c.ended_at.is_(None)))
    theirs = (ticket.c.accepted_by == who) & ticket.c.status.in_(_IN_HAND)
    own = connection.scalars(select(ticket.c.id).where(or_(drills, theirs)).order_by(ticket.c.id))
    found = worklist.mine(connection, post)
    known = {row["id"] for row in found}
    return [*worklist.with_places(connection, [number for number in own if number not in known]), *found]


def card(connection: Connection, rules: RuleSet, row: dossier.Row, actor: Actor) -> dossier.Row:
    """A ticket with what was measured, where, what to bring, whom to call, what can be done now, and its photos.

    Nothing can be done by whoever had the ticket until it was sent to others.
    """
    alerts = dossier.alerts_of(connection, row["id"])
    worst = max(alerts, key=lambda each: (each["state"] == "open", each["level"], each["id"]), default=None)
    rule = dossier.rule_of(rules, worst) if worst else None
    full: dict[str, Any] = {**(dossier.ticket_by_number(connection, row["number"]) or {}), **row}
    facts = gather_facts(connection, full, worst, "page", rule)
    answered = _answered(connection, full, actor.who)
    theirs = full["drill"] is not None or is_theirs(connection, full, actor)
    moves = moves_now(full, actor.role, FIELD_BUTTONS, marks_on(connection, full)) if theirs else []
    if full["drill"] is not None:
        moves = [move for move in moves if move == "accept" and answered is None]
    return {
        **full,
        "facts": facts,
        "worst": worst,
        "measured": measurement_of(worst, rule.unit if rule else "") if worst and not facts.sites else None,
        "alerts": alerts,
        "moves": moves,
        "passed_on": not theirs and full["status"] in LIVE,
        "answered": answered,
        "waiting": waiting_requests(connection, row["id"]),
        "photos": photos_of(connection, row["id"]),
    }


def reported_by(connection: Connection, who: str, since: int) -> list[dossier.Row]:
    """What somebody reported since a moment (µs UTC), the newest first."""
    said = (ticket_log.c.who == who, ticket_log.c.action == "report", ticket_log.c.at >= since)
    columns = (ticket.c.number, ticket.c.title, ticket.c.title_en, ticket.c.status, ticket.c.reported_at)
    query = select(*columns).join(ticket_log, ticket_log.c.ticket == ticket.c.id).where(*said)
    return dossier.rows(connection, query.order_by(ticket.c.id.desc()).limit(_REPORTS))


def _answered(connection: Connection, row: dossier.Row, who: str) -> int | None:
    """When somebody answered the drill that a ticket belongs to."""
    if row["drill"] is None:
        return None
    its = (drill_call.c.run == row["drill"], drill_call.c.person == who)
    return connection.scalar(select(drill_call.c.replied_at).where(*its))
