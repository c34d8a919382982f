"""Moving a ticket on: one row change, one log row, the notices and the change rows, in the caller's transaction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, insert, or_, select

from alerts.alert_rows import open_alerts_of, read_alert, worst_alert
from alerts.case_tables import ticket_acceptance
from alerts.desk_work import DeskWork
from alerts.dispatching import desk_recipients, plan_again, send, tell
from alerts.drills import answer
from alerts.lifecycle import Role, Status
from alerts.merging import merge
from alerts.move_decisions import FREE_ROLES, Actor, Asked, Standing, concerns, decide_move, party_of
from alerts.move_steps import Step, take
from alerts.notices import acknowledge
from alerts.one_writer import hold_desk
from alerts.passing_on import PASSED_ON
from alerts.recovery import close_alert
from alerts.refusals import MoveRefused
from alerts.request_rows import waiting_requests
from alerts.requests import ask, extend, refuse, resume, suspend
from alerts.rows import rows
from alerts.settings import DEFAULTS, DeskSettings
from alerts.supervision import reply, supervise
from alerts.tables import notice
from alerts.tables import ticket as ticket_table
from alerts.tickets import TicketUnknown, last_said, last_step, read_ticket
from alerts.timers import end_stage
from alerts.town_view import TownView
from alerts.wording import one_line, prose
from alerts.words import PLATFORM, Row
from detectors.rules import Rule, UnknownRules, load_version
from ingest.words import Rearm

__all__ = ["MoveRefused", "Moved", "clear_alert_by_hand", "move", "resume_due"]

_RESUMED_AT_ONCE = 100


class Moved(NamedTuple):
    """The ticket's status afterwards, and what the caller must journal just before it commits.

    Each `rearm` is of an alert closed by hand: a rule that is still violated then announces itself again. Journalled
    before the commit none is lost by a kill; one without its commit only repeats an opening that is known.
    """

    status: str
    rearm: list[Rearm]


def move(
    connection: Connection,
    town: TownView,
    ticket: int,
    action: str,
    who: str,
    now: int,
    opinion: str = "",
    cause: str = "",
    *,
    role: Role | None = None,
    team: str | None = None,
    station: str | None = None,
    until: int | None = None,
    into: int | None = None,
    settings: DeskSettings = DEFAULTS,
) -> Moved:
    """Do `action` (a name of `alerts.lifecycle.ROWS`) on a ticket for `who`.

    `who` is a person's code, whose role the town knows, or any other name with its `role`. `team` and `station` are the
    dispatcher's choice for "dispatch" and "reassign"; without them the platform chooses. `until` (µs UTC) ends a
    suspension or is by when a supervision wants its answer; `into` is the ticket to merge into. Doing the same again is
    no error and changes nothing. Raises MoveRefused.
    """
    opinion, cause = prose(opinion), one_line(cause)
    hold_desk(connection)
    try:
        before = read_ticket(connection, ticket)
    except TicketUnknown:
        raise MoveRefused("unknown_ticket") from None
    if before["source"] == "drill" and action != "void":
        return _in_drill(connection, town, before, action, who, now, settings)
    _check_choice(town, team, station)
    asked = Asked(action, _actor(town, who, role), opinion, cause, until, into, team, station)
    standing = _standing(connection, before, asked, now, settings)
    decision = decide_move(standing, asked)
    if decision.step == "repeat":
        return Moved(decision.to, [])
    worst = worst_alert(connection, ticket)
    work = DeskWork(connection, town, now, settings, _rules_of(connection, worst), occasion=now)
    step = Step(work, standing, asked, decision, worst)
    after = _send(step) if action in ("dispatch", "reassign") else _EFFECTS.get(action, _stamp)(step)
    rearm = _close_by_hand(work, standing.open_alerts, who) if action == "close" else []
    work.finish()
    return Moved(after["status"], rearm)


def _in_drill(
    connection: Connection, town: TownView, before: Row, action: str, who: str, now: int, settings: DeskSettings
) -> Moved:
    if action != "accept":
        raise MoveRefused("drill_is_only_answered")
    return Moved(answer(connection, town, before, who, now, settings), [])


def resume_due(connection: Connection, town: TownView, now: int, settings: DeskSettings = DEFAULTS) -> int:
    """Resume the suspended tickets whose time has come; how many. Call it every few seconds."""
    over = (ticket_table.c.status == Status.SUSPENDED) & (ticket_table.c.resume_at <= now)
    some = select(ticket_table.c.id).where(over).order_by(ticket_table.c.resume_at).limit(_RESUMED_AT_ONCE)
    hold_desk(connection)
    due = list(connection.scalars(some))
    for number in due:
        move(connection, town, number, "resume", PLATFORM, now, settings=settings)
    return len(due)


def clear_alert_by_hand(
    connection: Connection, alert: int, who: str, now: int, town: TownView, settings: DeskSettings = DEFAULTS
) -> Rearm:
    """Close an alert that still stands; the caller journals the Rearm before it commits. Raises AlertUnknown.

    Clearing one that is closed already changes nothing and re-arms again.
    """
    hold_desk(connection)
    work = DeskWork(connection, town, now, settings)
    row = read_alert(connection, alert)
    if row["state"] == "open":
        close_alert(work, row, "by_hand", who)
    work.finish()
    return _rearm(row)


def _actor(town: TownView, who: str, role: Role | None) -> Actor:
    person = town.people.get(who)
    if person is not None:
        known: Any = person.role
        return Actor(who, role or known, person.team, person.station)
    if role is None and who != PLATFORM:
        raise MoveRefused("unknown_person")
    return Actor(who, role or "platform")


def _check_choice(town: TownView, team: str | None, station: str | None) -> None:
    if (team and team not in town.teams) or (station and station not in town.stations):
        raise MoveRefused("unknown_responder")


def _standing(connection: Connection, before: Row, asked: Asked, now: int, settings: DeskSettings) -> Standing:
    """What decides about a move; an unknown ticket to merge into is None."""
    number = before["id"]
    target = None
    if asked.into is not None:
        try:
            target = read_ticket(connection, asked.into)
        except TicketUnknown:
            target = None
    return Standing(
        ticket=before,
        now=now,
        last=last_step(connection, number),
        said=last_said(connection, number, asked.actor.who),
        open_alerts=open_alerts_of(connection, number),
        acceptances=_acceptances(connection, before) if before["acceptance"] == "both" else (),
        requests=waiting_requests(connection, number),
        target=target,
        addressed=was_told(connection, before, asked.actor),
        longest_suspension=settings.deadlines.longest_suspension,
    )


def is_theirs(connection: Connection, before: Row, actor: Actor) -> bool:
    """Whether a ticket is somebody's to move: anybody's of the desk, else sent or told to them since it was sent."""
    return actor.role in FREE_ROLES or concerns(before, actor) or was_told(connection, before, actor)


def was_told(connection: Connection, before: Row, actor: Actor) -> bool:
    """Whether somebody, their team or their station was told of a ticket since it was sent."""
    named = (("person", actor.who), ("team", actor.team), ("station", actor.station))
    kind, code = notice.c.recipient_kind, notice.c.recipient
    them = or_(*(and_(kind == name, code == theirs) for name, theirs in named if theirs))
    since = (notice.c.ticket == before["id"]) & (notice.c.created_at >= (before["dispatched_at"] or 0))
    return (
        connection.execute(select(notice.c.id).where(since, notice.c.cause != PASSED_ON, them).limit(1)).first()
        is not None
    )


def _acceptances(connection: Connection, before: Row) -> list[Row]:
    its = ticket_acceptance.c.ticket == before["id"]
    present = ticket_acceptance.c.dispatched_at == before["dispatched_at"]
    return rows(connection, select(ticket_acceptance).where(its, present))


def _send(step: Step) -> Row:
    asked = step.asked
    chosen = asked.team, asked.station
    after = send(step.work, step.before, step.worst, asked.action, step.who, asked.opinion, *chosen)
    if after is None:
        raise MoveRefused("changed_meanwhile")
    if after["status"] != Status.DISPATCHED:
        raise MoveRefused("nobody_to_send")
    return after


def _stamp(step: Step) -> Row:
    """A move that is only its own stamps."""
    now, who = step.work.now, step.who
    stamps: Mapping[str, dict[str, Any]] = {
        "verify": {"verified_at": now},
        "register": {"registered_at": now},
        "arrive": {"on_scene_at": now},
        "handle": {"handled_at": now, "handled_by": who},
        "check": {"checked_at": now},
        "close": {"closed_at": now, "result": "handled"},
        "false_alarm": {"closed_at": now, "result": "false_alarm", "result_cause": step.asked.cause, **_NOT_SUSPENDED},
        "void": {"closed_at": now, "result": "void", **_NOT_SUSPENDED},
    }
    return take(step, **stamps.get(step.asked.action, {}))


def _accept(step: Step) -> Row:
    """The one who accepted has read; where both must, the ticket is the team's acceptor's once both did."""
    work, before = step.work, step.before
    holder = step.who
    if before["acceptance"] == "both":
        party = party_of(step.asked.actor, before)
        holders = {each["party_kind"]: each["person"] for each in step.standing.acceptances} | {party: step.who}
        holder = holders.get("team", step.who)
        _write_acceptance(step, party)
    accepted: dict[str, Any] = {} if step.decision.step == "part" else {"accepted_at": work.now, "accepted_by": holder}
    after = take(step, **accepted)
    acknowledge(work.connection, after["id"], step.who, work.now)
    return after


def _write_acceptance(step: Step, party: str) -> None:
    before = step.before
    row = {"ticket": before["id"], "dispatched_at": before["dispatched_at"], "party_kind": party}
    named = {"party": before.get(party) or "", "person": step.who, "at": step.work.now}
    step.work.connection.execute(insert(ticket_acceptance), row | named)


def _return(step: Step) -> Row:
    """To the desk, which hears of it."""
    times: dict[str, Any] = {
        "accepted_at": None,
        "accepted_by": None,
        "on_scene_at": None,
        "accept_by": None,
        "arrive_by": None,
    }
    after = take(step, **times)
    step.work.notify(after, step.worst, desk_recipients(step.work), "returned", step.work.now)
    return after


def _rework(step: Step) -> Row:
    """To whoever holds it; the check was made."""
    work = step.work
    end_stage(work.connection, step.before["id"], "check", work.now)
    undone = {"handled_at": None, "handled_by": None, "checked_at": None}
    after = take(step, **undone, reworks=step.before["reworks"] + 1)
    tell(work, after, step.worst, plan_again(work, after), "rework")
    return after


_NOT_SUSPENDED = {"suspended_from": None, "resume_at": None}
_EFFECTS: Mapping[str, Callable[[Step], Row]] = {
    "accept": _accept,
    "return": _return,
    "rework": _rework,
    "ask_extension": ask,
    "extend": extend,
    "refuse_extension": refuse,
    "ask_suspension": ask,
    "suspend": suspend,
    "refuse_suspension": refuse,
    "resume": resume,
    "supervise": supervise,
    "reply": reply,
    "merge": merge,
}
"""What moves do beside their stamps; `_stamp` for all others."""


def _close_by_hand(work: DeskWork, open_alerts: Sequence[Row], who: str) -> list[Rearm]:
    return [_rearm(close_alert(work, each, "by_hand", who)) for each in open_alerts]


def _rearm(alert: Row) -> Rearm:
    return Rearm(alert["subject_kind"], alert["subject_id"], alert["rule"])


def _rules_of(connection: Connection, alert: Row | None) -> Mapping[str, Rule]:
    """The rules that an alert was judged by, for the words of a notice."""
    if alert is None:
        return {}
    try:
        return load_version(connection, alert["rules_version"]).rules
    except UnknownRules:
        return {}
