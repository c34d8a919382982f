"""A ticket by hand: what a patroller, the 12345 hotline, a leader or another platform tells the desk."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select
from starlette.responses import Response

from alerts.categories import categories, class_codes
from alerts.manual_tickets import OTHER, SOURCES, Outside, Report, Source, report
from alerts.refusals import ReportRefused
from console import board
from console.access import Dispatcher, Given
from console.entering import PROSE
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.database import reading, writing
from devices.tables import site as site_table

router = APIRouter(include_in_schema=False)


class Entered(BaseModel):
    """A report as its form sends it, every field as text; what is not filled in is empty."""

    source: str = Field(default="12345", max_length=12)
    title: str = Field(default="", max_length=60)
    title_en: str = Field(default="", max_length=120)
    description: Annotated[str, PROSE] = Field(default="", max_length=2000)
    category: str = Field(default="", max_length=24)
    class_code: str = Field(default="", max_length=8)
    hazard: str = Field(default=OTHER, max_length=24)
    severity: int = Field(default=2, ge=1, le=4)
    site: str = Field(default="", max_length=40)
    lng: str = Field(default="", max_length=20)
    lat: str = Field(default="", max_length=20)
    address: str = Field(default="", max_length=200)
    reporter: str = Field(default="", max_length=40)
    phone: str = Field(default="", max_length=32)
    system: str = Field(default="", max_length=40)
    number: str = Field(default="", max_length=64)
    component_code: str = Field(default="", max_length=16)
    life_safety: bool = False


_Form = Annotated[Entered, Form()]


@router.get("/reports/new")
def report_page(request: Request, services: Given, _: Dispatcher, site: str = "") -> Response:
    """The empty form; `site` fills in a site that its page names."""
    return _page(request, services, Entered(site=site[:40]))


@router.post("/reports/new")
def make_report(request: Request, services: Given, account: Dispatcher, entered: _Form) -> Response:
    """Make the ticket and go to it; a refusal keeps what was entered."""
    try:
        made = take(services, entered, account.actor)
    except ReportRefused as refused:
        return _page(request, services, entered, 409, refused)
    return go(f"/tickets/{made['number']}?done=report")


def take(services: Services, entered: Entered, who: str) -> dict[str, Any]:
    """Make a ticket of what was entered; the ticket. Raises ReportRefused."""
    source: Any = entered.source
    with writing(services.engine) as connection:
        now = services.clock.now()
        return {**report(connection, services.town(), said(entered), now, source, who, outside(entered), services.desk)}


def said(entered: Entered) -> Report:
    """The report that was entered. Raises ReportRefused for a position that is no pair of numbers."""
    lng, lat = _degrees(entered.lng), _degrees(entered.lat)
    same = ("title", "title_en", "description", "category", "class_code", "hazard", "severity")
    more = ("address", "reporter", "phone", "component_code")
    plain: dict[str, Any] = {name: getattr(entered, name).strip() for name in (*same[:-1], *more)}
    return Report(
        **plain,
        severity=entered.severity,
        lng=lng,
        lat=lat,
        site=entered.site.strip() or None,
        life_safety=True if entered.life_safety else None,
    )


def outside(entered: Entered) -> Outside | None:
    """The other platform's number, where one was entered; half of one is refused later."""
    system, number = entered.system.strip(), entered.number.strip()
    return Outside(system, number) if system or number else None


def _degrees(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise ReportRefused("bad_position") from None


def _page(
    request: Request, services: Services, entered: Entered, status: int = 200, refused: ReportRefused | None = None
) -> Response:
    with reading(services.engine) as connection:
        context = {
            "categories": categories(connection),
            "classes": class_codes(connection),
            "sites": _sites(connection),
        }
    hazards = [*sorted({rule.hazard for rule in services.rules().rules.values()}), OTHER]
    sources: Sequence[Source] = SOURCES
    return pages_of(request).render(
        request,
        "ticket_form.html",
        status,
        entered=entered,
        refused=refused,
        hazards=hazards,
        sources=sources,
        **context,
    )


def _sites(connection: Connection) -> list[tuple[str, tuple[str, str]]]:
    """Every site's code and names, for the form's list."""
    codes = list(connection.scalars(select(site_table.c.code).where(site_table.c.retired == 0)))
    names = board.names_of(connection, site_table, codes)
    return sorted(names.items())
