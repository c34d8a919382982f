"""Whether a move is done, was done already, or is refused and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from alerts.deadlines import MOST_EXTENSIONS
from alerts.lifecycle import ACTION_WORDS, DESK_ROLES, LIVE, STATUS_WORDS, TRANSITIONS, Place, Role, Status, Transition
from alerts.refusals import MoveRefused
from alerts.words import Row
from core.clock import DAY, MINUTE

FREE_ROLES: frozenset[Role] = DESK_ROLES | {"leader", "platform"}
"""Who may move any ticket, whoever it was sent to."""
_DOUBLE_TAP = MINUTE  # the same move that leaves a ticket where it is, said again within it, is the same one


class Actor(NamedTuple):
    """Who moves a ticket: an account's or a person's code, their role, and a person's team and station."""

    who: str
    role: Role
    team: str | None = None
    station: str | None = None


class Asked(NamedTuple):
    """A move that somebody wants, with all that may come with it; `until` in µs UTC, `into` another ticket's id.

    `team` and `station` are the dispatcher's choice.
    """

    action: str
    actor: Actor
    opinion: str = ""
    cause: str = ""
    until: int | None = None
    into: int | None = None
    team: str | None = None
    station: str | None = None


@dataclass(frozen=True)
class Standing:
    """How things stand at `now` (µs UTC), as far as it decides.

    `last` is the newest log row that moved the ticket, `said` the actor's own newest one; `requests` wait for an
    answer, by kind; `acceptances` are those of the present dispatch; `target` is the ticket to merge into. `addressed`:
    the actor, or their team or station, was told of the ticket since it was sent.
    """

    ticket: Row
    now: int
    last: Row | None = None
    said: Row | None = None
    open_alerts: Sequence[Row] = ()
    acceptances: Sequence[Row] = ()
    requests: Mapping[str, Row] = field(default_factory=dict)
    target: Row | None = None
    addressed: bool = False
    longest_suspension: int = 180 * DAY

    @property
    def status(self) -> Status:
        """The ticket's."""
        return Status(self.ticket["status"])


class MoveDecision(NamedTuple):
    """`repeat` is a double tap: nothing is done. `part` is the acceptance of one of two: the ticket stays."""

    step: Literal["move", "part", "repeat"]
    to: Status
    reason: str = ""


def decide_move(standing: Standing, asked: Asked) -> MoveDecision:
    """Judge a move. Raises MoveRefused."""
    ticket, status, action = standing.ticket, standing.status, asked.action
    if action not in ACTION_WORDS:
        raise MoveRefused("unknown_action")
    if _done_before(standing, asked):
        return MoveDecision("repeat", status)
    transition = TRANSITIONS.get((status, action))
    if transition is None:
        raise _not_from_here(ticket, status, action)
    _check_actor(standing, asked, transition)
    _check_needs(standing, transition, asked)
    if check := _CHECKS.get(action):
        check(standing, asked)
    if action == "accept" and ticket["acceptance"] == "both":
        return _one_of_both(standing, asked.actor)
    how = "by_itself" if asked.actor.role == "platform" else "by_hand"
    return MoveDecision("move", transition.target(status, ticket["suspended_from"]), f"{action}_{how}")


def party_of(actor: Actor, ticket: Row) -> str:
    """For whom somebody accepts: team, station or desk; a neighbour's patroller accepts as the team would."""
    if actor.station and actor.station == ticket["station"]:
        return "station"
    if actor.team and actor.team == ticket["team"]:
        return "team"
    return {"patroller": "team", "officer": "station"}.get(actor.role, "desk")


def end_of_suspension(standing: Standing, asked: Asked) -> int | None:
    """Until when: as the judge says, else as it was asked for."""
    waiting = standing.requests.get("suspension")
    return asked.until if asked.until is not None or waiting is None else waiting["until"]


def _done_before(standing: Standing, asked: Asked) -> bool:
    """Accepting again what one has accepted, however far it has come; or the very move that was the last one."""
    ticket, status, action, who = standing.ticket, standing.status, asked.action, asked.actor.who
    if action == "accept" and ticket["accepted_by"] == who:
        return status in LIVE and status != Status.DISPATCHED
    if action == "accept" and any(each["person"] == who for each in standing.acceptances):
        return True
    if action == "reassign":
        return _reassigned_so(standing, asked)
    way, said = TRANSITIONS.get((status, action)), standing.said
    if way is not None and way.to == Place.HERE:
        same = said is not None and (said["action"], said["opinion"]) == (action, asked.opinion)
        return said is not None and same and 0 <= standing.now - said["at"] < _DOUBLE_TAP
    last = standing.last
    return last is not None and (last["action"], last["who"]) == (action, who) and last["to_status"] == status


def _reassigned_so(standing: Standing, asked: Asked) -> bool:
    """The same choice again within a minute; another one, or the same one later, is a reassignment of its own."""
    said, chosen = standing.said, {"team": asked.team, "station": asked.station}
    if said is None or said["action"] != "reassign" or not 0 <= standing.now - said["at"] < _DOUBLE_TAP:
        return False
    return said["details"] == chosen or not any(chosen.values())


def _not_from_here(ticket: Row, status: Status, action: str) -> MoveRefused:
    if action == "accept" and ticket["accepted_by"] and status in LIVE:
        return MoveRefused("already_accepted", who=ticket["accepted_by"])
    here, done = STATUS_WORDS[status], ACTION_WORDS[action]
    facts = {"status_zh": here.zh, "status_en": here.en, "action_zh": done.zh, "action_en": done.en}
    return MoveRefused("not_from_here", **facts)


def _check_actor(standing: Standing, asked: Asked, transition: Transition) -> None:
    """Whoever was told may act: an escalation tells others than the ticket was sent to."""
    ticket, actor = standing.ticket, asked.actor
    if actor.role not in transition.roles:
        words = ACTION_WORDS[asked.action]
        raise MoveRefused("not_allowed", action_zh=words.zh, action_en=words.en)
    if actor.role not in FREE_ROLES and not standing.addressed and not concerns(ticket, actor):
        raise MoveRefused("not_yours")


def _check_needs(standing: Standing, transition: Transition, asked: Asked) -> None:
    needs, ticket = transition.needs, standing.ticket
    if transition.answers and transition.answers not in marks_of(ticket, standing.requests):
        raise MoveRefused("nothing_asked")
    if "opinion" in needs and not asked.opinion.strip():
        raise MoveRefused("needs_opinion")
    if "cause" in needs and not asked.cause.strip():
        raise MoveRefused("needs_cause")
    if "until" in needs and end_of_suspension(standing, asked) is None:
        raise MoveRefused("needs_until")
    if "into" in needs and asked.into is None:
        raise MoveRefused("needs_into")
    if transition.arrival and ticket["life_safety"] and ticket["on_scene_at"] is None:
        raise MoveRefused("needs_arrival")


def marks_of(ticket: Row, requests: Mapping[str, Row]) -> set[str]:
    """What of a ticket waits for an answer: see `lifecycle.Mark`."""
    supervised = ticket["supervised_at"] is not None and ticket["replied_at"] is None
    return {*requests, *(("supervised",) if supervised else ())}


def _check_close(standing: Standing, asked: Asked) -> None:
    if standing.open_alerts and asked.actor.role not in DESK_ROLES:
        raise MoveRefused("alerts_open")


def _check_extension(standing: Standing, asked: Asked) -> None:
    """The original limit once more, twice at most, never after it is overdue."""
    done_by = standing.ticket["done_by"]
    if done_by is None or standing.now > done_by:
        raise MoveRefused("overdue_already")
    if standing.ticket["extensions"] >= MOST_EXTENSIONS:
        raise MoveRefused("extended_enough")
    if asked.action == "ask_extension" and "extension" in standing.requests:
        raise MoveRefused("asked_already")


def _check_suspension(standing: Standing, asked: Asked) -> None:
    until = end_of_suspension(standing, asked)
    if until is None or not standing.now < until <= standing.now + standing.longest_suspension:
        raise MoveRefused("until_out_of_range", days=str(standing.longest_suspension // DAY))
    if any(each["life_safety"] for each in standing.open_alerts):
        raise MoveRefused("danger_stands")
    if asked.action == "ask_suspension" and "suspension" in standing.requests:
        raise MoveRefused("asked_already")


def _check_supervision(standing: Standing, asked: Asked) -> None:
    if asked.until is not None and asked.until <= standing.now:
        raise MoveRefused("reply_in_the_past")


def _check_merge(standing: Standing, _asked: Asked) -> None:
    ticket, target = standing.ticket, standing.target
    if target is None:
        raise MoveRefused("unknown_ticket")
    if target["id"] == ticket["id"]:
        raise MoveRefused("merge_into_itself")
    if target["status"] not in LIVE:
        raise MoveRefused("target_ended")
    if ticket["storm"] is not None:
        raise MoveRefused("storm_takes_in")
    if ticket["drill"] != target["drill"]:
        raise MoveRefused("drill_stays_apart")
    if ticket["life_safety"] and target["storm"] is not None:
        raise MoveRefused("life_safety_stays_apart")


_CHECKS: Mapping[str, Callable[[Standing, Asked], None]] = {
    "close": _check_close,
    "ask_extension": _check_extension,
    "extend": _check_extension,
    "ask_suspension": _check_suspension,
    "suspend": _check_suspension,
    "supervise": _check_supervision,
    "merge": _check_merge,
}


def _one_of_both(standing: Standing, actor: Actor) -> MoveDecision:
    """Team and station must both accept; the desk's acceptance settles it, and so does that of the only party."""
    ticket, party = standing.ticket, party_of(actor, standing.ticket)
    have = {each["party_kind"]: each["person"] for each in standing.acceptances}
    if party == "desk":
        return MoveDecision("move", Status.ACCEPTED, "accepted_by_the_desk")
    if party in have:
        raise MoveRefused("already_accepted", who=have[party])
    missing = {kind for kind in ("team", "station") if ticket[kind]} - {*have, party}
    if missing:
        return MoveDecision("part", Status.DISPATCHED, f"waits_for_the_{missing.pop()}")
    return MoveDecision("move", Status.ACCEPTED, "both_accepted" if have else "accepted_by_hand")


def concerns(ticket: Row, actor: Actor) -> bool:
    """Sent to the person's team or station, or to the person, or accepted by them."""
    if actor.team and actor.team == ticket["team"]:
        return True
    if actor.station and actor.station == ticket["station"]:
        return True
    named = (ticket["assignment"] or {}).get("recipients", [])
    return ticket["accepted_by"] == actor.who or any(each[:2] == ["person", actor.who] for each in named)
