"""Everybody who was considered for a ticket: how far, why chosen or why not, and who hears at which step."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from alerts.dispatch_policy import DispatchPolicy
from alerts.distances import Measured, measure
from alerts.duty import DutyMoment
from alerts.responders import Responder
from alerts.town_view import Contact
from alerts.words import Recipient
from devices.geometry import Position

REFUSED_KEPT = {"team": 4, "station": 4, "person": 6}
"""How many of those who were not chosen are stored with a ticket, the nearest of each kind; the others are counted."""

_UNSAID = {"way": "", "seconds": None, "duty": "", "load": 0, "resting": False, "skilled": None}


class Candidate(NamedTuple):
    """Somebody who was considered: `reason` says why chosen, or why not.

    `distance` in metres, `way` how it was got (route, straight, position), `seconds` what a routing service says it
    takes. Of people: `duty` why they count as on duty or not, `load` their tickets in hand, `resting` whether they
    accepted one just before, `skilled` whether they have the skill that the hazard wants (None: it wants none).
    """

    kind: str
    code: str
    name: str
    chosen: bool
    reason: str
    distance: float | None = None
    step: int | None = None
    way: str = ""
    seconds: float | None = None
    duty: str = ""
    load: int = 0
    resting: bool = False
    skilled: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, metres and seconds whole; what says nothing is left out."""
        told = {name: value for name, value in self._asdict().items() if name not in _UNSAID or value != _UNSAID[name]}
        whole = {name: round(told[name]) for name in ("distance", "seconds") if told.get(name) is not None}
        return told | whole


def stored(candidates: Sequence[Candidate]) -> dict[str, Any]:
    """What a ticket keeps: all who were chosen, the nearest of those who were not, and how many more by reason."""
    nearest = sorted((each for each in candidates if not each.chosen), key=_farness)
    room = Counter(REFUSED_KEPT)
    kept = [each for each in candidates if each.chosen]
    more: Counter[str] = Counter()
    for each in nearest:
        if room[each.kind] > 0:
            room[each.kind] -= 1
            kept.append(each)
        else:
            more[each.reason] += 1
    return {"candidates": [each.as_json() for each in kept], "more": dict(more)}


def _farness(candidate: Candidate) -> tuple[bool, float]:
    return candidate.distance is None, candidate.distance or 0.0


class Weighed(NamedTuple):
    """A responder as one ticket sees them; `metres` is the distance with what load and rest add to it."""

    responder: Responder
    measured: Measured | None
    metres: float
    resting: bool
    skilled: bool | None

    @property
    def order(self) -> tuple[bool, float, int, str]:
        """The best first: the skilled, then the nearest, then the least loaded."""
        return self.skilled is False, self.metres, self.responder.load, self.responder.person.code


class CallList:
    """Collects who is told at which step, and everybody who was considered; each person once.

    `at` is the moment for which duty, rest and positions count, `skill` what the hazard wants ("": nothing).
    """

    def __init__(self, at: int, place: Position | None, skill: str, policy: DispatchPolicy) -> None:
        self.at = at
        self.moment = DutyMoment(at, policy.shifts)
        self.candidates: list[Candidate] = []
        self.recipients: list[Recipient] = []
        self._place, self._skill, self._policy = place, skill, policy
        self._told: dict[str, int] = {}

    def add(self, candidate: Candidate) -> None:
        """Remember a team or a station."""
        self.candidates.append(candidate)

    def group(self, kind: Literal["team", "station"], code: str, contacts: Sequence[Contact], step: int) -> None:
        """Tell a team's or a station's own contacts, all of them at one step."""
        self.recipients += [Recipient(kind, code, each.channel, each.address, step) for each in contacts]

    def weigh(self, responder: Responder, base: Measured | None) -> Weighed:
        """How far somebody is, by a live position or else where their team or station is, and what that counts."""
        measured = self._from_position(responder) or base
        metres = 0.0 if measured is None else measured.metres
        last = responder.last_sent
        resting = last is not None and 0 <= self.at - last < self._policy.rest
        metres += responder.load * self._policy.load_metres + resting * self._policy.rest_metres
        skilled = self._skill in responder.person.skills if self._skill else None
        return Weighed(responder, measured, metres, resting, skilled)

    def on_duty(self, responder: Responder) -> bool:
        """Whether somebody is on duty and can be reached."""
        person = responder.person
        return bool(responder.contacts) and self.moment.of(person.shift, responder.roster).on

    def consider(self, who: Weighed, reason: str, step: int) -> bool:
        """Tell somebody from `step` on if they are on duty and can be reached; each further channel a step later."""
        duty = self.moment.of(who.responder.person.shift, who.responder.roster)
        if not duty.on:
            return self.refuse(who, duty.reason, duty.reason)
        return self.tell(who, reason, step, duty.reason)

    def tell(self, who: Weighed, reason: str, step: int, duty: str = "") -> bool:
        """Tell somebody whether on duty or not, if they can be reached and were not told before."""
        responder = who.responder
        person = responder.person
        if not responder.contacts:
            return self.refuse(who, "no_contact", duty)
        if person.code not in self._told:
            self._told[person.code] = step
            self.candidates.append(_person(who, True, reason, duty, step))
            self.recipients += [
                Recipient("person", person.code, each.channel, each.address, step + place)
                for place, each in enumerate(responder.contacts)
            ]
        return True

    def refuse(self, who: Weighed, reason: str, duty: str = "") -> bool:
        """Remember why somebody is not told; False."""
        self.candidates.append(_person(who, False, reason, duty, None))
        return False

    def next_step(self) -> int:
        """The step behind every person told so far; a group in which nobody is on duty is nobody."""
        return max(self._told.values(), default=-1) + 1

    @property
    def anybody(self) -> bool:
        """Whether a person is told at all."""
        return bool(self._told)

    def in_order(self) -> tuple[Recipient, ...]:
        """The recipients by step."""
        return tuple(sorted(self.recipients, key=lambda each: each.step))

    def _from_position(self, responder: Responder) -> Measured | None:
        live, policy = responder.position, self._policy
        if (
            live is None
            or self._place is None
            or not -policy.position_fresh < self.at - live.at < policy.position_fresh
        ):
            return None
        if live.accuracy is not None and live.accuracy > policy.position_accuracy:
            return None
        found = measure((live.lng, live.lat), self._place)
        return found._replace(way="position") if found else None


def _person(who: Weighed, chosen: bool, reason: str, duty: str, step: int | None) -> Candidate:
    person, measured = who.responder.person, who.measured
    return Candidate(
        "person",
        person.code,
        person.name,
        chosen,
        reason,
        measured.metres if measured else None,
        step,
        measured.way if measured else "",
        measured.seconds if measured else None,
        duty,
        who.responder.load,
        who.resting,
        who.skilled,
    )


def weighed(calls: CallList, people: Iterable[Responder], base: Measured | None) -> list[Weighed]:
    """People of one team or station, the best to send first."""
    return sorted((calls.weigh(each, base) for each in people), key=lambda each: each.order)
