"""Drills: planned, begun by hand, ended, and their reports: who answered, when, on which channel, who did not."""

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from sqlalchemy import Connection, func, select
from starlette.responses import Response

from alerts import drills
from alerts.drill_report import OUTCOMES, report_csv
from alerts.drill_schedule import DrillSchedule
from alerts.escalation_tables import drill, drill_call, drill_run
from alerts.refusals import DrillRefused
from alerts.tables import ticket
from console.access import LARGEST_NUMBER, Given, NotFound, language_of
from console.dossier import Row, rows
from console.on_duty import Keeper
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.clock import MINUTE
from core.database import reading, writing

router = APIRouter(include_in_schema=False)
WINDOWS = (5, 10, 15, 30, 60, 120)
"""Minutes in which an answer counts, to choose from."""
_RUNS = 5
Number = Annotated[int, Path(ge=0, le=LARGEST_NUMBER)]


class Entered(NamedTuple):
    """The form of a new drill as it came."""

    name: str = ""
    teams: tuple[str, ...] = ()
    days: tuple[int, ...] = ()
    at: str = "10:00"
    wakes: bool = False
    minutes: int = 30


def entered(
    name: Annotated[str, Form(max_length=200)] = "",
    teams: Annotated[list[str], Form(max_length=500)] = [],  # noqa: B006 - FastAPI makes it anew for each request
    days: Annotated[list[int], Form(max_length=7)] = [],  # noqa: B006
    at: Annotated[str, Form(max_length=5)] = "10:00",
    wakes: Annotated[str, Form(max_length=4)] = "",
    minutes: Annotated[int, Form(ge=0, le=100_000)] = 30,
) -> Entered:
    """What somebody plans."""
    return Entered(name, tuple(teams), tuple(days), at, bool(wakes), minutes)


@router.get("/drills")
def drills_page(
    request: Request, services: Given, _: Keeper, done: Annotated[str, Query(max_length=12)] = ""
) -> Response:
    """The drills that are held, each with its last runs, and the form for another."""
    return _page(request, services, done=done)


@router.post("/drills")
def define_drill(
    request: Request, services: Given, keeper: Keeper, form: Annotated[Entered, Depends(entered)]
) -> Response:
    """Write down a drill; without days it is begun by hand."""
    schedule = DrillSchedule(form.days, form.at, form.wakes)
    more = (form.teams, schedule, form.minutes * MINUTE)
    try:
        with writing(services.engine) as connection:
            drills.define(connection, services.town(), form.name, keeper.account.actor, services.clock.now(), *more)
    except DrillRefused as refused:
        return _page(request, services, 409, refused=refused, form=form)
    return go("/drills?done=defined")


@router.post("/drills/{number}/start")
def start_drill(request: Request, services: Given, keeper: Keeper, number: Number) -> Response:
    """Begin a run now."""
    try:
        with writing(services.engine) as connection:
            now, who = services.clock.now(), keeper.account.actor
            run = drills.start(connection, services.town(), number, now, services.desk, who)
    except DrillRefused as refused:
        return _page(request, services, 409, refused=refused)
    return go(f"/drills/runs/{run['id']}?done=started")


@router.post("/drills/{number}/retire")
def retire_drill(request: Request, services: Given, _: Keeper, number: Number) -> Response:
    """Hold a drill no more."""
    try:
        with writing(services.engine) as connection:
            drills.retire(connection, number)
    except DrillRefused as refused:
        return _page(request, services, 409, refused=refused)
    return go("/drills?done=retired")


@router.get("/drills/runs/{number}")
def run_page(
    request: Request, services: Given, _: Keeper, number: Number, done: Annotated[str, Query(max_length=12)] = ""
) -> Response:
    """One run: who has answered so far, or its report."""
    with reading(services.engine) as connection:
        run = run_of(connection, number)
        calls = rows(connection, select(drill_call).where(drill_call.c.run == number).order_by(drill_call.c.person))
    people = services.town().people
    context: dict[str, Any] = {"run": run, "calls": calls, "people": people, "outcomes": OUTCOMES, "done": done}
    return pages_of(request).render(request, "drill_run.html", **context)


@router.get("/drills/runs/{number}/report.csv")
def run_sheet(request: Request, services: Given, _: Keeper, number: Number) -> Response:
    """A run's report as a sheet, in the language of the page."""
    with reading(services.engine) as connection:
        run = run_of(connection, number)
    if not run["report"]:
        raise NotFound("error.no_run")
    sheet = report_csv(run["report"], "zh" if language_of(request) == "zh" else "en")
    headers = {"Content-Disposition": f'attachment; filename="drill-{number}.csv"'}
    return Response(sheet, media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/drills/runs/{number}/end")
def end_run(services: Given, _: Keeper, number: Number) -> Response:
    """End a run before its window is over."""
    try:
        with writing(services.engine) as connection:
            drills.end(connection, services.town(), number, services.clock.now(), services.desk)
    except DrillRefused as refused:
        raise NotFound("error.no_run") from refused
    return go(f"/drills/runs/{number}?done=ended")


def run_of(connection: Connection, number: int) -> Row:
    """A run with its drill's name and its ticket's number. Raises NotFound."""
    query = select(*drill_run.c, drill.c.name, ticket.c.number.label("ticket_number"))
    query = query.join(drill, drill.c.id == drill_run.c.drill)
    query = query.join(ticket, ticket.c.id == drill_run.c.ticket, isouter=True)
    found = rows(connection, query.where(drill_run.c.id == number))
    if not found:
        raise NotFound("error.no_run")
    return found[0]


def _page(
    request: Request,
    services: Services,
    status: int = 200,
    refused: DrillRefused | None = None,
    form: Entered | None = None,
    done: str = "",
) -> Response:
    with reading(services.engine) as connection:
        held = [{**row, "runs": _runs(connection, row["id"])} for row in drills.drills(connection)]
    town = services.town()
    context: dict[str, Any] = {
        "drills": held,
        "teams": list(town.teams.values()),
        "stations": list(town.stations.values()),
        "windows": WINDOWS,
        "form": form or Entered(),
        "refused": refused,
        "done": done,
    }
    return pages_of(request).render(request, "drills.html", status, **context)


def _runs(connection: Connection, number: int) -> list[Row]:
    """The newest runs, each with how many were called and how many answered."""
    found = drills.runs_of(connection, number, _RUNS)
    counted = select(drill_call.c.run, func.count(), func.count(drill_call.c.replied_at))
    counted = counted.where(drill_call.c.run.in_([row["id"] for row in found])).group_by(drill_call.c.run)
    counts = {run: (called, answered) for run, called, answered in connection.execute(counted)}
    return [{**row, "counts": counts.get(row["id"], (0, 0))} for row in found]
