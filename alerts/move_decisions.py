"""Whether a move is done, was done already, or is refused and why."""

from typing import Literal, NamedTuple

from alerts.lifecycle import ACTION_WORDS, DESK_ROLES, LIVE, STATUS_WORDS, TRANSITIONS, Role, Status, Transition
from alerts.refusals import MoveRefused
from alerts.words import Row

_FREE_ROLES: frozenset[Role] = DESK_ROLES | {"leader", "platform"}


class Actor(NamedTuple):
    """Who moves a ticket: an account's or a person's code, their role, and a person's team and station."""

    who: str
    role: Role
    team: str | None = None
    station: str | None = None


class MoveDecision(NamedTuple):
    """`repeat` is a double tap: nothing is done, the ticket stays where it is."""

    step: Literal["move", "repeat"]
    to: Status


def decide_move(
    ticket: Row, action: str, actor: Actor, last: Row | None, opinion: str, cause: str, open_alerts: int
) -> MoveDecision:
    """Judge a move. `last` is the newest log row that moved the ticket. Raises MoveRefused."""
    status = Status(ticket["status"])
    if action not in ACTION_WORDS:
        raise MoveRefused("unknown_action")
    if _done_before(ticket, status, action, actor, last):
        return MoveDecision("repeat", status)
    transition = TRANSITIONS.get((status, action))
    if transition is None:
        raise _not_from_here(ticket, status, action)
    _check_actor(ticket, action, actor, transition)
    _check_conditions(ticket, transition, opinion, cause)
    if action == "close" and open_alerts and actor.role not in DESK_ROLES:
        raise MoveRefused("alerts_open")
    return MoveDecision("move", transition.to)


def _done_before(ticket: Row, status: Status, action: str, actor: Actor, last: Row | None) -> bool:
    """Accepting again what one has accepted, however far it has come; or the very move that was the last one."""
    if action == "accept" and ticket["accepted_by"] == actor.who:
        return status in LIVE and status != Status.DISPATCHED
    return last is not None and (last["action"], last["who"]) == (action, actor.who) and last["to_status"] == status


def _not_from_here(ticket: Row, status: Status, action: str) -> MoveRefused:
    if action == "accept" and ticket["accepted_by"]:
        return MoveRefused("already_accepted", who=ticket["accepted_by"])
    here = STATUS_WORDS[status]
    return MoveRefused("not_from_here", status_zh=here.zh, status_en=here.en, action_zh=ACTION_WORDS[action].zh)


def _check_actor(ticket: Row, action: str, actor: Actor, transition: Transition) -> None:
    if actor.role not in transition.roles:
        raise MoveRefused("not_allowed", action_zh=ACTION_WORDS[action].zh)
    if actor.role not in _FREE_ROLES and not _concerns(ticket, actor):
        raise MoveRefused("not_yours")


def _check_conditions(ticket: Row, transition: Transition, opinion: str, cause: str) -> None:
    if transition.needs == "opinion" and not opinion.strip():
        raise MoveRefused("needs_opinion")
    if transition.needs == "cause" and not cause.strip():
        raise MoveRefused("needs_cause")
    if transition.arrival and ticket["life_safety"] and ticket["on_scene_at"] is None:
        raise MoveRefused("needs_arrival")


def _concerns(ticket: Row, actor: Actor) -> bool:
    """Sent to the person's team or station, or to the person, or accepted by them."""
    if actor.team and actor.team == ticket["team"]:
        return True
    if actor.station and actor.station == ticket["station"]:
        return True
    named = (ticket["assignment"] or {}).get("recipients", [])
    return ticket["accepted_by"] == actor.who or any(each[:2] == ["person", actor.who] for each in named)
