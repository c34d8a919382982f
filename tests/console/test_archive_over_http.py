"""Tickets are found again, open or ended, by number, words, state and day."""

from typing import Any

import pytest

from alerts.categories import ensure_categories
from core.clock import DAY, local
from core.database import writing
from detectors.words import Severity
from tests.console.console_scene import Town, Visit
from tests.console.test_ticket_api import SAID


@pytest.fixture(autouse=True)
def tickets(town: Town, visit: Visit) -> list[str]:
    """The numbers of a gas leak that is void, and of a report that is open."""
    with writing(town.engine) as connection:
        ensure_categories(connection)
    town.alert()
    desk, ended = visit("disp"), town.ticket()["number"]
    desk.post(f"/api/v1/tickets/{ended}/moves/void", json={"opinion": "重复上报"})
    said = SAID | {"title": "100%_占道", "reporter": "王女士", "phone": "00000000002", "severity": int(Severity.NOTICE)}
    return [ended, desk.post("/api/v1/tickets", json=said).json()["number"]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [1, 0]),
        ({"state": "open"}, [1]),
        ({"state": "void"}, [0]),
        ({"severity": "4"}, [0]),
        ({"source": "patrol"}, [1]),
        ({"q": "100%_"}, [1]),
        ({"q": "100__"}, []),
        ({"q": "王女"}, [1]),
        ({"q": "00000000002"}, [1]),
        ({"q": "COMBUSTIBLE"}, [0]),
        ({"since": "2000-01-01", "until": "2000-01-02"}, []),
    ],
)
def test_what_is_looked_for_is_found(visit: Visit, tickets: list[str], asked: dict[str, Any], found: list[int]) -> None:
    desk, wanted = visit("disp"), [tickets[each] for each in found]
    assert [each["number"] for each in desk.get("/api/v1/archive", params=asked).json()["tickets"]] == wanted
    page = desk.get("/tickets", params=asked).text
    assert [f'href="/tickets/{number}"' in page for number in tickets] == [number in wanted for number in tickets]


def test_days_are_local_and_both_included(town: Town, visit: Visit, tickets: list[str]) -> None:
    today = f"{local(town.clock.now()):%Y-%m-%d}"
    before = f"{local(town.clock.now() - DAY):%Y-%m-%d}"
    desk = visit("disp")
    assert len(desk.get("/api/v1/archive", params={"since": today, "until": today}).json()["tickets"]) == 2
    assert desk.get("/api/v1/archive", params={"until": before}).json()["tickets"] == []
    assert "没有 2026-02-30 这一天" in desk.get("/tickets", params={"since": "2026-02-30"}).text


def test_a_number_goes_to_its_ticket(visit: Visit, tickets: list[str]) -> None:
    desk = visit("disp")
    assert desk.get("/tickets", params={"q": f" {tickets[0]} "}).headers["location"] == f"/tickets/{tickets[0]}"
    assert tickets[0] in desk.get("/tickets", params={"q": tickets[0][:8]}).text
    assert visit("g01").get("/tickets").status_code == 403


def test_what_waits_for_the_desk_shows_by_when(town: Town, visit: Visit, tickets: list[str]) -> None:
    desk = visit("disp")
    listed = desk.get("/api/v1/tickets?tab=to_assign").json()
    (row,) = listed["tickets"]
    timer = desk.get(f"/api/v1/tickets/{tickets[1]}").json()["timers"][0]
    assert (listed["counts"]["to_assign"], listed["counts"]["waiting"]) == (1, 0)
    assert (row["due_stage"], row["due_by"]) == ("verify", timer["due_at"])
    assert "受理时限" in desk.get("/queue?tab=to_assign").text
    assert "受理时限" in desk.get(f"/tickets/{tickets[1]}").text


def test_an_alert_leads_to_its_ticket(visit: Visit, tickets: list[str]) -> None:
    pages = [visit("disp").get(f"/alerts?state={state}").text for state in ("open", "closed")]
    assert f'href="/tickets/{tickets[0]}"' in "".join(pages)


def test_a_ticket_may_be_sent_to_any_patrol_its_own_first(town: Town, visit: Visit, tickets: list[str]) -> None:
    desk, number = visit("disp"), tickets[1]
    for action in ("verify", "register"):
        desk.post(f"/api/v1/tickets/{number}/moves/{action}", json={})
    page = desk.get(f"/tickets/{number}").text
    assert '<optgroup label="本网格"><option value="T-G01">' in page
    elsewhere = desk.post("/api/v1/tickets", json=SAID | {"lng": SAID["lng"] + 0.01}).json()["number"]
    for action in ("verify", "register"):
        desk.post(f"/api/v1/tickets/{elsewhere}/moves/{action}", json={})
    assert '<optgroup label="其他网格"><option value="T-G01">' in desk.get(f"/tickets/{elsewhere}").text


def test_an_ended_ticket_waits_for_nobody_and_a_point_is_a_place(visit: Visit, tickets: list[str]) -> None:
    assert "待调度员处理" not in visit("disp").get(f"/tickets/{tickets[0]}").text
    page = visit("disp").get(f"/tickets/{tickets[1]}").text
    assert "<dd>图上位置（无地址）</dd>" in page
