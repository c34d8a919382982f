"""Moving a ticket on: one row change, one log row, the notices and the change rows, in the caller's transaction."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from alerts.alert_rows import open_alerts_of, read_alert, worst_alert
from alerts.desk_work import DeskWork
from alerts.dispatching import desk_recipients, plan_again, send, tell
from alerts.lifecycle import Role, Status
from alerts.move_decisions import Actor, MoveDecision, decide_move
from alerts.notices import acknowledge
from alerts.one_writer import hold_desk
from alerts.recovery import close_alert
from alerts.refusals import MoveRefused
from alerts.settings import DEFAULTS, DeskSettings
from alerts.tickets import TicketUnknown, last_step, read_ticket, update_ticket, write_log
from alerts.town_view import TownView
from alerts.words import PLATFORM, Row
from detectors.rules import Rule, UnknownRules, load_version
from ingest.words import Rearm

__all__ = ["MoveRefused", "Moved", "clear_alert_by_hand", "move"]


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
    settings: DeskSettings = DEFAULTS,
) -> Moved:
    """Do `action` (a name of `alerts.lifecycle.ROWS`) on a ticket for `who`.

    `who` is a person's code, whose role the town knows, or any other name with its `role`. `team` and `station` are the
    dispatcher's choice for "dispatch" and "reassign"; without them the platform chooses. Doing the same again is no
    error and changes nothing. Raises MoveRefused.
    """
    hold_desk(connection)
    try:
        before = read_ticket(connection, ticket)
    except TicketUnknown:
        raise MoveRefused("unknown_ticket") from None
    _check_choice(town, team, station)
    actor = _actor(town, who, role)
    open_alerts = open_alerts_of(connection, ticket)
    last = last_step(connection, ticket)
    decision = decide_move(before, action, actor, last, opinion, cause, len(open_alerts))
    if decision.step == "repeat":
        return Moved(decision.to, [])
    worst = worst_alert(connection, ticket)
    work = DeskWork(connection, town, now, settings, _rules_of(connection, worst), occasion=now)
    if action in ("dispatch", "reassign"):
        after = _send(work, before, worst, action, who, opinion, team, station)
    else:
        after = _step(work, before, decision, action, who, opinion, cause)
    rearm = _close_by_hand(work, open_alerts, who) if action == "close" else []
    _follow_up(work, after, worst, action, who)
    work.finish()
    return Moved(after["status"], rearm)


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


def _send(
    work: DeskWork,
    before: Row,
    worst: Row | None,
    action: str,
    who: str,
    opinion: str,
    team: str | None,
    station: str | None,
) -> Row:
    after = send(work, before, worst, action, who, opinion, team, station)
    if after is None:
        raise MoveRefused("changed_meanwhile")
    if after["status"] != Status.DISPATCHED:
        raise MoveRefused("nobody_to_send")
    return after


def _step(work: DeskWork, before: Row, decision: MoveDecision, action: str, who: str, opinion: str, cause: str) -> Row:
    values = {"status": decision.to, **_stamps(action, who, cause, work.now)}
    after = update_ticket(work.connection, before, work.now, **values)
    if after is None:
        raise MoveRefused("changed_meanwhile")
    details = {"cause": cause} if cause else {}
    write_log(work.connection, after, work.now, action, f"{action}_by_hand", before["status"], who, opinion, details)
    work.ticket_changed(after, action)
    return after


def _stamps(action: str, who: str, cause: str, now: int) -> dict[str, Any]:
    """What an action writes beside the status."""
    undone = {"handled_at": None, "handled_by": None, "checked_at": None}
    stamps: Mapping[str, dict[str, Any]] = {
        "accept": {"accepted_at": now, "accepted_by": who},
        "arrive": {"on_scene_at": now},
        "handle": {"handled_at": now, "handled_by": who},
        "check": {"checked_at": now},
        "rework": undone,
        "return": {"accepted_at": None, "accepted_by": None, "on_scene_at": None, "accept_by": None},
        "close": {"closed_at": now, "result": "handled"},
        "false_alarm": {"closed_at": now, "result": "false_alarm", "result_cause": cause},
        "void": {"closed_at": now, "result": "void"},
    }
    return stamps.get(action, {})


def _follow_up(work: DeskWork, after: Row, worst: Row | None, action: str, who: str) -> None:
    """Who must hear of it: the one who accepted has read; a return goes to the desk, a rework to whoever holds it."""
    if action == "accept":
        acknowledge(work.connection, after["id"], who, work.now)
    elif action == "return":
        work.notify(after, worst, desk_recipients(work), "returned", work.now)
    elif action == "rework":
        tell(work, after, worst, plan_again(work, after), "rework")


def _close_by_hand(work: DeskWork, open_alerts: list[Row], who: str) -> list[Rearm]:
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
