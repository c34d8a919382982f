"""The patroller's pages on a phone: my tickets, a personal link's ticket, and the demo's phones."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy import Connection, select
from starlette.responses import Response

from alerts.facts import gather_facts
from alerts.lifecycle import Role
from alerts.links import resolve
from alerts.measurements import measurement_of
from alerts.moves import MoveRefused
from alerts.tables import person, phone_message, station, team
from console import board, dossier, worklist
from console.access import Given, NotFound, Patroller
from console.acting import FIELD_BUTTONS, RETURN_REASONS, Wish, act, moves_now, role_of_person
from console.language import text
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.database import reading
from detectors.rules import RuleSet

router = APIRouter(include_in_schema=False)
PHONE_MESSAGES = 40
Opinion = Annotated[str, Form(max_length=40)]


def card(connection: Connection, rules: RuleSet, row: dossier.Row, role: Role) -> dossier.Row:
    """A ticket as a phone shows it: what was measured, where, what to bring, whom to call, what can be done now."""
    alerts = dossier.alerts_of(connection, row["id"])
    worst = max(alerts, key=lambda each: (each["state"] == "open", each["level"], each["id"]), default=None)
    rule = dossier.rule_of(rules, worst) if worst else None
    full = dossier.ticket_by_number(connection, row["number"])
    facts = gather_facts(connection, full or row, worst, "page", rule)
    measured = measurement_of(worst, rule.unit if rule else "") if worst else None
    return {
        **row,
        "facts": facts,
        "worst": worst,
        "measured": measured,
        "alerts": alerts,
        "moves": moves_now(full or row, role, FIELD_BUTTONS),
    }


@router.get("/m")
def my_tickets(request: Request, services: Given, account: Patroller, done: str = "") -> Response:
    """The tickets that the patroller's team or station may act on."""
    return _mine(request, services, account.person, done=done)


def _mine(
    request: Request,
    services: Services,
    code: str | None,
    done: str = "",
    status: int = 200,
    refused: MoveRefused | None = None,
) -> Response:
    cards: list[dossier.Row] = []
    with reading(services.engine) as connection:
        post = worklist.posting(connection, code) if code else None
        if post and code:
            role = role_of_person(connection, code)
            cards = [card(connection, services.rules(), row, role) for row in worklist.mine(connection, post)]
    context = {"cards": cards, "post": post, "done": done, "refused": refused, "reasons": RETURN_REASONS}
    return pages_of(request).render(request, "mine.html", status, base="/m/tickets", **context)


@router.post("/m/tickets/{number}/{action}")
def my_move(
    request: Request, services: Given, account: Patroller, number: str, action: str, reason: Opinion = ""
) -> Response:
    """One tap on one of my tickets; the desk refuses those that are not."""
    with reading(services.engine) as connection:
        found = dossier.ticket_by_number(connection, number)
        role = role_of_person(connection, account.person) if account.person else None
    if found is None or role is None:
        raise NotFound("error.no_ticket")
    if action not in FIELD_BUTTONS:
        raise NotFound("error.not_found")
    try:
        act(services, found["id"], action, account.actor, role, Wish(_spoken(reason)))
    except MoveRefused as refused:
        return _mine(request, services, account.person, status=409, refused=refused)
    return go(f"/m?done={action}")


def _spoken(reason: str) -> str:
    """What is logged for a reason's button; in Chinese, as the log is."""
    return text("zh", f"reason.{reason}") if reason in RETURN_REASONS else ""


@router.get("/t/{code}")
def linked_ticket(request: Request, services: Given, code: str, done: str = "") -> Response:
    """The ticket behind a personal link. Changes nothing: preview robots follow links."""
    return _linked(request, services, code, done=done)


def _linked(
    request: Request,
    services: Services,
    code: str,
    done: str = "",
    status: int = 200,
    refused: MoveRefused | None = None,
) -> Response:
    with reading(services.engine) as connection:
        held = resolve(connection, code, services.clock.now())
        if held is None:
            raise NotFound("error.link")
        who, ticket_id = held
        row = next(iter(worklist.with_places(connection, [ticket_id])), None)
        if row is None:
            raise NotFound("error.no_ticket")
        shown = card(connection, services.rules(), row, role_of_person(connection, who))
        post = worklist.posting(connection, who)
    context = {
        "cards": [shown],
        "post": post,
        "done": done,
        "refused": refused,
        "reasons": RETURN_REASONS,
    }
    return pages_of(request).render(request, "linked.html", status, base=f"/t/{code}", **context)


@router.post("/t/{code}/{action}")
def linked_move(request: Request, services: Given, code: str, action: str, reason: Opinion = "") -> Response:
    """One tap on a personal link's page; done by the link's person."""
    with reading(services.engine) as connection:
        held = resolve(connection, code, services.clock.now())
        role = role_of_person(connection, held[0]) if held else None
    if held is None or role is None:
        raise NotFound("error.link")
    if action not in FIELD_BUTTONS:
        raise NotFound("error.not_found")
    try:
        act(services, held[1], action, held[0], role, Wish(_spoken(reason)))
    except MoveRefused as refused:
        return _linked(request, services, code, status=409, refused=refused)
    return go(f"/t/{code}?done={action}")


@router.get("/phone")
def phones(
    request: Request,
    services: Given,
    who: Annotated[str, Query(alias="person", max_length=20)] = "",
    seen: Annotated[int | None, Query()] = None,
) -> Response:
    """The demo's phones: the messages that people would have received, the newest first. Only in a demo.

    Unless another is asked for, the phone on top is a person's with a link to tap, not a group's.

    204 when nothing came after the message `seen`.
    """
    if not services.demo:
        raise NotFound("error.not_found")
    newest = select(phone_message).order_by(phone_message.c.sent_at.desc(), phone_message.c.notice.desc())
    with reading(services.engine) as connection:
        recent = dossier.rows(connection, newest.limit(PHONE_MESSAGES))
        latest = recent[0]["notice"] if recent else 0
        if seen == latest:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        owners = list(dict.fromkeys(row["person"] for row in recent))
        chosen = who or next((row["person"] for row in recent if row["link"]), next(iter(owners), ""))
        messages = dossier.rows(connection, newest.where(phone_message.c.person == chosen).limit(PHONE_MESSAGES))
        tables = (person, team, station)
        names = {
            code: name for each in tables for code, name in board.names_of(connection, each, [*owners, chosen]).items()
        }
    last = {owner: next(row for row in recent if row["person"] == owner) for owner in owners}
    context = {"owners": owners, "chosen": chosen, "messages": messages, "names": names, "last": last, "newest": latest}
    return pages_of(request).render(request, "phone.html", **context)
