"""Where another platform hands in tickets and moves: signed as our own webhook signs, each once for its key."""

import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from alerts.channels.signed_webhook import sign
from alerts.outside_messages import Answer, Asked, refusal, take_move, take_ticket
from alerts.settings import DeskSettings
from alerts.town_view import TownView
from alerts.words import Words
from console.access import Given
from console.doors import SystemDoor
from console.hooks import Body
from console.services import Services
from core.clock import MINUTE, SECOND
from core.database import writing

router = APIRouter(prefix="/api/v1/outside", tags=["outside"])
WINDOW = 5 * MINUTE
"""How far a request's timestamp may be from our clock."""

_UNKNOWN = Words("没有登记这个平台", "There is no such platform")
_UNSIGNED = Words("签名不对", "The signature is wrong")
_STALE = Words("时间戳缺失或与本机相差超过 5 分钟", "The timestamp is missing or more than 5 min from our clock")
_SIGNS = 12  # digits of seconds

Signature = Annotated[str, Header(alias="X-Shouwang-Signature")]
Timestamp = Annotated[str, Header(alias="X-Shouwang-Timestamp")]
Key = Annotated[str, Header(alias="Idempotency-Key")]
Take = Callable[[Connection, TownView, Asked, DeskSettings], Answer]


@router.post("/{system}/tickets", status_code=HTTPStatus.CREATED)
def tickets(
    services: Given, system: str, body: Body, signature: Signature = "", timestamp: Timestamp = "", key: Key = ""
) -> Response:
    """Make a ticket; the same number never makes a second one."""
    return _answer(services, system, (signature, timestamp), key, body, take_ticket)


@router.post("/{system}/moves")
def moves(
    services: Given, system: str, body: Body, signature: Signature = "", timestamp: Timestamp = "", key: Key = ""
) -> Response:
    """Move a ticket that the platform handed in."""
    return _answer(services, system, (signature, timestamp), key, body, take_move)


def _answer(services: Services, system: str, proof: tuple[str, str], key: str, body: bytes, take: Take) -> Response:
    door = services.doors.systems.get(system)
    now = services.clock.now()
    if door is None:
        return _said(refusal(HTTPStatus.NOT_FOUND, "unknown_system", _UNKNOWN))
    if wrong := _refused(door, *proof, body, now):
        return _said(wrong)
    with writing(services.engine) as connection:
        answer = take(connection, services.town(), Asked(system, key, body, now, door.role), services.desk)
        for rearm in answer.rearm:  # before the commit, as for every move
            services.journal_control(rearm)
    return _said(answer)


def _refused(door: SystemDoor, signature: str, timestamp: str, body: bytes, now: int) -> Answer | None:
    expected = f"sha256={sign(door.secret, timestamp, body)}" if timestamp.isascii() else ""
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        return refusal(HTTPStatus.UNAUTHORIZED, "bad_signature", _UNSIGNED)
    digits = timestamp.isdigit() and len(timestamp) <= _SIGNS
    if not digits or abs(now - int(timestamp) * SECOND) > WINDOW:
        return refusal(HTTPStatus.UNAUTHORIZED, "stale", _STALE)
    return None


def _said(answer: Answer) -> Response:
    said: Any = dict(answer.said)
    return JSONResponse(said, answer.status)
