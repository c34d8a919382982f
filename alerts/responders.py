"""People as dispatch sees them: who they are, when they work, what they have in hand and where they were last."""

from collections.abc import Collection
from typing import NamedTuple

from alerts.duty import DutyMoment, DutySpan, DutyState, ShiftHours
from alerts.town_view import Contact, Person


class LivePosition(NamedTuple):
    """Where a person's phone was at a time (µs UTC); WGS84 degrees, `accuracy` in metres where the phone told it."""

    lng: float
    lat: float
    at: int
    accuracy: float | None = None


class Responder(NamedTuple):
    """A person with what decides about sending them.

    Roster rows, open tickets in hand, ways to reach them, the last position, and when they last accepted a ticket.
    """

    person: Person
    roster: tuple[DutySpan, ...] = ()
    load: int = 0
    contacts: tuple[Contact, ...] = ()
    position: LivePosition | None = None
    last_sent: int | None = None


def duty_state(responder: Responder, at: int, hours: ShiftHours) -> DutyState:
    """Whether a responder is on duty at a moment."""
    return DutyMoment(at, hours).of(responder.person.shift, responder.roster)


def rosterless(people: Collection[Responder], moment: DutyMoment) -> bool:
    """Whether nothing tells a team's people apart: no roster row that day, and all of them on the day shift."""
    return bool(people) and all(each.person.shift == "day" and not moment.rostered(each.roster) for each in people)
