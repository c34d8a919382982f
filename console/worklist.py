"""The queue of open tickets, sorted by time left, and a patroller's part of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select

from alerts.tables import person, ticket
from alerts.tables import station as station_table
from alerts.tables import team as team_table
from console.board import names_of
from console.stages import OPEN, TABS, clock_shown, desk_clock, in_queue
from devices.tables import grid as grid_table
from devices.tables import site as site_table

PAGE = 60
_COLUMNS = (
    *(
        ticket.c[name]
        for name in ("id", "number", "status", "title", "title_en", "hazard", "severity", "life_safety", "site")
    ),
    *(ticket.c[name] for name in ("lng", "lat", "address", "grid", "team", "station", "accept_by", "arrive_by")),
    *(ticket.c[name] for name in ("done_by", "desk_by", "reported_at", "accepted_at", "accepted_by", "recovered_at")),
    *(ticket.c[name] for name in ("source", "priority", "supervised_at", "replied_at", "reply_by", "resume_at")),
)
_ORDER = (ticket.c.priority.desc(), ticket.c.queue_by, ticket.c.severity.desc(), ticket.c.id)
"""As the index ix_ticket_queue_order holds them."""


class Filter(NamedTuple):
    """What the dispatcher wants to see; the defaults leave nothing out. `severity` is the lowest shown."""

    tab: str = "all"
    severity: int = 0
    grid: str = ""
    hazard: str = ""
    source: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """The SQL conditions that all must hold, beside those of the tab."""
        wanted: list[ColumnElement[bool]] = []
        if self.severity:
            wanted.append(ticket.c.severity >= self.severity)
        if self.grid:
            wanted.append(ticket.c.grid == self.grid)
        if self.hazard:
            wanted.append(ticket.c.hazard == self.hazard)
        if self.source:
            wanted.append(ticket.c.source == self.source)
        return wanted


def queue(connection: Connection, wanted: Filter, limit: int = PAGE, offset: int = 0) -> list[dict[str, Any]]:
    """Open tickets: those that somebody presses for first, then least time left, those on which no clock runs last.

    The more severe first in a tie. What waits for the dispatcher stands and shows by the desk's own clock.
    """
    ids = (
        select(ticket.c.id)
        .where(*in_queue(TABS.get(wanted.tab, OPEN)), *wanted.conditions())
        .order_by(*_ORDER)
        .limit(limit)
        .offset(offset)
    )
    found = [int(row.id) for row in connection.execute(ids)]
    return with_places(connection, found, for_desk=True)


def with_places(connection: Connection, ids: Sequence[int], for_desk: bool = False) -> list[dict[str, Any]]:
    """The tickets in the order of `ids`, each with the names of its place and people and its running clock.

    What the desk itself owes them is a running clock `for_desk` only.
    """
    rows = {row["id"]: dict(row) for row in connection.execute(select(*_COLUMNS).where(_in_ids(ids))).mappings()}
    found = [rows[n] for n in ids if n in rows]
    sites = names_of(connection, site_table, [row["site"] for row in found])
    grids = names_of(connection, grid_table, [row["grid"] for row in found])
    people = names_of(connection, person, [row["accepted_by"] for row in found])
    for row in found:
        row["desk"] = desk_clock(row) if for_desk else None
        clock = clock_shown(row)
        row["place"] = sites.get(row["site"] or "")
        row["grid_name"] = grids.get(row["grid"] or "")
        row["accepted_name"] = people.get(row["accepted_by"] or "", (row["accepted_by"],))[0]
        row["due_stage"], row["due_by"] = clock or (None, None)
    return found


def _in_ids(ids: Sequence[int]) -> ColumnElement[bool]:
    return ticket.c.id.in_(ids)


def tab_counts(connection: Connection, wanted: Filter) -> dict[str, int]:
    """How many tickets each tab holds under the same filter."""
    query = select(ticket.c.status, func.count().label("number")).where(ticket.c.status.in_(OPEN), *wanted.conditions())
    counts = {row.status: int(row.number) for row in connection.execute(query.group_by(ticket.c.status))}
    return {tab: sum(counts.get(status, 0) for status in statuses) for tab, statuses in TABS.items()}


class Posting(NamedTuple):
    """Where a person serves."""

    team: str | None
    station: str | None
    name: str
    place: str


def posting(connection: Connection, code: str) -> Posting | None:
    """A person's team and station, None for an unknown or retired one."""
    row = connection.execute(
        select(person.c.team, person.c.station, person.c.name).where(person.c.code == code, person.c.retired == 0)
    ).first()
    if row is None:
        return None
    teams = names_of(connection, team_table, [row.team])
    stations = names_of(connection, station_table, [row.station])
    place = next(iter([*teams.values(), *stations.values()]), ("", ""))[0]
    return Posting(row.team, row.station, row.name, place)


def mine(connection: Connection, post: Posting, limit: int = 30) -> list[dict[str, Any]]:
    """The tickets on which the person's team or station may act: least time left first."""
    places = [column == code for column, code in ((ticket.c.team, post.team), (ticket.c.station, post.station)) if code]
    if not places:
        return []
    worked_on = in_queue(("dispatched", "accepted", "on_scene", "handled"))
    ids = select(ticket.c.id).where(*worked_on, or_(*places)).order_by(*_ORDER).limit(limit)
    return with_places(connection, [int(row.id) for row in connection.execute(ids)])
