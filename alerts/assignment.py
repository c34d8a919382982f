"""Who a ticket goes to: the containing grid's patrol, the nearest station, the leader or the dispatcher, with reasons.

By day the grid's on-duty patrol, the nearest station from 报警 up; by night and on days off the nearest station and the
duty leader, patrollers only for 紧急 in their own grid; 预警 and 提示 at night wait for the morning unless life is at
stake. Roads go to checkpoint stations first. Where nobody is on duty the duty leader is told, then the dispatcher:
never nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Literal, NamedTuple

from alerts.responders import Responder, ShiftHours, duty_state
from alerts.station_choice import RankedStation, StationFacts, rank_stations
from alerts.town_view import Contact, Team
from alerts.words import Recipient
from alerts.working_time import WorkCalendar
from core.clock import SHANGHAI, local, moment_of
from detectors.words import Severity

Period = Literal["day", "evening", "night", "day_off"]


@dataclass(frozen=True)
class DispatchPolicy:
    """How tickets are routed.

    `evening_is_day`: the evening is routed like the day. `first_told`: how many of a team's people hear at once where
    neither life is at stake nor it is 紧急; the others follow a step later. `morning`: the local hour at which night's
    预警 and 提示 are told.
    """

    shifts: ShiftHours = field(default_factory=ShiftHours)
    evening_is_day: bool = True
    first_told: int = 2
    morning: int = 8


class Candidate(NamedTuple):
    """Somebody who was considered: `reason` says why chosen, or why not. `distance` in metres, stations only."""

    kind: str
    code: str
    name: str
    chosen: bool
    reason: str
    distance: float | None = None
    step: int | None = None


@dataclass(frozen=True)
class TeamFacts:
    """A grid's patrol, its people and its own (group) contacts."""

    team: Team
    people: Sequence[Responder]
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True)
class AssignmentFacts:
    """All that decides. `grid` is None outside every grid; `team` and `station` fix the dispatcher's own choice."""

    severity: Severity
    road: bool
    grid: str | None
    lng: float | None
    lat: float | None
    teams: Sequence[TeamFacts]
    stations: Sequence[StationFacts]
    leaders: Sequence[Responder]
    dispatchers: Sequence[Responder]
    policy: DispatchPolicy = field(default_factory=DispatchPolicy)
    calendar: WorkCalendar = field(default_factory=WorkCalendar)
    team: str | None = None
    station: str | None = None
    life_safety: bool = False

    @property
    def placed(self) -> bool:
        """Whether it is anywhere in the town: a fault of the platform itself is not."""
        return self.grid is not None or (self.lng is not None and self.lat is not None)

    @property
    def everybody_at_once(self) -> bool:
        """Whether all who are on duty hear at once."""
        return self.life_safety or self.severity >= Severity.CRITICAL


@dataclass(frozen=True)
class Assignment:
    """The choice with its reasons; `recipients` are ordered by step, notices are due at `due_at` (µs UTC)."""

    period: Period
    reason: str
    team: str | None
    station: str | None
    station_distance: float | None
    due_at: int
    calendar: str
    candidates: tuple[Candidate, ...]
    recipients: tuple[Recipient, ...]

    @property
    def at_once(self) -> tuple[Recipient, ...]:
        """Who is told first; the others follow by escalation."""
        return tuple(each for each in self.recipients if each.step == 0)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, as stored on the ticket."""
        return {
            "period": self.period,
            "reason": self.reason,
            "team": self.team,
            "station": self.station,
            "station_distance": self.station_distance,
            "due_at": self.due_at,
            "calendar": self.calendar,
            "candidates": [candidate._asdict() for candidate in self.candidates],
            "recipients": [list(each) for each in self.recipients],
        }


def period_at(at: int, policy: DispatchPolicy, calendar: WorkCalendar) -> Period:
    """The routing period of a moment: the night first, then days off, then evening or day."""
    shift = policy.shifts.shift_at(local(at).hour)
    if shift == "night":
        return "night"
    return shift if calendar.day(local(at).date()).worked else "day_off"


def due_at(severity: Severity, life_safety: bool, now: int, policy: DispatchPolicy, calendar: WorkCalendar) -> int:
    """When notices go out: now, or at the next morning for 预警 and 提示 at night where no life is at stake."""
    if life_safety or severity >= Severity.ALARM or period_at(now, policy, calendar) != "night":
        return now
    morning = datetime.combine(local(now).date(), time(policy.morning), SHANGHAI)
    return moment_of(morning if moment_of(morning) > now else morning + timedelta(days=1))


def assign(facts: AssignmentFacts, now: int) -> Assignment:
    """Choose team, station and the order in which people are told. Pure; routing and duty are those of `due_at`."""
    at = due_at(facts.severity, facts.life_safety, now, facts.policy, facts.calendar)
    period = period_at(at, facts.policy, facts.calendar)
    patrolled = period == "day" or (period == "evening" and facts.policy.evening_is_day)
    told = _Told(facts, at)
    reason = _reason(facts, patrolled, at > now)
    team = _tell_team(told, patrolled)
    station = _tell_station(told, patrolled)
    told.up_the_line(leader_now=not patrolled)
    return Assignment(
        period=period,
        reason=reason,
        team=team,
        station=station.facts.station.code if station else None,
        station_distance=station.distance if station else None,
        due_at=at,
        calendar=facts.calendar.day(local(at).date()).source,
        candidates=tuple(told.candidates),
        recipients=tuple(sorted(told.recipients, key=lambda each: each.step)),
    )


def _reason(facts: AssignmentFacts, patrolled: bool, waits: bool) -> str:
    if facts.team or facts.station:
        return "chosen_by_dispatcher"
    if not facts.placed:
        return "place_unknown"
    if facts.grid is None:
        return "outside_every_grid"
    if waits:
        return "waits_for_morning"
    if facts.road:
        return "road_to_checkpoint"
    return "grid_patrol" if patrolled else "station_and_leader"


class _Told:
    """Collects who is told at which step, and everybody who was considered."""

    def __init__(self, facts: AssignmentFacts, at: int) -> None:
        self.facts = facts
        self.at = at
        self.candidates: list[Candidate] = []
        self.recipients: list[Recipient] = []

    def consider(self, responder: Responder, reason: str, step: int) -> bool:
        """Tell a person from `step` on if they are on duty and can be reached; each further channel is a step later."""
        duty = duty_state(responder, self.at, self.facts.policy.shifts)
        if not duty.on:
            return self.refuse(responder, duty.reason)
        return self.tell(responder, reason, step)

    def tell(self, responder: Responder, reason: str, step: int) -> bool:
        """Tell a person whether on duty or not, if they can be reached and were not told before."""
        person = responder.person
        if not responder.contacts:
            return self.refuse(responder, "no_contact")
        if not any(each.kind == "person" and each.code == person.code for each in self.recipients):
            self.candidates.append(Candidate("person", person.code, person.name, True, reason, step=step))
            self.recipients += _channels("person", person.code, responder.contacts, step)
        return True

    def refuse(self, responder: Responder, reason: str) -> bool:
        """Remember why somebody is not told; False."""
        self.candidates.append(Candidate("person", responder.person.code, responder.person.name, False, reason))
        return False

    def group(self, kind: Literal["team", "station"], code: str, contacts: Sequence[Contact]) -> None:
        """Tell a team's or a station's own contacts at once."""
        self.recipients += [Recipient(kind, code, each.channel, each.address, 0) for each in contacts]

    def up_the_line(self, leader_now: bool) -> None:
        """Add the duty leader, then the dispatcher, one step behind; anybody of them rather than nobody at all."""
        if self.facts.grid is None:
            self._rung(self.facts.dispatchers, "dispatcher", 0)
            self._rung(self.facts.leaders, "duty_leader", 0 if leader_now else self.next_step())
        else:
            self._rung(self.facts.leaders, "duty_leader", 0 if leader_now else self.next_step())
            self._rung(self.facts.dispatchers, "dispatcher", self.next_step())
        if any(each.kind == "person" for each in self.recipients):
            return
        officers = [each for station in self.facts.stations for each in station.officers]
        patrollers = [each for team in self.facts.teams for each in team.people]
        for asleep in ((*self.facts.dispatchers, *self.facts.leaders), officers, patrollers):
            woken = [self.tell(responder, "nobody_else_on_duty", 0) for responder in asleep]
            if any(woken):
                return

    def next_step(self) -> int:
        """The step behind every person told so far; a group in which nobody is on duty is nobody."""
        return max((each.step for each in self.recipients if each.kind == "person"), default=-1) + 1

    def _rung(self, responders: Sequence[Responder], reason: str, step: int) -> None:
        for responder in responders:
            self.consider(responder, reason, step)


def _tell_team(told: _Told, patrolled: bool) -> str | None:
    facts = told.facts
    chosen: str | None = None
    for each in facts.teams:
        refusal = _team_refusal(facts, each, patrolled)
        reason = refusal or ("chosen_by_dispatcher" if facts.team else "contains_the_site")
        told.candidates.append(Candidate("team", each.team.code, each.team.name, not refusal, reason))
        if refusal:
            continue
        chosen = each.team.code
        told.group("team", each.team.code, each.contacts)
        _tell_patrol(told, each.people)
    return chosen


def _team_refusal(facts: AssignmentFacts, team: TeamFacts, patrolled: bool) -> str:
    if facts.team or facts.station:
        return "" if team.team.code == facts.team else "not_chosen"
    if team.team.grid != facts.grid:
        return "other_grid"
    return "" if patrolled or facts.severity >= Severity.CRITICAL else "patrols_by_day"


def _tell_patrol(told: _Told, people: Sequence[Responder]) -> None:
    """The least loaded first; where life is at stake and for 紧急 everybody on duty at once."""
    at_once = len(people) if told.facts.everybody_at_once else told.facts.policy.first_told
    heard = 0
    for responder in sorted(people, key=lambda each: (each.load, each.person.code)):
        first = heard < at_once
        heard += told.consider(responder, "on_duty_least_load" if first else "on_duty_next", 0 if first else 1)


def _tell_station(told: _Told, patrolled: bool) -> RankedStation | None:
    facts = told.facts
    ranked = rank_stations(facts.stations, facts.grid, facts.lng, facts.lat, facts.road)
    needed = facts.placed and (not patrolled or facts.road or facts.severity >= Severity.ALARM)
    if facts.team or facts.station:
        picked = next((each for each in ranked if each.facts.station.code == facts.station), None)
    else:
        picked = ranked[0] if ranked and needed else None
    for each in ranked:
        told.candidates.append(_station_candidate(each, picked, needed, facts))
    if picked:
        told.group("station", picked.facts.station.code, picked.facts.contacts)
        for officer in picked.facts.officers:
            told.consider(officer, "station_officer", 0)
    return picked


def _station_candidate(
    each: RankedStation, picked: RankedStation | None, needed: bool, facts: AssignmentFacts
) -> Candidate:
    station = each.facts.station
    if facts.team or facts.station:
        reason = "chosen_by_dispatcher" if each is picked else "not_chosen"
    elif not facts.placed:
        reason = "place_unknown"
    elif not needed:
        reason = "below_alarm"
    else:
        reason = each.reason if each is picked else "ranked_behind"
    return Candidate(
        "station", station.code, station.name, each is picked, reason, each.distance, 0 if each is picked else None
    )


def _channels(
    kind: Literal["person", "team", "station"], code: str, contacts: Sequence[Contact], step: int
) -> list[Recipient]:
    return [Recipient(kind, code, each.channel, each.address, step + place) for place, each in enumerate(contacts)]
