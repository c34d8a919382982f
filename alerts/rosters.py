"""What dispatch knows of people at the moment: roster rows, tickets in hand, live positions.

Read when needed, each person once a transaction, however many tickets it makes.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property

from sqlalchemy import Connection, bindparam, case, func, select

from alerts import tables
from alerts.duty import DutyMoment, DutySpan, ShiftHours
from alerts.lifecycle import Status
from alerts.positions import positions_of
from alerts.responders import Responder, rosterless
from alerts.town_view import Contact, Person, TownView
from core.clock import DAY

_LONGEST = 7 * DAY
"""No roster row is longer; it bounds what of a person's past is looked at."""
_IN_HAND = (Status.ACCEPTED, Status.ON_SCENE)
_WORKED = (*_IN_HAND, Status.HANDLED, Status.CHECKED)
_duty, _ticket = tables.duty.c, tables.ticket.c
_SPANS = (
    select(_duty.person, _duty.starts_at, _duty.ends_at)
    .where(_duty.person.in_(bindparam("people", expanding=True)))
    .where(_duty.starts_at.between(bindparam("from"), bindparam("until")), _duty.ends_at > bindparam("since"))
    .order_by(_duty.starts_at)
)
_TAKEN = (
    select(
        _ticket.accepted_by,
        func.sum(case((_ticket.status.in_(_IN_HAND), 1), else_=0)),
        func.max(_ticket.accepted_at),
    )
    .where(_ticket.status.in_(_WORKED), _ticket.accepted_by.is_not(None))
    .group_by(_ticket.accepted_by)
)


class Rosters:
    """The responders of one transaction as they are `now`; `contacts` as the town view has them."""

    def __init__(
        self, connection: Connection, contacts: Mapping[tuple[str, str], tuple[Contact, ...]], now: int
    ) -> None:
        self._connection, self._contacts, self._now = connection, contacts, now
        self._known: dict[str, Responder] = {}

    def of(self, people: Iterable[Person]) -> list[Responder]:
        """The people as responders, in their order."""
        wanted = list(people)
        self.read(wanted)
        return [self._known[person.code] for person in wanted]

    def read(self, people: Iterable[Person]) -> None:
        """Read ahead, in one go, those who are not known yet."""
        unknown = {person.code: person for person in people if person.code not in self._known}
        if unknown:
            self._read(unknown)

    def _read(self, people: Mapping[str, Person]) -> None:
        codes = sorted(people)
        spans = self._spans(codes)
        positions = positions_of(self._connection, codes)
        for code, person in people.items():
            load, last_sent = self._in_hand.get(code, (0, None))
            contacts = self._contacts.get(("person", code), ())
            spanned = tuple(spans.get(code, ()))
            self._known[code] = Responder(person, spanned, load, contacts, positions.get(code), last_sent)

    def _spans(self, codes: list[str]) -> dict[str, list[DutySpan]]:
        """Roster rows from a day before now to two days after: tickets of a night are told the morning after."""
        since, until = self._now - DAY, self._now + 2 * DAY
        values = {"people": codes, "from": since - _LONGEST, "since": since, "until": until}
        found: dict[str, list[DutySpan]] = {}
        for person, starts_at, ends_at in self._connection.execute(_SPANS, values):
            found.setdefault(person, []).append(DutySpan(starts_at, ends_at))
        return found

    @cached_property
    def _in_hand(self) -> dict[str, tuple[int, int | None]]:
        """By person: tickets accepted and not yet handled, and when one was last accepted."""
        return {row[0]: (int(row[1]), row[2]) for row in self._connection.execute(_TAKEN)}


def teams_without_roster(connection: Connection, town: TownView, now: int, hours: ShiftHours) -> list[str]:
    """The patrols of which nothing tells today who is on duty: all of a grid hear by day."""
    rosters, moment = Rosters(connection, town.contacts, now), DutyMoment(now, hours)
    rosters.read(person for people in town.patrol_of.values() for person in people)
    return sorted(code for code, people in town.patrol_of.items() if rosterless(rosters.of(people), moment))
