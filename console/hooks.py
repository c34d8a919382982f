"""What providers call: receipts of text messages and calls, and buttons of WeCom cards.

Nobody signs in here. A receipt's address ends in a token, as neither provider signs; a card's callback is signed and
encrypted. A GET changes nothing.
"""

import hmac
from importlib.util import find_spec
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import Connection, select
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response

from alerts.channels.receipt_formats import FORMATS, Told
from alerts.channels.transport import printable
from alerts.receipts import delivered
from alerts.tables import notice
from console.access import Given, NotFound
from console.doors import CardDoor
from console.services import Services
from core.clock import MINUTE
from core.database import writing

_log = structlog.get_logger()
router = APIRouter(prefix="/hooks", include_in_schema=False)
_FASTER = 2 * MINUTE  # a receipt that is so young may have overtaken our own record of the request


async def raw_body(request: Request) -> bytes:
    """The body as it came: signatures are over its bytes."""
    return await request.body()


Body = Annotated[bytes, Depends(raw_body)]
Text = Annotated[str, Query(max_length=512)]


@router.post("/receipts/{channel}/{token}")
def receipts(services: Given, channel: str, token: str, body: Body) -> Response:
    """Receipts of one channel, as its provider pushes them: several at once, some twice, some of others.

    Those that can't be read are counted and logged, not asked for again: they would come as they are. Where that is all
    of them it is no receipt but a fault of the settings, and is refused.
    """
    door = services.doors.receipts.get(channel)
    if door is None or not hmac.compare_digest(door.token.encode(), token.encode(errors="replace")):
        raise NotFound("error.not_found")
    form = FORMATS[door.kind]
    pushed = form.read(body)
    if pushed is None:
        _note(services, channel, ["nothing of it can be read"])
        return JSONResponse(dict(form.again), 400)
    if pushed.unreadable:
        _note(services, channel, pushed.unreadable)
    now = services.clock.now()
    with writing(services.engine) as connection:
        early = [each for each in pushed.told if _take(connection, channel, each, now)]
    return JSONResponse(dict(form.again if early else form.taken), 503 if early else 200)


def _note(services: Services, channel: str, why: list[str]) -> None:
    services.unreadable_receipts.labels(channel).inc(len(why))
    _log.warning("receipt_unreadable", channel=channel, receipts=len(why), first=why[0])


def _take(connection: Connection, channel: str, each: Told, now: int) -> bool:
    """Take one receipt; True when it should come again, as it overtook our own record of the request."""
    if each.notice is not None and _under_way(connection, channel, each.notice):
        return True
    found = delivered(connection, channel, printable(each.provider_id), each.ok, printable(each.said), now, each.notice)
    return not found.notices and each.notice is None and abs(now - each.at) < _FASTER


def _under_way(connection: Connection, channel: str, number: int) -> bool:
    its = (notice.c.id == number, notice.c.channel == channel, notice.c.state == "sending")
    return connection.scalar(select(notice.c.id).where(*its)) is not None


@router.get("/wecom/{channel}")
def wecom_echo(
    services: Given,
    channel: str,
    msg_signature: Text,
    timestamp: Text,
    nonce: Text,
    echostr: Annotated[str, Query(max_length=4096)],
) -> Response:
    """Prove to WeCom that the callback's address is ours."""
    door = _card_door(services, channel)
    from console.wecom_cards import echo  # noqa: PLC0415 - needs the extra [notify]

    said = echo(door, (msg_signature, timestamp, nonce), echostr, services.clock.now())
    return PlainTextResponse("refused", 403) if said is None else PlainTextResponse(said)


@router.post("/wecom/{channel}")
def wecom_callback(
    services: Given, channel: str, msg_signature: Text, timestamp: Text, nonce: Text, body: Body
) -> Response:
    """A member pressed a button of a card, or did something else, of which nothing follows."""
    door = _card_door(services, channel)
    from console.wecom_cards import press  # noqa: PLC0415

    said = press(services, channel, door, (msg_signature, timestamp, nonce), body)
    return PlainTextResponse("refused", 403) if said is None else Response(said, media_type="application/xml")


def _card_door(services: Services, channel: str) -> CardDoor:
    door = services.doors.cards.get(channel)
    if door is None:
        raise NotFound("error.not_found")
    if find_spec("cryptography") is None or find_spec("defusedxml") is None:  # the doctor says so too
        raise HTTPException(503)
    return door
