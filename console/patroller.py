"""The patroller's pages on a phone: my tickets, a personal link's ticket, and the demo's phones."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import select
from starlette.responses import Response

from alerts.move_decisions import Actor
from alerts.moves import MoveRefused
from alerts.refusals import Refusal
from alerts.tables import person, phone_message, station, team
from alerts.tickets import read_ticket
from console import board, dossier, worklist
from console.access import Given, NotFound, Patroller
from console.acting import FALSE_CAUSES, FIELD_BUTTONS, RETURN_REASONS, act, role_of_person
from console.cards import card, carried, reported_by
from console.field import Hand, Said, Spot, hand_of_account, hand_of_link, keep_spot, last_spot, said, spot, wish_of
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.clock import DAY
from core.database import reading, writing

router = APIRouter(include_in_schema=False)
PHONE_MESSAGES = 40
Entered = Annotated[Said, Depends(said)]
Where = Annotated[Spot, Depends(spot)]
_OFFERED: dict[str, Any] = {"reasons": RETURN_REASONS, "causes": FALSE_CAUSES}


@router.get("/m")
def my_tickets(request: Request, services: Given, account: Patroller, done: str = "") -> Response:
    """The tickets that the patroller may act on, and what they reported of late."""
    return mine_answer(request, services, account.person, done=done)


def mine_answer(
    request: Request,
    services: Services,
    code: str | None,
    done: str = "",
    status: int = 200,
    refused: Refusal | None = None,
) -> Response:
    """The page of all that is somebody's, perhaps with what was refused."""
    cards: list[dossier.Row] = []
    reported: list[dossier.Row] = []
    known = None
    with reading(services.engine) as connection:
        post = worklist.posting(connection, code) if code else None
        if post and code:
            actor = Actor(code, role_of_person(connection, code), post.team, post.station)
            found = carried(connection, post, code)
            cards = [card(connection, services.rules(), row, actor) for row in found]
            reported = reported_by(connection, code, services.clock.now() - 7 * DAY)
            known = last_spot(connection, code)
    context = {"cards": cards, "post": post, "reported": reported, "known": known, "done": done, "refused": refused}
    return pages_of(request).render(request, "mine.html", status, base="/m/tickets", **context, **_OFFERED)


@router.post("/m/tickets/{number}/{action}")
def my_move(
    request: Request, services: Given, account: Patroller, number: str, action: str, entered: Entered, where: Where
) -> Response:
    """One move on one of my tickets; the desk refuses those that are not."""
    hand = hand_of_account(services, account, number)
    try:
        done = _move(services, hand, action, entered, where)
    except MoveRefused as refused:
        return mine_answer(request, services, account.person, status=409, refused=refused)
    return go(f"/m?done={done}")


def _move(services: Services, hand: Hand, action: str, entered: Said, where: Spot) -> str:
    """Do it and keep where the phone is, if that came along; what to say of it. Raises MoveRefused."""
    if action not in FIELD_BUTTONS:
        raise NotFound("error.not_found")
    with writing(services.engine) as connection:
        wish = wish_of(connection, hand, action, entered, where)
        keep_spot(connection, services, hand.who, where)
        drill = read_ticket(connection, hand.ticket)["drill"] is not None
    status = act(services, hand.ticket, action, hand.who, hand.role, wish)
    if action != "accept" or status != "dispatched":
        return action
    return "drill" if drill else "part"


@router.get("/t/{code}")
def linked_ticket(request: Request, services: Given, code: str, done: str = "") -> Response:
    """The ticket behind a personal link. Changes nothing: preview robots follow links."""
    return linked_answer(request, services, hand_of_link(services, code), done=done)


def linked_answer(
    request: Request,
    services: Services,
    hand: Hand,
    done: str = "",
    status: int = 200,
    refused: Refusal | None = None,
) -> Response:
    """The one ticket's page, perhaps with what was refused."""
    with reading(services.engine) as connection:
        row = next(iter(worklist.with_places(connection, [hand.ticket])), None)
        if row is None:
            raise NotFound("error.no_ticket")
        post = worklist.posting(connection, hand.who)
        actor = Actor(hand.who, hand.role, post.team if post else None, post.station if post else None)
        shown = card(connection, services.rules(), row, actor)
        known = last_spot(connection, hand.who)
    context = {"cards": [shown], "post": post, "known": known, "done": done, "refused": refused, **_OFFERED}
    return pages_of(request).render(request, "linked.html", status, base=hand.base, **context)


@router.post("/t/{code}/{action}")
def linked_move(request: Request, services: Given, code: str, action: str, entered: Entered, where: Where) -> Response:
    """One move on a personal link's page; done by the link's person."""
    hand = hand_of_link(services, code)
    try:
        done = _move(services, hand, action, entered, where)
    except MoveRefused as refused:
        return linked_answer(request, services, hand, status=409, refused=refused)
    return go(f"/t/{code}?done={done}")


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
