"""The JSON API under /api/v1 that the pages use. Times are µs UTC, positions WGS84 degrees."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from alerts.changes import last_change
from alerts.stalled import stalled
from console import board, dossier
from console.access import LARGEST_NUMBER, LATEST, SESSION_COOKIE, Dispatcher, Given, NotFound
from console.accounts import account_of
from console.acting import marks_on, moves_now, role_of
from console.case import case_of
from console.chain import chain
from console.feed import Feed
from console.remembered import remembered
from console.services import Services
from console.ticket_view import say_proofs
from console.worklist import Filter, queue, tab_counts
from core.clock import SECOND
from core.database import reading
from ingest.history import history

router = APIRouter(prefix="/api/v1", tags=["console"])
MOST_POINTS = 2_000
SHAPES_FRESH = 30 * SECOND
FIGURES_FRESH = SECOND


def answer(content: Any, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    """JSON by msgspec: rows of plain values, many of them."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


@router.get("/shapes")
def shapes(
    request: Request, services: Given, _: Dispatcher, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The town's grids, sites and stations; asked again with its ETag it costs nothing."""

    def make() -> tuple[str, bytes]:
        with reading(services.engine) as connection:
            body = msgspec.json.encode(board.town_shapes(connection))
        return f'W/"{hashlib.sha256(body).hexdigest()[:16]}"', body

    tag, body = remembered(request, "shapes").get(services.clock.now() // SHAPES_FRESH, make)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get("/state")
def state(request: Request, services: Given, _: Dispatcher) -> Response:
    """What is open now by site, the figures, the server's time and the last change that it includes.

    `stalled`: `waiting` notices are due `since` then while no sender sends anything; null when all is well.
    """

    def figures() -> tuple[dict[str, float | None], dict[str, int] | None]:
        with reading(services.engine) as connection:
            moment = services.clock.now()
            still = stalled(connection, moment)
            counted = board.figures(connection, services.rules(), services.counters(), moment)
            return counted, still._asdict() if still else None

    def sites() -> tuple[int, msgspec.Raw]:
        with reading(services.engine) as connection:
            seen = last_change(connection)
            return seen, msgspec.Raw(msgspec.json.encode(board.open_alerts_by_site(connection)))

    now = services.clock.now()
    counted, still = remembered(request, "figures").get(now // FIGURES_FRESH, figures)
    with reading(services.engine) as connection:
        newest = last_change(connection)
    change, by_site = remembered(request, "sites").get(newest, sites)
    return answer({"now": now, "change": change, "figures": counted, "stalled": still, "sites": by_site})


@router.get("/tickets")
def tickets(
    services: Given,
    _: Dispatcher,
    tab: Annotated[str, Query(pattern="^(all|to_assign|waiting|working|to_check|suspended)$")] = "all",
    severity: Annotated[int, Query(ge=0, le=4)] = 0,
    grid: Annotated[str, Query(max_length=20)] = "",
    hazard: Annotated[str, Query(max_length=24)] = "",
    source: Annotated[str, Query(max_length=12)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 60,
    offset: Annotated[int, Query(ge=0, le=LARGEST_NUMBER)] = 0,
) -> Response:
    """The queue of open tickets, what is pressed for first, then by time left; and how many each tab holds."""
    wanted = Filter(tab, severity, grid, hazard, source)
    with reading(services.engine) as connection:
        found = queue(connection, wanted, limit, offset)
        counts = tab_counts(connection, wanted)
    return answer({"now": services.clock.now(), "counts": counts, "tickets": found})


@router.get("/tickets/{number}")
def ticket(services: Given, account: Dispatcher, number: str) -> Response:
    """One ticket with all that stands around it and the moves open now; personal data of recipients are left out."""
    with reading(services.engine) as connection:
        row = dossier.ticket_by_number(connection, number)
        if row is None:
            raise NotFound("error.no_ticket")
        alerts = dossier.alerts_of(connection, row["id"])
        notices = dossier.notices_of(connection, row["id"])
        say_proofs(connection, services, notices)
        log = dossier.log_of(connection, row["id"])
        case = case_of(connection, row)
        moves = moves_now(row, role_of(account), marks=marks_on(connection, row))
    hops = [hop._asdict() for hop in chain(row, alerts, notices)]
    _leave_out_addresses(row, notices)
    around = {name: rows for name, rows in case._asdict().items() if name != "mergeable"}
    listed = {"alerts": alerts, "notices": notices, "log": log, "chain": hops, "moves": moves}
    return answer({"now": services.clock.now(), **row, **listed, **around})


def _leave_out_addresses(row: dossier.Row, notices: Sequence[dossier.Row]) -> None:
    for kind, code, channel, _, step in (row["assignment"] or {}).pop("recipients", ()):
        row["assignment"].setdefault("told", []).append({"kind": kind, "code": code, "channel": channel, "step": step})
    for notice in notices:
        for personal in ("address", "body"):
            del notice[personal]
        for each in notice["tries"]:
            del each["address"]


@router.get("/series/{number}")
def series(
    services: Given,
    _: Dispatcher,
    number: Annotated[int, Path(ge=0, le=LARGEST_NUMBER)],
    since: Annotated[int, Query(ge=0, le=LATEST)],
    until: Annotated[int, Query(ge=0, le=LATEST)],
    points: Annotated[int, Query(ge=2, le=MOST_POINTS)] = 800,
) -> Response:
    """A series' curve over [since, until): raw where it fits, else the least, mean and greatest of parts."""
    if services.store is None:
        raise NotFound("error.no_store")
    with reading(services.engine) as connection:
        facts = dossier.series_facts(connection, number)
    if facts is None:
        raise NotFound("error.no_series")
    curve = history(services.store, number, since, until, points, services.clock.now() - services.keep)
    metric = services.types[facts["type"]].metrics[facts["metric"]]
    columns = {name: getattr(curve, name).tolist() for name in ("at", "low", "mean", "high")}
    return answer({**facts, "unit": metric.unit, "zh": metric.name_zh, "en": metric.name_en, **columns})


@router.get("/changes", response_class=StreamingResponse)
async def changes(
    request: Request,
    services: Given,
    account: Dispatcher,
    last_event_id: Annotated[int | None, Header()] = None,
    after: Annotated[int | None, Query(ge=0)] = None,
) -> StreamingResponse:
    """Server-sent events: `change` with increasing ids, `heartbeat` with the server's time, `reset` to read all anew.

    Goes on behind Last-Event-ID, else behind `after`, else from now.
    """
    feed: Feed = request.app.state.feed
    token = request.cookies.get(SESSION_COOKIE, "")
    place = last_event_id if last_event_id is not None else after
    stream = feed.follow(place, lambda: _still_signed_in(services, token, account.username))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _still_signed_in(services: Services, token: str, username: str) -> bool:
    with reading(services.engine) as connection:
        found = account_of(connection, token, services.clock.now())
    return found is not None and found.username == username
