"""Whatever a request's address names, what comes back is an answer, on both databases; and an error says what to do."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import Engine

import console
from alerts.categories import ensure_categories
from core.clock import SystemClock
from core.database import writing
from tests.console.console_scene import Town, Visit, console_on
from tests.console.test_ticket_api import SAID

STREAMS = ("/api/v1/changes",)
HUGE, STRANGE = str(2**70), "G\x0001"


@pytest.fixture
def both_towns(engine: Engine) -> Iterator[tuple[Town, Visit]]:
    """The small town on each database, and clients of its console."""
    town = Town(engine, SystemClock())
    with writing(engine) as connection:
        ensure_categories(connection)
    with console_on(town) as url:
        visit = Visit(url)
        yield town, visit
        visit.close()


def routes() -> Iterator[APIRoute]:
    """Every route of every router of the console."""
    for each in pkgutil.iter_modules(console.__path__, "console."):
        for part in vars(importlib.import_module(each.name)).values():
            if isinstance(part, APIRouter):
                yield from (route for route in part.routes if isinstance(route, APIRoute))


def addresses() -> Iterator[str]:
    """Every address that is only read, its parts and its query once huge, once with what no database keeps."""
    for route in routes():
        if "GET" not in route.methods or route.path in STREAMS:
            continue
        for filling in map(quote, (HUGE, STRANGE)):
            query = "&".join(f"{name}={filling}" for name in sorted(queried(route.dependant)))
            yield re.sub(r"\{[^}]*\}", filling, route.path) + f"?{query}"


def queried(needs: Dependant) -> set[str]:
    """The names of a query's parts."""
    return {each.alias for each in needs.query_params}.union(*map(queried, needs.dependencies))


def test_no_address_is_a_fault_of_ours(both_towns: tuple[Town, Visit]) -> None:
    _, visit = both_towns
    root = visit("root")
    asked = {address: root.get(address).status_code for address in addresses()}
    assert len(asked) > 100
    assert {address: status for address, status in asked.items() if status == 500} == {}


def test_no_text_is_a_fault_of_ours(both_towns: tuple[Town, Visit]) -> None:
    town, visit = both_towns
    desk = visit("disp")
    number = desk.post("/api/v1/tickets", json=SAID | {"title": "占道\x00经营", "site": None}).json()["number"]
    path = f"/api/v1/tickets/{number}"
    assert desk.post(f"{path}/moves/verify", json={"opinion": "属实\x00"}).status_code == 200
    assert desk.get(path).json()["title"] == "占道 经营"
    assert desk.post("/api/v1/tickets", json=SAID | {"site": "S\x0001"}).status_code == 409
    silence = {"kind": "silence", "matchers": [{"label": "site", "op": "=", "value": "S01"}], "reason": "检修\x00"}
    made = desk.post("/api/v1/quiets", json=silence | {"ends_at": town.clock.now() + 3_600_000_000})
    assert made.json()["reason"] == "检修"
    assert desk.post("/drills", data={"name": "演练\x00"}).status_code == 303


@pytest.mark.parametrize(
    ("body", "where", "zh", "en"),
    [
        (SAID | {"title": "长" * 61}, "body.title", "标题：最长 60 字", "Title: at most 60 characters"),
        (SAID | {"severity": True}, "body.severity", "等级：须为整数", "Severity: a whole number is wanted"),
        (SAID | {"severity": 9}, "body.severity", "等级：不大于 4", "Severity: 4 or less"),
        (SAID | {"colour": 1}, "body.colour", "colour：没有这个字段", "colour: there is no such field"),
        ([1], "body", "请求内容：须为 JSON 对象", "Request: a JSON object is wanted"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(visit: Visit, body: Any, where: str, zh: str, en: str) -> None:
    answer = visit("disp").post("/api/v1/tickets", json=body)
    assert answer.status_code == 422
    (fault,) = answer.json()["error"]["where"]
    assert (fault["field"], fault["zh"], fault["en"]) == (where, zh, en)


def test_a_page_says_what_is_wrong_in_its_language(visit: Visit) -> None:
    desk = visit("disp")
    form = {"title": "x" * 61, "category": "城市管理", "severity": "high"}
    page = desk.post("/reports/new", data=form)
    assert page.status_code == 422
    assert "标题：最长 60 字" in page.text
    assert "等级：须为整数" in page.text
    desk.cookies.set("shouwang_language", "en")
    assert "Title: at most 60 characters" in desk.post("/reports/new", data=form).text


def test_a_text_may_have_as_many_characters_as_its_form_counts(town: Town, visit: Visit) -> None:
    with writing(town.engine) as connection:
        ensure_categories(connection)
    said = "\r\n".join(["长" * 99] * 20)  # a browser counts each break as one character and sends two
    made = visit("disp").post("/reports/new", data={"title": "占道", "category": "城市管理", "description": said})
    assert made.status_code == 303
    assert town.ticket()["description"] == said.replace("\r\n", "\n")


@pytest.mark.parametrize("body", [b"{", b'{"title":"\xff\xfe"}', b"[" * 30_000])
def test_what_cannot_be_read_is_said_so(visit: Visit, body: bytes) -> None:
    answer = visit("disp").post("/api/v1/tickets", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["code"] in ("unreadable", "invalid")


def test_another_sites_form_is_refused_in_words(visit: Visit) -> None:
    answer = visit("disp").post("/reports/new", data={"title": "x"}, headers={"Origin": "http://elsewhere"})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert "请刷新页面后再试" in answer.text
