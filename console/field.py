"""Somebody in the field with a ticket in hand, signed in or by a personal link, and what their phone sends along."""

from typing import Annotated, NamedTuple

from fastapi import Form
from sqlalchemy import Connection, select

from alerts.lifecycle import DESK_ROLES, Role
from alerts.links import resolve
from alerts.move_decisions import Actor, concerns
from alerts.positions import positions_of, report_position
from alerts.refusals import MoveRefused
from alerts.responders import LivePosition
from alerts.tables import notice, ticket_log
from alerts.tickets import read_ticket
from alerts.words import Row
from console import dossier
from console.access import NotFound
from console.accounts import Account
from console.acting import FALSE_CAUSES, RETURN_REASONS, Wish, moment_entered, role_of_person
from console.language import text
from console.services import Services
from core.clock import MILLISECOND
from core.database import reading
from devices.geometry import distance_m

_Text = Annotated[str, Form(max_length=500)]
_Degrees = Annotated[float | None, Form(ge=-180, le=180, allow_inf_nan=False)]


class Hand(NamedTuple):
    """Who it is, in which role, which ticket, and the address under which all that concerns it is sent."""

    who: str
    role: Role
    ticket: int
    base: str
    linked: bool = False


def hand_of_account(services: Services, account: Account, number: str) -> Hand:
    """A signed-in person's. Raises NotFound for an unknown ticket and for an account without a person."""
    with reading(services.engine) as connection:
        found = dossier.ticket_by_number(connection, number)
        if found is None or account.person is None:
            raise NotFound("error.no_ticket")
        role = role_of_person(connection, account.person)
    return Hand(account.actor, role, found["id"], f"/m/tickets/{number}")


def hand_of_link(services: Services, code: str) -> Hand:
    """A personal link's. Raises NotFound for one that ran out or never was."""
    with reading(services.engine) as connection:
        held = resolve(connection, code, services.clock.now())
        if held is None:
            raise NotFound("error.link")
        return Hand(held[0], role_of_person(connection, held[0]), held[1], f"/t/{code}", linked=True)


def check_theirs(connection: Connection, services: Services, hand: Hand, row: Row) -> None:
    """Whether a ticket is theirs: sent to them, told to them, accepted or reported by them. Raises MoveRefused."""
    if hand.linked:
        return
    person = services.town().people.get(hand.who)
    actor = Actor(hand.who, hand.role, person.team if person else None, person.station if person else None)
    if hand.role in DESK_ROLES or hand.role == "leader" or concerns(row, actor):
        return
    said = (ticket_log.c.ticket == row["id"], ticket_log.c.who == hand.who, ticket_log.c.action == "report")
    told = (notice.c.ticket == row["id"], notice.c.recipient.in_([actor.who, actor.team, actor.station]))
    known = select(ticket_log.c.id).where(*said).exists() | select(notice.c.id).where(*told).exists()
    if not connection.scalar(select(known)):
        raise MoveRefused("not_yours")


class Spot(NamedTuple):
    """Where a phone says that it is; nothing of it when its owner does not share that. `at` in ms of the phone."""

    lng: float | None = None
    lat: float | None = None
    accuracy: float | None = None
    at: int | None = None

    def live(self, now: int) -> LivePosition | None:
        """As a live position; `now` (µs UTC) where the phone gave no time."""
        if self.lng is None or self.lat is None:
            return None
        return LivePosition(self.lng, self.lat, self.at * MILLISECOND if self.at else now, self.accuracy)


def spot(
    lng: _Degrees = None,
    lat: _Degrees = None,
    accuracy: Annotated[float | None, Form(ge=0, le=1e6, allow_inf_nan=False)] = None,
    at: Annotated[int | None, Form(ge=0, le=2**43)] = None,
) -> Spot:
    """What of a form says where the phone is."""
    return Spot(lng, lat, accuracy, at)


class Said(NamedTuple):
    """What somebody entered with a move."""

    reason: str = ""
    opinion: str = ""
    cause: str = ""
    until: str = ""


def said(reason: _Text = "", opinion: _Text = "", cause: _Text = "", until: _Text = "") -> Said:
    """What of a form comes with a move."""
    return Said(reason, opinion, cause, until)


def wish_of(connection: Connection, hand: Hand, action: str, what: Said, where: Spot) -> Wish:
    """The move's opinion, cause and end: a button's in Chinese, as the log is; of an arrival, how near the phone is."""
    opinion = what.opinion
    if action == "return":
        opinion = text("zh", f"reason.{what.reason}") if what.reason in RETURN_REASONS else what.opinion
    elif action == "arrive":
        opinion = _nearness(connection, hand, where)
    cause = what.cause if what.cause in FALSE_CAUSES else ""
    return Wish(opinion, cause, until=moment_entered(what.until))


def keep_spot(connection: Connection, services: Services, who: str, where: Spot) -> str:
    """Keep where a person is, who shares it by sending it; what became of it."""
    now = services.clock.now()
    live = where.live(now)
    return report_position(connection, who, live, now) if live else "nothing_said"


def last_spot(connection: Connection, who: str) -> LivePosition | None:
    """Where a person's phone was last, if that is known."""
    return positions_of(connection, [who]).get(who)


def _nearness(connection: Connection, hand: Hand, where: Spot) -> str:
    row = read_ticket(connection, hand.ticket)
    if where.lng is None or where.lat is None or row["lng"] is None:
        return ""
    metres = round(distance_m(where.lng, where.lat, row["lng"], row["lat"]))
    accuracy = text("zh", "arrival.accuracy", metres=round(where.accuracy)) if where.accuracy is not None else ""
    return text("zh", "arrival.distance", metres=metres) + accuracy
