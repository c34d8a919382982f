"""All that changes something: from our own pages only, signed in, and by whom it may be."""

import re

import pytest
from fastapi import APIRouter
from starlette.routing import Route

from console import (
    backtest_pages,
    category_pages,
    drill_pages,
    field_photos,
    field_reports,
    proposal_pages,
    quiet_api,
    quiet_pages,
    rule_api,
    rule_pages,
)
from tests.console.console_scene import Visit

_BY_ADMINISTRATORS = ("/rules", "/rule-", "/backtests", "/categories")
_ROUTERS: list[APIRouter] = [
    *(backtest_pages.router, backtest_pages.api),
    *(proposal_pages.router, rule_pages.router, rule_api.router),
    *(quiet_pages.router, quiet_api.router, drill_pages.router, category_pages.router),
    *(field_photos.router, field_reports.router),
]


def _changing() -> list[tuple[str, str]]:
    """(method, path) of all requests that change something, with 1 for every parameter."""
    routes = [route for router in _ROUTERS for route in router.routes if isinstance(route, Route)]
    unsafe = [(method, route.path) for route in routes for method in (route.methods or set()) - {"GET", "HEAD"}]
    return sorted({(method, re.sub(r"\{[^}]*\}", "1", path)) for method, path in unsafe})


CHANGING = _changing()


def test_all_of_them_are_found() -> None:
    assert {("POST", "/backtests/1/cancel"), ("PUT", "/api/v1/rules/1/overrides")} <= set(CHANGING)
    assert {("DELETE", "/api/v1/rules/1/overrides"), ("POST", "/proposals/1/1")} <= set(CHANGING)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", ""])
def test_none_is_taken_from_elsewhere(visit: Visit, origin: str) -> None:
    root = visit("root")
    for method, path in CHANGING:
        assert root.request(method, path, headers={"Origin": origin}).status_code == 403, path


def test_none_is_taken_from_who_is_not_signed_in_nor_a_rules_edit_from_a_dispatcher(visit: Visit) -> None:
    nobody, dispatcher = visit(), visit("disp")
    for method, path in CHANGING:
        if path.startswith("/t/"):
            continue  # a personal link is its own proof
        answer = nobody.request(method, path, json={})
        assert answer.status_code in (401, 403) or answer.headers.get("location", "").startswith("/signin"), path
        if path.removeprefix("/api/v1").startswith(_BY_ADMINISTRATORS):
            assert dispatcher.request(method, path, json={}).status_code == 403, path
