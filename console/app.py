"""Puts the console together: routes, static files, shields, errors as pages or JSON."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response

from alerts.changes import last_change
from console import (
    access,
    api,
    backtest_pages,
    category_pages,
    channel_pages,
    dead_letter_pages,
    drill_pages,
    evidence_routes,
    field_photos,
    field_reports,
    gateway_pages,
    hall,
    health,
    hooks,
    listing,
    outlines,
    outside,
    patroller,
    photo_routes,
    proposal_pages,
    quiet_api,
    quiet_pages,
    report_pages,
    roster_pages,
    rule_api,
    rule_explain,
    rule_pages,
    signing,
    ticket_api,
    ticket_pages,
)
from console.announced import changes_announced
from console.feed import Feed
from console.language import both
from console.pages import CachedFiles, Pages, static_folder, wants_page
from console.services import Services
from console.shield import Shield
from console.throttle import Throttle
from core.database import reading
from ingest.store import StoreError


def create_app(services: Services) -> FastAPI:
    """The console as an ASGI application. Before its server stops, close `app.state.feed`, or streams hold it open."""
    app = FastAPI(
        title="Shouwang",
        version="1",
        lifespan=_polling,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    folder = static_folder()
    app.state.services = services
    app.state.pages = Pages(folder)
    app.state.by_name = Throttle()
    app.state.by_address = Throttle(free=50)
    app.state.feed = _feed(services)
    app.state.remembered = {}
    for part in (
        signing,
        hall,
        evidence_routes,
        ticket_pages,
        photo_routes,
        report_pages,
        ticket_api,
        listing,
        dead_letter_pages,
        gateway_pages,
        rule_api,
        rule_explain,
        rule_pages,
        backtest_pages,
        proposal_pages,
        quiet_pages,
        quiet_api,
        roster_pages,
        channel_pages,
        category_pages,
        drill_pages,
        field_photos,
        field_reports,
        patroller,
        api,
        health,
        hooks,
        outlines,
        outside,
    ):
        app.include_router(part.router)
    app.include_router(backtest_pages.api)
    app.mount("/static", CachedFiles(directory=folder), name="static")
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Shield, base_url=services.base_url)
    _add_errors(app)
    return app


def _feed(services: Services) -> Feed:
    def last() -> int:
        with reading(services.engine) as connection:
            return last_change(connection)

    return Feed(changes_announced(services.engine), last, services.clock)


@asynccontextmanager
async def _polling(app: FastAPI) -> AsyncIterator[None]:
    """While the application runs, so does the one task that looks for changes."""
    feed: Feed = app.state.feed
    task = asyncio.create_task(feed.poll(), name="console-feed")
    try:
        yield
    finally:
        await feed.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _add_errors(app: FastAPI) -> None:
    app.add_exception_handler(access.SignInNeeded, _sign_in)
    app.add_exception_handler(access.PasswordChangeNeeded, _change_password)
    app.add_exception_handler(access.Forbidden, _forbidden)
    app.add_exception_handler(access.NotFound, _not_found)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(OperationalError, _no_database)
    app.add_exception_handler(StoreError, _no_store)


def _answer(request: Request, status: int, key: str, headers: dict[str, str] | None = None) -> Response:
    """The error as a page for people and as JSON in both languages for programs."""
    if wants_page(request):
        pages: Pages = request.app.state.pages
        page = pages.render(request, "error.html", status, key=key)
        page.headers.update(headers or {})
        return page
    return JSONResponse({"error": both(key)}, status, headers)


def _go(request: Request, place: str) -> Response:
    """Send a browser elsewhere; htmx has to be told in a header, or it would swap the page into a part of itself."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": place})
    return RedirectResponse(place, HTTPStatus.SEE_OTHER)


def _sign_in(request: Request, _: Exception) -> Response:
    if not wants_page(request):
        return _answer(request, HTTPStatus.UNAUTHORIZED, "error.sign_in")
    back = request.url.path if request.method == "GET" and not request.headers.get("hx-request") else "/"
    return _go(request, f"/signin?next={quote(back)}")


def _change_password(request: Request, _: Exception) -> Response:
    if not wants_page(request):
        return _answer(request, HTTPStatus.FORBIDDEN, "error.password")
    return _go(request, "/password")


def _forbidden(request: Request, _: Exception) -> Response:
    account = getattr(request.state, "account", None)
    if wants_page(request) and request.method == "GET" and request.url.path == "/" and account:
        return _go(request, access.HOMES[account.role])
    return _answer(request, HTTPStatus.FORBIDDEN, "error.forbidden")


def _not_found(request: Request, error: Any) -> Response:
    return _answer(request, HTTPStatus.NOT_FOUND, error.what)


def _http_error(request: Request, error: Any) -> Response:
    known = {404: "error.not_found", 405: "error.method"}
    return _answer(request, error.status_code, known.get(error.status_code, "error.refused"), error.headers)


def _invalid(request: Request, error: Any) -> Response:
    if wants_page(request):
        return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "error.invalid")
    where = [{"field": ".".join(map(str, each["loc"])), "reason": each["msg"]} for each in error.errors()]
    return JSONResponse({"error": {**both("error.invalid"), "where": where}}, HTTPStatus.UNPROCESSABLE_ENTITY)


def _no_database(request: Request, _: Exception) -> Response:
    return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, "error.database", {"Retry-After": "2"})


def _no_store(request: Request, _: Exception) -> Response:
    return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, "error.no_store", {"Retry-After": "5"})
