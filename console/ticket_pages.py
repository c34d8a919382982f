"""A ticket's page and the dispatcher's moves on it."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from alerts.lifecycle import Role
from alerts.moves import MoveRefused
from alerts.refusals import Refusal
from console import dossier
from console.access import Dispatcher, Given, NotFound
from console.acting import (
    BUTTONS,
    FALSE_CAUSES,
    RETURN_REASONS,
    Wish,
    act,
    cause_said,
    marks_on,
    moment_entered,
    moves_now,
    role_of,
)
from console.case import case_of
from console.pages import pages_of
from console.services import Services
from console.signing import go
from console.ticket_view import facts_of
from core.database import reading

router = APIRouter(include_in_schema=False)
_Moment = Annotated[str, Form(max_length=30)]


@router.get("/tickets/{number}")
def ticket_page(request: Request, services: Given, account: Dispatcher, number: str, done: str = "") -> Response:
    """One ticket with all that is known of it."""
    return ticket_answer(request, services, role_of(account), number, done=done)


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
    until: _Moment = "",
    into: Annotated[str, Form(max_length=16)] = "",
    into_number: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """Move a ticket; a refusal is shown on its page with what was entered."""
    if action not in BUTTONS:
        raise NotFound("error.no_move")
    target = into_number.strip() or into
    with reading(services.engine) as connection:
        found = dossier.ticket_by_number(connection, number)
        goal = dossier.ticket_by_number(connection, target) if target else None
    if found is None:
        raise NotFound("error.no_ticket")
    role = role_of(account)
    into_id = goal["id"] if goal else 0 if target else None
    wish = Wish(opinion, cause_said(cause), team or None, station or None, moment_entered(until), into_id)
    try:
        status = act(services, found["id"], action, account.actor, role, wish)
    except MoveRefused as refused:
        entered = {"action": action, "opinion": opinion, "until": until, "into": into, "into_number": into_number}
        return ticket_answer(request, services, role, number, 409, refused=refused, entered=entered)
    if action == "merge" and goal:
        return go(f"/tickets/{goal['number']}?done=merge")
    return go(f"/tickets/{number}?done={'part' if action == 'accept' and status == 'dispatched' else action}")


def ticket_answer(
    request: Request,
    services: Services,
    role: Role,
    number: str,
    status: int = 200,
    refused: Refusal | None = None,
    done: str = "",
    entered: dict[str, str] | None = None,
) -> Response:
    """The ticket's page, perhaps with what was refused and what had been entered."""
    context: dict[str, Any] = {}
    with reading(services.engine) as connection:
        row = dossier.ticket_by_number(connection, number)
        if row is None:
            raise NotFound("error.no_ticket")
        case = case_of(connection, row)
        context = facts_of(connection, services, row, case)
        moves = moves_now(row, role, marks=marks_on(connection, row))
    town = services.town()
    context.update(
        moves=moves,
        refused=refused,
        done=done,
        entered=entered or {"action": ""},
        reasons=RETURN_REASONS,
        causes=FALSE_CAUSES,
        teams=sorted(town.teams.values(), key=lambda each: (each.grid != row["grid"], each.code)),
        stations=list(town.stations.values()),
    )
    return pages_of(request).render(request, "ticket.html", status, **context)
