"""What a patroller reports on the way (随手报): the form, and the page of what was reported, where photos are added."""

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from alerts import manual_tickets
from alerts.categories import categories, class_codes
from alerts.manual_tickets import Report
from alerts.photos import photos_of
from alerts.refusals import MoveRefused, ReportRefused
from alerts.tickets import read_ticket
from console import dossier
from console.access import Given, NotFound, Patroller
from console.accounts import Account
from console.entering import PROSE
from console.field import Spot, check_theirs, hand_of_account, keep_spot, spot
from console.pages import SEVERITIES, pages_of
from console.services import Services
from console.signing import go
from core.database import reading, writing

router = APIRouter(include_in_schema=False)
_Text = Annotated[str, Form(max_length=60)]


class Entered(NamedTuple):
    """The form as it came."""

    title: str = ""
    description: str = ""
    category: str = ""
    class_code: str = ""
    severity: int = 2
    address: str = ""
    site: str = ""


def entered(
    title: _Text = "",
    description: Annotated[str, PROSE, Form(max_length=1000)] = "",
    category: _Text = "",
    class_code: _Text = "",
    severity: Annotated[int, Form(ge=0, le=9)] = 2,
    address: Annotated[str, Form(max_length=200)] = "",
    site: _Text = "",
) -> Entered:
    """What somebody saw."""
    return Entered(title, description, category, class_code, severity, address, site.strip())


@router.get("/m/report")
def report_page(request: Request, services: Given, account: Patroller) -> Response:
    """The form."""
    return _form(request, services, account, Entered())


@router.post("/m/report")
def make_report(
    request: Request,
    services: Given,
    account: Patroller,
    form: Annotated[Entered, Depends(entered)],
    where: Annotated[Spot, Depends(spot)],
) -> Response:
    """Make a ticket of it; a refusal is shown with what was entered."""
    person = services.town().people.get(account.person or "")
    if person is None:
        raise NotFound("error.not_found")
    report = Report(
        form.title,
        form.category,
        form.severity,
        form.class_code,
        description=form.description,
        lng=where.lng,
        lat=where.lat,
        site=form.site or None,
        address=form.address,
        reporter=person.name,
        phone=person.phone,
    )
    try:
        with writing(services.engine) as connection:
            made = manual_tickets.report(
                connection,
                services.town(),
                report,
                services.clock.now(),
                "patrol",
                person.code,
                settings=services.desk,
            )
            keep_spot(connection, services, person.code, where)
    except ReportRefused as refused:
        return _form(request, services, account, form, 409, refused)
    return go(f"/m/reports/{made['number']}?done=reported")


@router.get("/m/reports/{number}")
def reported_page(request: Request, services: Given, account: Patroller, number: str, done: str = "") -> Response:
    """What somebody reported, how far it has come, and where photos of it are added."""
    hand = hand_of_account(services, account, number)
    with reading(services.engine) as connection:
        row = read_ticket(connection, hand.ticket)
        try:
            check_theirs(connection, services, hand, row)
        except MoveRefused as refused:
            raise NotFound("error.no_ticket") from refused
        log = dossier.log_of(connection, hand.ticket)
        photos = photos_of(connection, hand.ticket)
    context = {"row": row, "log": log, "photos": photos, "base": hand.base, "done": done}
    return pages_of(request).render(request, "reported.html", **context)


def _form(
    request: Request,
    services: Services,
    account: Account,
    form: Entered,
    status: int = 200,
    refused: ReportRefused | None = None,
) -> Response:
    if account.person is None:
        raise NotFound("error.no_person")
    town = services.town()
    person = town.people.get(account.person)
    team = town.teams.get(person.team or "") if person else None
    grid = team.grid if team else None
    with reading(services.engine) as connection:
        context: dict[str, Any] = {"categories": categories(connection), "classes": class_codes(connection)}
    context.update(
        levels=[level for level in SEVERITIES if level],
        sites=[each for each in town.sites.values() if grid is None or each.grid == grid],
        form=form,
        refused=refused,
    )
    return pages_of(request).render(request, "report.html", status, **context)
