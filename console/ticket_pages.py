"""A ticket's page and the dispatcher's moves on it."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from sqlalchemy import Connection
from starlette.responses import Response

from alerts.lifecycle import Role
from alerts.moves import MoveRefused
from alerts.tables import person, station, team
from console import board, dossier
from console.access import Dispatcher, Given, NotFound
from console.acting import BUTTONS, FALSE_CAUSES, RETURN_REASONS, Wish, act, moves_now, role_of
from console.chain import chain, steps
from console.pages import pages_of
from console.services import Services
from console.signing import go
from console.stages import due
from core.database import reading
from devices.tables import grid, site, village

router = APIRouter(include_in_schema=False)


@router.get("/tickets/{number}")
def ticket_page(request: Request, services: Given, account: Dispatcher, number: str, done: str = "") -> Response:
    """One ticket with all that is known of it."""
    return _page(request, services, role_of(account), number, done=done)


@router.post("/tickets/{number}/moves/{action}")
def ticket_move(
    request: Request,
    services: Given,
    account: Dispatcher,
    number: str,
    action: str,
    opinion: Annotated[str, Form(max_length=500)] = "",
    cause: Annotated[str, Form(max_length=200)] = "",
    team: Annotated[str, Form(max_length=20)] = "",
    station: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Move a ticket; a refusal is shown on its page."""
    if action not in BUTTONS:
        raise NotFound("error.not_found")
    with reading(services.engine) as connection:
        found = dossier.ticket_by_number(connection, number)
    if found is None:
        raise NotFound("error.no_ticket")
    role = role_of(account)
    try:
        act(services, found["id"], action, account.actor, role, Wish(opinion, cause, team or None, station or None))
    except MoveRefused as refused:
        return _page(request, services, role, number, status=409, refused=refused)
    return go(f"/tickets/{number}?done={action}")


def _page(
    request: Request,
    services: Services,
    role: Role,
    number: str,
    status: int = 200,
    refused: MoveRefused | None = None,
    done: str = "",
) -> Response:
    with reading(services.engine) as connection:
        row = dossier.ticket_by_number(connection, number)
        if row is None:
            raise NotFound("error.no_ticket")
        context = _facts(connection, services, row)
    town = services.town()
    context.update(
        moves=moves_now(row, role),
        refused=refused,
        done=done,
        reasons=RETURN_REASONS,
        causes=FALSE_CAUSES,
        teams=[each for each in town.teams.values() if each.grid == row["grid"]],
        stations=list(town.stations.values()),
    )
    return pages_of(request).render(request, "ticket.html", status, **context)


def _facts(connection: Connection, services: Services, row: dossier.Row) -> dict[str, Any]:
    alerts = dossier.alerts_of(connection, row["id"])
    notices = dossier.notices_of(connection, row["id"])
    log = dossier.log_of(connection, row["id"])
    rules = services.rules()
    devices, now = services.town().devices, services.clock.now()
    types = [devices[each["subject_id"]].type if each["subject_id"] in devices else "" for each in alerts]
    curves = [dossier.curve_of(rules, kind, each, now) for kind, each in zip(types, alerts, strict=True)]
    return {
        "ticket": row,
        "alerts": alerts,
        "notices": notices,
        "unproven": board.UNPROVEN,
        "log": log,
        "hops": chain(row, alerts, notices),
        "steps": steps(row),
        "curves": [curve for curve in curves if curve],
        "rules": rules.rules,
        "site": dossier.by_code(connection, site, row["site"]),
        "grid": dossier.by_code(connection, grid, row["grid"]),
        "village": dossier.by_code(connection, village, row["village"]),
        "names": _names(connection, row, notices, log),
        "due": due(row),
    }


def _names(
    connection: Connection, row: dossier.Row, notices: list[dossier.Row], log: list[dossier.Row]
) -> dict[str, tuple[str, str]]:
    """Names of everybody who appears on the page, by code."""
    who = {each["recipient"] for each in notices} | {each["who"] for each in log} | {row["accepted_by"]}
    names = board.names_of(connection, person, [*who])
    names.update(board.names_of(connection, station, [*who, row["station"]]))
    names.update(board.names_of(connection, team, [*who, row["team"]]))
    return names
