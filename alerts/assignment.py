"""Who a ticket goes to: the containing grid's patrol, then the nearest, the station, the leader, the dispatcher.

By day the grid's on-duty patrol, then the patrols nearest to the place, a step each; beside it the nearest station from
报警 up, below it behind them. By night and on days off the nearest station, then the next one, and the duty leader;
patrollers only for 紧急 in their own grid; 预警 and 提示 at night wait for the morning unless life is at stake. Roads
go to checkpoint stations first. A patrol without any roster that works by day only is told as a whole. Where nobody is
on duty the duty leader is told, then the dispatcher: never nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alerts.candidates import CallList, Candidate, stored
from alerts.dispatch_facts import AssignmentFacts, StationFacts, TeamFacts
from alerts.dispatch_policy import DispatchPolicy, Period, due_at, period_at
from alerts.responders import Responder
from alerts.station_choice import tell_stations
from alerts.team_choice import tell_teams
from alerts.words import Recipient
from core.clock import local

__all__ = [
    "Assignment",
    "AssignmentFacts",
    "DispatchPolicy",
    "StationFacts",
    "TeamFacts",
    "assign",
    "due_at",
    "period_at",
]


@dataclass(frozen=True)
class Assignment:
    """The choice with its reasons; `recipients` are ordered by step, notices are due at `due_at` (µs UTC).

    `shortfalls` name what it lacks: no_roster, no_skill, nobody_in_the_grid, nobody_on_duty, site_names_unknown. `way`
    is how the distances of chosen teams and stations were got: "route", "straight", "mixed", or "" without a place.
    """

    period: Period
    reason: str
    team: str | None
    station: str | None
    station_distance: float | None
    due_at: int
    calendar: str
    candidates: tuple[Candidate, ...]
    recipients: tuple[Recipient, ...]
    shortfalls: tuple[str, ...] = ()
    way: str = ""
    skill: str = ""

    @property
    def at_once(self) -> tuple[Recipient, ...]:
        """Who is told first; the others follow by escalation."""
        return tuple(each for each in self.recipients if each.step == 0)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, as stored on the ticket; of those who were not chosen only the nearest."""
        return {
            "period": self.period,
            "reason": self.reason,
            "team": self.team,
            "station": self.station,
            "station_distance": self.station_distance,
            "due_at": self.due_at,
            "calendar": self.calendar,
            "way": self.way,
            "skill": self.skill,
            "shortfalls": list(self.shortfalls),
            **stored(self.candidates),
            "recipients": [list(each) for each in self.recipients],
        }


def assign(facts: AssignmentFacts, now: int) -> Assignment:
    """Choose team, station and the order in which people are told. Pure; routing and duty are those of `due_at`."""
    policy = facts.policy
    at = due_at(facts.severity, facts.life_safety, now, policy, facts.calendar)
    period = period_at(at, policy, facts.calendar)
    patrolled = period == "day" or (period == "evening" and policy.evening_is_day)
    skill = policy.skills.get(facts.hazard, "")
    calls = CallList(at, facts.place, skill, policy)
    teams = tell_teams(facts, calls, patrolled)
    station = tell_stations(facts, calls, patrolled)
    leader_now = facts.whole_town or not patrolled
    awake = _up_the_line(facts, calls, leader_now)
    lacks = (*_unknown(facts), *teams.shortfalls, *(() if awake else ("nobody_on_duty",)), *_unskilled(calls, skill))
    return Assignment(
        period=period,
        reason=_reason(facts, patrolled, at > now),
        team=teams.team,
        station=station.facts.station.code if station else None,
        station_distance=station.distance if station else None,
        due_at=at,
        calendar=facts.calendar.day(local(at).date()).source,
        candidates=tuple(calls.candidates),
        recipients=calls.in_order(),
        shortfalls=lacks,
        way=_way(calls, facts),
        skill=skill,
    )


def _reason(facts: AssignmentFacts, patrolled: bool, waits: bool) -> str:
    if facts.by_hand:
        return "chosen_by_dispatcher"
    if facts.whole_town:
        return "many_sites"
    if not facts.placed:
        return "place_unknown"
    if facts.grid is None:
        return "outside_every_grid"
    if waits:
        return "waits_for_morning"
    if facts.road:
        return "road_to_checkpoint"
    return "grid_patrol" if patrolled else "station_and_leader"


def _way(calls: CallList, facts: AssignmentFacts) -> str:
    """How the distances of the teams and stations that were chosen were got."""
    if facts.place is None:
        return ""
    ways = {each.way for each in calls.candidates if each.chosen and each.kind != "person" and each.way}
    return "mixed" if len(ways) > 1 else next(iter(ways), "straight")


def _unknown(facts: AssignmentFacts) -> tuple[str, ...]:
    """Whether the site names a team or a station that there isn't."""
    teams = facts.site_team is None or any(each.team.code == facts.site_team for each in facts.teams)
    stations = facts.site_station is None or any(each.station.code == facts.site_station for each in facts.stations)
    return () if teams and stations else ("site_names_unknown",)


def _unskilled(calls: CallList, skill: str) -> tuple[str, ...]:
    people = [each for each in calls.candidates if each.chosen and each.kind == "person"]
    return ("no_skill",) if skill and not any(each.skilled for each in people) else ()


def _up_the_line(facts: AssignmentFacts, calls: CallList, leader_now: bool) -> bool:
    """Add the duty leader, then the dispatcher, one step behind; anybody of them rather than nobody at all.

    Whether anybody on duty hears of it.
    """
    if facts.grid is None:
        _rung(calls, facts.dispatchers, "dispatcher", 0)
        _rung(calls, facts.leaders, "duty_leader", 0 if leader_now else calls.next_step())
    else:
        _rung(calls, facts.leaders, "duty_leader", 0 if leader_now else calls.next_step())
        _rung(calls, facts.dispatchers, "dispatcher", calls.next_step())
    if calls.anybody:
        return True
    officers = [each for station in facts.stations for each in station.officers]
    patrollers = [each for team in facts.teams for each in team.people]
    for rest in ((*facts.dispatchers, *facts.leaders), officers, patrollers):
        awake = [each for each in rest if calls.on_duty(each)]
        for each in awake or rest:
            calls.tell(calls.weigh(each, None), "nobody_else_on_duty", 0)
        if calls.anybody:
            return bool(awake)
    return False


def _rung(calls: CallList, responders: Sequence[Responder], reason: str, step: int) -> None:
    for responder in responders:
        calls.consider(calls.weigh(responder, None), reason, step)
