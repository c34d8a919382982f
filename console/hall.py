"""The command hall's screen and its queue."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection, select
from starlette.responses import Response

from alerts import manual_tickets
from alerts.changes import last_change
from alerts.manual_tickets import OTHER
from console.access import Dispatcher, Given
from console.pages import pages_of
from console.remembered import remembered
from console.services import Services
from console.stages import TABS
from console.worklist import PAGE, Filter, queue, tab_counts
from core.database import reading
from devices.tables import grid as grid_table

router = APIRouter(include_in_schema=False)
SOURCES = ("iot", *manual_tickets.SOURCES, "storm", "drill")
"""Where tickets come from."""


@router.get("/")
def hall(request: Request, services: Given, _: Dispatcher) -> Response:
    """The command hall's screen; its map and figures come by script, its queue with the page."""
    columns = (grid_table.c.code, grid_table.c.name, grid_table.c.name_en)
    with reading(services.engine) as connection:
        grids = connection.execute(select(*columns).where(grid_table.c.retired == 0).order_by(grid_table.c.code)).all()
        shown = _queue(connection, Filter(), 0)
    hazards = sorted({rule.hazard for rule in services.rules().rules.values()})
    return pages_of(request).render(
        request, "hall.html", grids=grids, hazards=[*hazards, OTHER], sources=SOURCES, **shown
    )


@router.get("/queue")
def queue_fragment(
    request: Request,
    services: Given,
    _: Dispatcher,
    tab: Annotated[str, Query(max_length=12)] = "all",
    severity: Annotated[int, Query(ge=0, le=4)] = 0,
    grid: Annotated[str, Query(max_length=20)] = "",
    hazard: Annotated[str, Query(max_length=24)] = "",
    source: Annotated[str, Query(max_length=12)] = "",
    page: Annotated[int, Query(ge=0, le=1000)] = 0,
) -> Response:
    """The queue alone, for the hall's screen."""
    wanted = Filter(tab if tab in TABS else "all", severity, grid, hazard, source)

    def rows() -> dict[str, Any]:
        with reading(services.engine) as connection:
            return _queue(connection, wanted, page)

    plain = wanted == Filter() and page == 0  # what every hall shows
    shown = remembered(request, "queue").get(_newest(services), rows) if plain else rows()
    return pages_of(request).render(request, "queue.html", **shown)


def _newest(services: Services) -> int:
    """The last change that there is."""
    with reading(services.engine) as connection:
        return last_change(connection)


def _queue(connection: Connection, wanted: Filter, page: int) -> dict[str, Any]:
    counts = tab_counts(connection, wanted)
    rows = queue(connection, wanted, PAGE, page * PAGE)
    return {"tickets": rows, "counts": counts, "filter": wanted, "page": page, "pages": -(-counts[wanted.tab] // PAGE)}
