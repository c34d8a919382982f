"""Who is on duty: standing shifts, and roster rows that override them on the local days they touch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import Connection, func, select

from alerts import tables
from alerts.lifecycle import LIVE
from alerts.town_view import Contact, Person
from core.clock import DAY, SHANGHAI, local, moment_of

Shift = Literal["day", "evening", "night"]


@dataclass(frozen=True)
class ShiftHours:
    """When each shift works, as whole local hours [from, to); `between` takes the hours that no shift names.

    >>> ShiftHours().shift_at(7)
    'night'
    """

    day: tuple[int, int] = (8, 18)
    evening: tuple[int, int] = (18, 22)
    night: tuple[int, int] = (22, 6)
    between: Shift = "night"

    def shift_at(self, hour: int) -> Shift:
        """The shift that works at a local hour."""
        named: tuple[tuple[Shift, tuple[int, int]], ...] = (
            ("day", self.day),
            ("evening", self.evening),
            ("night", self.night),
        )
        return next((shift for shift, hours in named if _within(hour, hours)), self.between)


class DutySpan(NamedTuple):
    """One roster row, µs UTC, [starts_at, ends_at)."""

    starts_at: int
    ends_at: int


class DutyState(NamedTuple):
    """Whether somebody is on duty, and why: rostered, off_roster, standing_shift or other_shift."""

    on: bool
    reason: str


class Responder(NamedTuple):
    """A person with what decides about sending them: roster rows, open tickets in hand, ways to reach them."""

    person: Person
    roster: tuple[DutySpan, ...] = ()
    load: int = 0
    contacts: tuple[Contact, ...] = ()


def duty_state(responder: Responder, at: int, hours: ShiftHours) -> DutyState:
    """Whether a responder is on duty at a moment."""
    today = [span for span in responder.roster if _touches(span, at)]
    if today:
        on = any(span.starts_at <= at < span.ends_at for span in today)
        return DutyState(on, "rostered" if on else "off_roster")
    on = responder.person.shift in ("all", hours.shift_at(local(at).hour))
    return DutyState(on, "standing_shift" if on else "other_shift")


def load_responders(
    connection: Connection,
    people: Sequence[Person],
    contacts: Mapping[tuple[str, str], tuple[Contact, ...]],
    at: int,
) -> list[Responder]:
    """The people with their roster rows around `at` and the number of open tickets that each has accepted."""
    codes = [person.code for person in people]
    rosters = _rosters(connection, codes, at)
    loads = _loads(connection, codes)
    return [
        Responder(
            person,
            tuple(rosters.get(person.code, ())),
            loads.get(person.code, 0),
            contacts.get(("person", person.code), ()),
        )
        for person in people
    ]


def _rosters(connection: Connection, codes: list[str], at: int) -> dict[str, list[DutySpan]]:
    duty = tables.duty.c
    near = select(duty.person, duty.starts_at, duty.ends_at).where(
        duty.person.in_(codes), duty.starts_at < at + DAY, duty.ends_at > at - DAY
    )
    found: dict[str, list[DutySpan]] = {}
    for person, starts_at, ends_at in connection.execute(near.order_by(duty.starts_at)):
        found.setdefault(person, []).append(DutySpan(starts_at, ends_at))
    return found


def _loads(connection: Connection, codes: list[str]) -> dict[str, int]:
    ticket = tables.ticket.c
    held = (
        select(ticket.accepted_by, func.count())
        .where(ticket.accepted_by.in_(codes), ticket.status.in_(sorted(LIVE)))
        .group_by(ticket.accepted_by)
    )
    return {row[0]: row[1] for row in connection.execute(held)}


def _touches(span: DutySpan, at: int) -> bool:
    begins = datetime.combine(local(at).date(), time(), SHANGHAI)
    return span.starts_at < moment_of(begins + timedelta(days=1)) and span.ends_at > moment_of(begins)


def _within(hour: int, hours: tuple[int, int]) -> bool:
    start, end = hours
    return start <= hour < end if start < end else hour >= start or hour < end
