"""All tickets, open and ended, found by number, words, state, severity, source and the days of their reports."""

from datetime import date, datetime, time
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import ColumnElement, Connection, func, or_, select
from starlette.responses import Response

from alerts.lifecycle import ENDED, LIVE
from alerts.tables import ticket
from console import dossier
from console.access import LARGEST_NUMBER, Dispatcher, Given
from console.api import answer
from console.board import names_of
from console.hall import SOURCES
from console.pages import pages_of
from console.signing import go
from core.clock import DAY, SHANGHAI, moment_of
from core.database import reading
from devices.tables import grid, site

router = APIRouter()
PAGE = 100
STATES: dict[str, tuple[str, ...]] = {"": (), "open": tuple(sorted(LIVE)), **{each: (each,) for each in sorted(ENDED)}}
"""What may be asked for, and the statuses of each; none is any."""
_WORDS = ("title", "title_en", "description", "address", "reporter", "reporter_phone", "outside_number", "site")
_SHOWN = (
    *("id", "number", "status", "title", "title_en", "severity", "life_safety", "source", "site", "lng", "address"),
    *("grid", "reported_at", "closed_at", "result", "category"),
)
_Text = Annotated[str, Query(max_length=60)]


class Wanted(NamedTuple):
    """What somebody looks for; empty leaves nothing out. Days are local, `2026-09-21`, both included."""

    q: str = ""
    state: str = ""
    severity: int = 0
    source: str = ""
    since: str = ""
    until: str = ""

    @property
    def words(self) -> str:
        """As an address holds it."""
        return urlencode({name: value for name, value in self._asdict().items() if value})

    def conditions(self) -> list[ColumnElement[bool]]:
        """The SQL conditions that all must hold."""
        found: list[ColumnElement[bool]] = []
        if self.q:
            in_words = [func.lower(ticket.c[name]).contains(self.q.lower(), autoescape=True) for name in _WORDS]
            found.append(or_(ticket.c.number.contains(self.q, autoescape=True), *in_words))
        if statuses := STATES.get(self.state):
            found.append(ticket.c.status.in_(statuses))
        if self.severity:
            found.append(ticket.c.severity >= self.severity)
        if self.source:
            found.append(ticket.c.source == self.source)
        if (since := midnight(self.since)) is not None:
            found.append(ticket.c.reported_at >= since)
        if (until := midnight(self.until)) is not None:
            found.append(ticket.c.reported_at < until + DAY)
        return found


def wanted(
    q: _Text = "",
    state: _Text = "",
    severity: Annotated[int, Query(ge=0, le=4)] = 0,
    source: _Text = "",
    since: _Text = "",
    until: _Text = "",
) -> Wanted:
    """What the form or a program asks for."""
    return Wanted(q.strip(), state, severity, source, since, until)


_Wanted = Annotated[Wanted, Depends(wanted)]
_Before = Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)]


@router.get("/tickets", include_in_schema=False)
def archive_page(request: Request, services: Given, _: Dispatcher, wanted: _Wanted, before: _Before = None) -> Response:
    """Tickets, the newest first; a whole number goes to its ticket at once."""
    with reading(services.engine) as connection:
        if wanted.q and dossier.ticket_by_number(connection, wanted.q):
            return go(f"/tickets/{wanted.q}")
        found = find(connection, wanted, before)
    more = found[-1]["id"] if len(found) == PAGE else None
    unread = [day for day in (wanted.since, wanted.until) if day and midnight(day) is None]
    context = {"wanted": wanted, "tickets": found, "more": more, "states": list(STATES), "sources": SOURCES}
    return pages_of(request).render(request, "tickets.html", unread=unread, **context)


@router.get("/api/v1/archive", tags=["console"])
def archive(services: Given, _: Dispatcher, wanted: _Wanted, before: _Before = None) -> Response:
    """Tickets, open and ended, the newest first, 100 at once; `before` is the id behind which to go on."""
    with reading(services.engine) as connection:
        return answer({"tickets": find(connection, wanted, before)})


def find(connection: Connection, wanted: Wanted, before: int | None = None) -> list[dossier.Row]:
    """The newest tickets that meet all that is wanted, with the names of their places."""
    query = select(*(ticket.c[name] for name in _SHOWN)).where(*wanted.conditions())
    if before is not None:
        query = query.where(ticket.c.id < before)
    found = dossier.rows(connection, query.order_by(ticket.c.id.desc()).limit(PAGE))
    sites = names_of(connection, site, [row["site"] for row in found])
    grids = names_of(connection, grid, [row["grid"] for row in found])
    places: list[dict[str, Any]] = [
        {"place": sites.get(row["site"] or ""), "grid_name": grids.get(row["grid"] or "")} for row in found
    ]
    return [row | place for row, place in zip(found, places, strict=True)]


def midnight(day: str) -> int | None:
    """When a local day begins (µs UTC); None for nothing or what is no day.

    >>> midnight("2026-09-21"), midnight("2026-02-30")
    (1789920000000000, None)
    """
    try:
        return moment_of(datetime.combine(date.fromisoformat(day), time(), SHANGHAI))
    except ValueError:
        return None
