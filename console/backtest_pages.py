"""Backtests: asked for by an administrator, listed, and what each found; the same as JSON."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Form, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from console.access import LARGEST_NUMBER, Admin, Dispatcher, Given, NotFound
from console.language import both
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.clock import DAY, SHANGHAI, local, moment_of
from core.database import reading, writing
from detectors.backtest_requests import (
    LARGEST,
    Requested,
    RequestRefused,
    cancel,
    list_requests,
    refuse,
    request,
    requested,
)
from detectors.rules import RuleErrors
from detectors.tried import tried_rules

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["backtests"])
PAGE = 50
_Number = Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)]
_Id = Annotated[int, Path(ge=0, le=LARGEST_NUMBER)]


class Wanted(msgspec.Struct):
    """What the API is asked for: a rule pack as YAML, [since, until) in µs UTC, and site codes, none for all."""

    rules: str
    since: int
    until: int
    sites: list[str] = []


class Entered(NamedTuple):
    """What was filled in, local times as the browser writes them; `problem` names a text, `errors` are the pack's."""

    rules: str = ""
    since: str = ""
    until: str = ""
    sites: str = ""
    problem: str = ""
    errors: tuple[str, ...] = ()


class Unusable(Exception):
    """What was asked for makes no backtest; `problem` names a text of the family "backtest"."""

    def __init__(self, problem: str, errors: tuple[str, ...] = ()) -> None:
        super().__init__(problem)
        self.problem, self.errors = problem, errors


@router.get("/backtests")
def backtests_page(request: Request, services: Given, account: Dispatcher, before: _Number = None) -> Response:
    """All backtests, the newest first, and a form for another."""
    now = services.clock.now()
    week = Entered(since=_written(now - 7 * DAY), until=_written(now))
    return _page(request, services, account.role == "admin", week, before)


@router.post("/backtests")
def ask(
    request: Request,
    services: Given,
    account: Admin,
    rules: Annotated[str, Form(max_length=LARGEST)] = "",
    since: Annotated[str, Form(max_length=32)] = "",
    until: Annotated[str, Form(max_length=32)] = "",
    sites: Annotated[str, Form(max_length=10_000)] = "",
) -> Response:
    """File a backtest; what can't be one is shown again with what is wrong."""
    try:
        wanted = Wanted(rules, _moment(since), _moment(until), sites.replace(",", " ").split())
        number = _file(services, wanted, account.username)
    except Unusable as wrong:
        entered = Entered(rules, since, until, sites, wrong.problem, wrong.errors)
        return _page(request, services, True, entered, None, HTTPStatus.UNPROCESSABLE_ENTITY)
    return go(f"/backtests/{number}")


@router.get("/backtests/{number}")
def backtest_page(request: Request, services: Given, account: Dispatcher, number: _Id) -> Response:
    """One backtest: how far it is, why it failed, or what it found."""
    row, rules = _one(services, number), services.rules().rules
    may_cancel = account.role == "admin" and not row.over
    return pages_of(request).render(request, "backtest.html", row=row, rules=rules, may_cancel=may_cancel)


@router.post("/backtests/{number}/cancel")
def cancel_page(services: Given, account: Admin, number: _Id) -> Response:
    """End a backtest that waits or runs, whoever asked for it; one that is over stays what it is."""
    _cancel(services, number, account.username)
    return go(f"/backtests/{number}")


@api.post("/backtests", status_code=HTTPStatus.ACCEPTED)
async def ask_by_program(request: Request, services: Given, account: Admin) -> Response:
    """File a backtest of {"rules", "since", "until", "sites"}: its id; the pack's errors have line and column."""
    try:
        wanted = msgspec.json.decode(await request.body(), type=Wanted)
    except msgspec.DecodeError as error:
        return JSONResponse(
            {"error": {**both("error.invalid"), "where": [str(error)]}}, HTTPStatus.UNPROCESSABLE_ENTITY
        )
    try:
        number = await run_in_threadpool(_file, services, wanted, account.username)  # a large pack takes its time
    except Unusable as wrong:
        told = {**both(f"backtest.{wrong.problem}"), "where": list(wrong.errors)}
        return JSONResponse({"error": told}, HTTPStatus.UNPROCESSABLE_ENTITY)
    return JSONResponse({"id": number, "state": "waiting"}, HTTPStatus.ACCEPTED)


@api.post("/backtests/{number}/cancel")
def cancel_by_program(services: Given, account: Admin, number: _Id) -> Response:
    """End a backtest that waits or runs; the backtest as it is then."""
    _cancel(services, number, account.username)
    return _answer(_plain(_one(services, number)))


@api.get("/backtests")
def backtests(services: Given, _: Dispatcher, before: _Number = None) -> Response:
    """The newest backtests without their results."""
    with reading(services.engine) as connection:
        found = list_requests(connection, PAGE, before)
    return _answer([_plain(row) for row in found])


@api.get("/backtests/{number}")
def backtest(services: Given, _: Dispatcher, number: _Id) -> Response:
    """One backtest with its result once it is done."""
    row = _one(services, number)
    return _answer({**_plain(row), "rules": row.text, "result": row.result})


def _file(services: Services, wanted: Wanted, by: str) -> int:
    """File a backtest. Raises Unusable."""
    known = {place.site for place in services.town().devices.values()} if wanted.sites else set()
    if unknown := sorted(set(wanted.sites) - known):
        raise Unusable("unknown_site", tuple(unknown))
    span = (wanted.since, wanted.until)
    try:
        refuse(wanted.rules, wanted.since, min(wanted.until, services.clock.now()))
        with reading(services.engine) as connection:
            tried_rules(connection, wanted.rules, services.rule_folders, services.types)
        with writing(services.engine) as connection:
            return request(connection, wanted.rules, *span, wanted.sites, by, services.clock.now())
    except RequestRefused as refusal:
        raise Unusable(refusal.reason) from refusal
    except RuleErrors as wrong:
        raise Unusable("bad_rules", tuple(wrong.errors)) from wrong


def _cancel(services: Services, number: int, by: str) -> None:
    _one(services, number)
    with writing(services.engine) as connection:
        cancel(connection, number, by, services.clock.now())


def _one(services: Services, number: int) -> Requested:
    with reading(services.engine) as connection:
        found = requested(connection, number)
    if found is None:
        raise NotFound("error.not_found")
    return found


def _page(
    request: Request, services: Services, may_ask: bool, entered: Entered, before: int | None, status: int = 200
) -> Response:
    with reading(services.engine) as connection:
        rows = list_requests(connection, PAGE, before)
    context: dict[str, Any] = {"rows": rows, "may_ask": may_ask, "entered": entered}
    context["more"] = rows[-1].id if len(rows) == PAGE else None
    return pages_of(request).render(request, "backtests.html", status, **context)


def _plain(row: Requested) -> dict[str, Any]:
    names = ("id", "asked_at", "asked_by", "since", "until", "sites", "state", "progress", "begun_at", "ended_at")
    return {**{name: getattr(row, name) for name in names}, "error": row.error}


def _answer(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


def _moment(text: str) -> int:
    """The moment of a local time as a browser writes it. Raises Unusable."""
    try:
        return moment_of(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI))
    except ValueError as error:
        raise Unusable("bad_time", (text,)) from error


def _written(moment: int) -> str:
    return f"{local(moment):%Y-%m-%dT%H:%M}"
