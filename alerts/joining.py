"""The tickets that an alert could join or follow, found by what the indexes hold: nothing here grows with the town."""

from collections.abc import Collection
from math import cos, radians
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal_column, select, union_all

from alerts.lifecycle import ENDED, LIVE
from alerts.tables import alert, ticket
from alerts.ticket_decisions import AlertFacts, TicketFacts

_METRES_A_DEGREE = 110_000  # less than any degree of latitude, so that a box is never too small
_COLUMNS = tuple(ticket.c[name] for name in ("id", "status", "site", "hazard", "lng", "lat"))
_LAST_ALERT = (
    select(alert.c.opened_at).where(alert.c.ticket == ticket.c.id).order_by(alert.c.id.desc()).limit(1)
).scalar_subquery()


def _statuses(names: Collection[str]) -> Any:
    """As literals, so that the statement is built once."""
    return [literal_column(f"'{name}'") for name in sorted(names)]


_FACTS = select(*_COLUMNS, func.coalesce(_LAST_ALERT, ticket.c.reported_at).label("last"), ticket.c.closed_at)
_HAZARD = ticket.c.hazard == bindparam("of_hazard")
_IS_LIVE = ticket.c.status.in_(_statuses(LIVE))
_IN_BOX = (
    ticket.c.lat.between(bindparam("south"), bindparam("north")),
    ticket.c.lng.between(bindparam("west"), bindparam("east")),
)
_AT_SITES = _FACTS.where(_HAZARD, _IS_LIVE, ticket.c.site.in_(bindparam("sites", expanding=True)))
_WITHOUT_SITE = _FACTS.where(_HAZARD, _IS_LIVE, ticket.c.site.is_(None), *_IN_BOX)
_NEAR = union_all(_AT_SITES, _WITHOUT_SITE)
_NAMED = _FACTS.where(_IS_LIVE, ticket.c.id.in_(bindparam("ids", expanding=True)))
_ENDED_AT_SITE = _FACTS.where(
    _HAZARD,
    ticket.c.site == bindparam("of_site"),
    ticket.c.status.in_(_statuses(ENDED)),
    ticket.c.closed_at >= bindparam("since"),
)
_ENDED_OWN = _FACTS.where(ticket.c.status.in_(_statuses(ENDED)), ticket.c.id == bindparam("its_id"))


def live_tickets(connection: Connection, about: AlertFacts, sites: Collection[str], metres: float) -> list[TicketFacts]:
    """The live tickets of an alert's hazard at its site, at `sites` or near without a site; its own, its members'."""
    around = {each for each in (*sites, about.site) if each is not None}
    values = {"of_hazard": about.hazard, "sites": sorted(around), **_box(about, metres)}
    found = _read(connection, _NEAR, values)
    named = {each for each in (about.ticket, *about.members) if each is not None} - {each.id for each in found}
    return found + (_read(connection, _NAMED, {"ids": sorted(named)}) if named else [])


def ended_tickets(connection: Connection, about: AlertFacts, since: int) -> list[TicketFacts]:
    """The tickets of an alert's hazard at its site that ended at or after `since`, and its own whenever it ended."""
    found: list[TicketFacts] = []
    if about.site is not None:
        found = _read(connection, _ENDED_AT_SITE, {"of_hazard": about.hazard, "of_site": about.site, "since": since})
    if about.ticket is not None and about.ticket not in {each.id for each in found}:
        found += _read(connection, _ENDED_OWN, {"its_id": about.ticket})
    return found


def _box(about: AlertFacts, metres: float) -> dict[str, float]:
    """A box that holds the circle; an empty one for what is nowhere."""
    if about.lng is None or about.lat is None:
        return {"south": 1.0, "north": 0.0, "west": 1.0, "east": 0.0}
    north = metres / _METRES_A_DEGREE
    east = north / cos(radians(about.lat))
    return {
        "south": about.lat - north,
        "north": about.lat + north,
        "west": about.lng - east,
        "east": about.lng + east,
    }


def _read(connection: Connection, statement: Select[Any] | Any, values: dict[str, Any]) -> list[TicketFacts]:
    return [TicketFacts._make(row) for row in connection.execute(statement, values)]
