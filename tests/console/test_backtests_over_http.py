"""Backtests over HTTP: who may ask, what is refused, the list, a result in both languages, and the same as JSON."""

import pytest

from core.clock import HOUR
from core.database import reading, writing
from detectors.backtest_requests import claim, fail, finish, list_requests
from detectors.backtest_result import Episode, Lead, LeftOut, Listing, Result, Row, Side
from tests.console.console_scene import Town, Visit

PACK = "overrides:\n  - {rule: gas.leak, site: S01, limits: {warning: 8}}\n"
BROKEN = "overrides:\n  - {rule: gas.leak, site: S01, limits: {warnin: 8}}\n"


def form(**changes: str) -> dict[str, str]:
    span = {"since": "2026-09-01T00:00", "until": "2026-09-02T00:00"}
    return {"rules": PACK, **span, "sites": "S01, S02", **changes}


def result(since: int) -> Result:
    found = Episode("gas.leak", "GAS-0001", "S01", 3, since, since + 5, None, 26.5, True)
    return Result(
        since=since,
        until=since + HOUR,
        readings=1_234_567,
        seconds=3.2,
        today=Side(4, 1, 2),
        tried=Side(7, 0, 3),
        new=Listing(250, [found]),
        lost=Listing(0, []),
        lead_s=Lead(4, 3, 0, 120.0, 300.0, 0.0),
        by_site={"S01": Row(4, 7, 3, 0, 2, 3)},
        by_rule={"gas.leak": Row(4, 7, 3, 0)},
        changed=["gas.leak"],
        left_out=[LeftOut("smoke.alarm", "event")],
    )


def test_an_administrator_asks_and_a_dispatcher_only_looks(town: Town, visit: Visit) -> None:
    desk, root = visit("disp"), visit("root")
    assert desk.post("/backtests", data=form()).status_code == 403
    assert 'name="rules"' not in desk.get("/backtests").text
    assert 'name="rules"' in root.get("/backtests").text
    asked = root.post("/backtests", data=form(), follow_redirects=False)
    assert asked.status_code == 303
    with reading(town.engine) as connection:
        (row,) = list_requests(connection, 9)
    assert asked.headers["location"] == f"/backtests/{row.id}"
    assert (row.sites, row.asked_by, row.state, row.text) == (["S01", "S02"], "root", "waiting", PACK)
    assert "等待" in desk.get(f"/backtests/{row.id}").text
    assert f'href="/backtests/{row.id}"' in desk.get("/backtests").text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rules": BROKEN}, "tried"),
        ({"sites": "S99"}, "这些点位没有设备"),
        ({"until": "2026-09-01T00:00"}, "时段为空"),
        ({"since": "yesterday"}, "时间格式不对"),
        ({"since": "2020-01-01T00:00"}, "400"),
    ],
)
def test_what_makes_no_backtest_is_shown_again(town: Town, visit: Visit, changes: dict[str, str], said: str) -> None:
    answer = visit("root").post("/backtests", data=form(**changes))
    assert answer.status_code == 422
    assert said in answer.text
    with reading(town.engine) as connection:
        assert list_requests(connection, 9) == []


def test_a_result_is_shown_in_both_languages(town: Town, visit: Visit) -> None:
    desk = visit("disp")
    number = _asked(town, visit)
    now = town.clock.now()
    with writing(town.engine) as connection:
        claim(connection, "test", now)
        finish(connection, number, result(now - HOUR), now)
    page = desk.get(f"/backtests/{number}").text
    for said in ("1,234,567", "GAS-0001", "现行规则", "smoke.alarm", "2 → 3", "共 250 条"):
        assert said in page
    desk.post("/language", data={"language": "en", "next": "/"})
    english = desk.get(f"/backtests/{number}").text
    assert "Of 4 alerts that both know, 3 come earlier" in english
    found = desk.get(f"/api/v1/backtests/{number}").json()
    assert found["result"]["new"]["episodes"][0]["device"] == "GAS-0001"
    assert found["state"] == "done"


def test_a_failure_says_why(town: Town, visit: Visit) -> None:
    number = _asked(town, visit)
    with writing(town.engine) as connection:
        claim(connection, "test", town.clock.now())
        fail(connection, number, "its process ended by itself, exit code -9", town.clock.now())
    assert "exit code -9" in visit("disp").get(f"/backtests/{number}").text
    assert visit("disp").get("/api/v1/backtests").json()[0]["error"].endswith("-9")
    assert visit("disp").get("/backtests/999").status_code == 404


def test_programs_ask_too(town: Town, visit: Visit) -> None:
    root, now = visit("root"), town.clock.now()
    wanted = {"rules": PACK, "since": now - HOUR, "until": now}
    made = root.post("/api/v1/backtests", json=wanted)
    assert made.status_code == 202
    assert root.get(f"/api/v1/backtests/{made.json()['id']}").json()["rules"] == PACK
    wrong = root.post("/api/v1/backtests", json={**wanted, "rules": BROKEN})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["where"][0].startswith("tried")
    assert root.post("/api/v1/backtests", json={"rules": 5}).status_code == 422
    assert visit("disp").post("/api/v1/backtests", json=wanted).status_code == 403


def _asked(town: Town, visit: Visit) -> int:
    now = town.clock.now()
    made = visit("root").post("/api/v1/backtests", json={"rules": PACK, "since": now - HOUR, "until": now})
    return int(made.json()["id"])
