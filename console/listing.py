"""Lists and places: alerts, a site, a device."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from starlette.responses import Response

from alerts.tables import alert
from console import dossier
from console.access import LARGEST_NUMBER, Dispatcher, Given, NotFound
from console.gateway_pages import is_off, report_of
from console.pages import pages_of
from console.services import Services
from core.clock import DAY
from core.database import reading
from devices.tables import device, grid, site
from ingest.store import StoreError

router = APIRouter(include_in_schema=False)
LIST = 100
Before = Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)]


@router.get("/alerts")
def alerts_page(
    request: Request,
    services: Given,
    _: Dispatcher,
    state: Annotated[str, Query(pattern="^(open|closed)$")] = "open",
    before: Before = None,
) -> Response:
    """Alerts, the newest first."""
    query = select(alert).where(alert.c.state == state).order_by(alert.c.id.desc()).limit(LIST)
    if before is not None:
        query = query.where(alert.c.id < before)
    with reading(services.engine) as connection:
        rows = dossier.rows(connection, query)
        sites = dossier.sites_named(connection, [row["site"] for row in rows if row["site"]])
        numbers = dossier.ticket_numbers(connection, [row["ticket"] for row in rows if row["ticket"]])
    more = rows[-1]["id"] if len(rows) == LIST else None
    context = {"alerts": rows, "sites": sites, "numbers": numbers, "state": state, "more": more}
    return pages_of(request).render(request, "alerts.html", rules=services.rules().rules, **context)


@router.get("/sites/{code}")
def site_page(request: Request, services: Given, _: Dispatcher, code: str) -> Response:
    """A site with its devices' latest values, open alerts and last tickets."""
    with reading(services.engine) as connection:
        row = dossier.by_code(connection, site, code)
        if row is None:
            raise NotFound("error.no_site")
        devices = dossier.devices_at(connection, code)
        series = dossier.series_at(connection, [each["code"] for each in devices])
        context: dict[str, Any] = {
            "site": row,
            "grid": dossier.by_code(connection, grid, row["grid"]),
            "devices": devices,
            "alerts": dossier.open_alerts_at(connection, code),
            "tickets": dossier.recent_tickets_at(connection, code),
            "series": series,
        }
    context.update(_latest(services, series), rules=services.rules().rules, types=services.types)
    return pages_of(request).render(request, "site.html", **context)


@router.get("/devices/{code}")
def device_page(request: Request, services: Given, _: Dispatcher, code: str) -> Response:
    """A device with its latest values and their last day as curves."""
    with reading(services.engine) as connection:
        row = dossier.by_code(connection, device, code)
        if row is None:
            raise NotFound("error.no_device")
        series = dossier.series_at(connection, [code])
        context: dict[str, Any] = {
            "device": row,
            "site": dossier.by_code(connection, site, row["site"]),
            "gateway": dossier.gateway_of(connection, code),
            "report": report_of(connection, row["gateway"]),
            "series": series,
        }
    context.update(_latest(services, series), types=services.types, since=services.clock.now() - DAY)
    context["clock_off"] = is_off(context["report"])
    return pages_of(request).render(request, "device.html", **context)


def _latest(services: Services, series: dict[str, list[dossier.Row]]) -> dict[str, Any]:
    """The newest reading of each series; none and `store_down` when the store can't be read here or now."""
    numbers = [row["number"] for rows in series.values() for row in rows]
    if services.store is None:
        return {"latest": {}, "store_down": True}
    try:
        return {"latest": services.store.latest(numbers), "store_down": False}
    except StoreError:
        return {"latest": {}, "store_down": True}
