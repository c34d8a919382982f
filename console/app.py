"""Puts the console together: routes, static files, shields, errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from alerts.changes import last_change
from console import (
    anomaly_pages,
    api,
    archive,
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
    town_api,
)
from console.announced import changes_announced
from console.errors import add_errors
from console.feed import Feed
from console.pages import CachedFiles, pages_with, static_folder
from console.services import Services
from console.shield import Shield
from console.throttle import Throttle
from core.database import reading


def _everything() -> APIRouter:
    routes = APIRouter()
    for part in (
        signing,
        hall,
        evidence_routes,
        archive,
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
        anomaly_pages,
        quiet_pages,
        quiet_api,
        roster_pages,
        channel_pages,
        category_pages,
        drill_pages,
        town_api,
        field_photos,
        field_reports,
        patroller,
        api,
        health,
        hooks,
        outlines,
        outside,
    ):
        routes.include_router(part.router)
    routes.include_router(backtest_pages.api)
    return routes


_ROUTES = _everything()
"""How its endpoints are called is worked out once, whatever number of applications serve it."""


def create_app(services: Services) -> FastAPI:
    """The console as an ASGI application. Before its server stops, close `app.state.feed`, or streams hold it open."""
    app = FastAPI(
        title="Shouwang",
        version="1",
        lifespan=_polling,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        routes=_ROUTES.routes,
    )
    folder = static_folder()
    app.state.services = services
    app.state.pages = pages_with(folder)
    app.state.by_name = Throttle()
    app.state.by_address = Throttle(free=50)
    app.state.feed = _feed(services)
    app.state.remembered = {}
    app.mount("/static", CachedFiles(directory=folder), name="static")
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Shield, base_url=services.base_url)
    add_errors(app)
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
