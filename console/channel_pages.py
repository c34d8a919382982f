"""Channels for notices: what each may do, what waits on it, what failed, what is not proven, and one's own tests."""

from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Connection, func, select
from starlette.responses import Response

from alerts.contact_tests import ContactTest, tried_by, try_contact
from alerts.outside_refusals import refused_outside
from alerts.receipts import not_proven_delivered
from alerts.refusals import DrillRefused
from alerts.stalled import stalled
from alerts.tables import delivery, notice, person, station, team, ticket
from alerts.unsent import NEEDLESS
from console import board
from console.access import Dispatcher, Given
from console.accounts import Account
from console.api import answer
from console.channel_facts import ChannelFacts
from console.dossier import Row, rows
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.clock import DAY, MINUTE
from core.database import reading, writing

router = APIRouter()
_LISTED = 50
_OF_LATE = DAY
_UNKNOWN = ChannelFacts("")


class Standing(NamedTuple):
    """One channel: its facts (an empty kind where the settings don't have it), its counts of the last day by state.

    `waits` are those that are due or held back, `oldest` since when the longest of them is due, `last` the newest
    answer of the provider.
    """

    name: str
    facts: ChannelFacts
    gives_receipts: bool
    counts: dict[str, int]
    waits: int
    oldest: int | None
    minute: int
    last: Row | None


@router.get("/channels", include_in_schema=False)
def channels_page(
    request: Request, services: Given, account: Dispatcher, tested: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """All channels, one's own contacts to test, what failed in the last day and what nobody has proven delivered."""
    return _page(request, services, account, tested=tested)


@router.post("/channels/test", include_in_schema=False)
def send_test_by_form(
    request: Request, services: Given, account: Dispatcher, channel: Annotated[str, Form(max_length=40)] = ""
) -> Response:
    """Send a test message to oneself."""
    try:
        _try(services, account, channel)
    except DrillRefused as refused:
        return _page(request, services, account, 409, refused=refused)
    return go(f"/channels?tested={quote(channel)}#mine")


@router.post("/api/v1/channels/{channel}/test", tags=["console"])
def send_test(services: Given, account: Dispatcher, channel: Annotated[str, Path(max_length=40)]) -> Response:
    """Send a test message to oneself by one's own contact of a channel; 409 with the reason where that can't be."""
    try:
        return answer(_try(services, account, channel)._asdict())
    except DrillRefused as refused:
        return JSONResponse({"error": {"code": refused.reason, "zh": refused.text, "en": refused.text_en}}, 409)


@router.get("/api/v1/channels/tests", tags=["console"])
def own_tests(services: Given, account: Dispatcher) -> Response:
    """One's own last test messages, the newest first: how far each went, and why it failed; times in µs."""
    with reading(services.engine) as connection:
        return answer({"tests": [each._asdict() for each in tried_by(connection, account.actor)]})


@router.get("/api/v1/channels", tags=["console"])
def channels(services: Given, _: Dispatcher) -> Response:
    """All channels with their limits and counts, what nobody sends, what other platforms refused; spans in µs."""
    with reading(services.engine) as connection:
        now = services.clock.now()
        found = channels_now(connection, services, now)
        refused, still = refused_outside(connection, now), stalled(connection, now)
    told = [{**each._asdict(), "facts": each.facts._asdict()} for each in found]
    more = {"stalled": still._asdict() if still else None, "refused_outside": [each._asdict() for each in refused]}
    return answer({"now": now, "channels": told, **more})


def _try(services: Services, account: Account, channel: str) -> ContactTest:
    with writing(services.engine) as connection:
        now = services.clock.now()
        return try_contact(connection, services.town(), account.actor, channel, now, services.desk)


def _page(
    request: Request,
    services: Services,
    account: Account,
    status: int = 200,
    refused: DrillRefused | None = None,
    tested: str = "",
) -> Response:
    with reading(services.engine) as connection:
        now = services.clock.now()
        standings = channels_now(connection, services, now)
        failed = _failed(connection, now)
        unproven = not_proven_delivered(connection, list(services.doors.receipts), now, _LISTED)
        told = [row["recipient"] for row in (*failed, *unproven)]
        names = {
            code: name
            for each in (person, team, station)
            for code, name in board.names_of(connection, each, told).items()
        }
        outside, still = refused_outside(connection, now), stalled(connection, now)
        tests = tried_by(connection, account.actor)
    context: dict[str, Any] = {"channels": standings, "failed": failed, "unproven": unproven, "names": names}
    context |= {"refused_outside": outside, "stalled": still, "refused": refused, "tested": tested, "tests": tests}
    context["mine"] = services.town().contacts.get(("person", account.actor), ())
    return pages_of(request).render(request, "channels.html", status, **context)


def channels_now(connection: Connection, services: Services, now: int) -> list[Standing]:
    """Every channel of the settings, and those that notices name and the settings don't have."""
    counts: dict[str, dict[str, int]] = {}
    late = select(notice.c.channel, notice.c.state, func.count()).where(notice.c.created_at > now - _OF_LATE)
    for name, state, count in connection.execute(late.group_by(notice.c.channel, notice.c.state)):
        counts.setdefault(name, {})[state] = int(count)
    queued = select(notice.c.channel, func.count(), func.min(notice.c.due_at)).where(notice.c.state == "queued")
    waiting = {name: (int(count), due) for name, count, due in connection.execute(queued.group_by(notice.c.channel))}
    return [
        Standing(
            name,
            services.channels.get(name, _UNKNOWN),
            name in services.doors.receipts,
            counts.get(name, {}),
            *waiting.get(name, (0, None)),
            *_deliveries(connection, name, now),
        )
        for name in dict.fromkeys([*services.channels, *sorted(counts), *sorted(waiting)])
    ]


def _deliveries(connection: Connection, name: str, now: int) -> tuple[int, Row | None]:
    """How many requests in the last minute, and the newest that was answered."""
    its = delivery.c.channel == name
    recent = select(func.count()).select_from(delivery).where(its, delivery.c.started_at > now - MINUTE)
    newest = select(delivery).where(its, delivery.c.finished_at.is_not(None)).order_by(delivery.c.started_at.desc())
    minute: int = connection.execute(recent).scalar_one()
    return minute, next(iter(rows(connection, newest.limit(1))), None)


def _failed(connection: Connection, now: int) -> list[Row]:
    """What did not go out in the last day though it should have, the newest first."""
    names = ("id", "channel", "recipient", "state", "error", "created_at", "attempts", "life_safety")
    query = select(*(notice.c[name] for name in names), ticket.c.number).join(ticket, ticket.c.id == notice.c.ticket)
    gone = (notice.c.state.in_(("failed", "expired")), notice.c.error.not_in(NEEDLESS))
    return rows(
        connection, query.where(*gone, notice.c.created_at > now - _OF_LATE).order_by(notice.c.id.desc()).limit(_LISTED)
    )
