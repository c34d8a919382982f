"""Backtests over HTTP: who may ask, what is refused, the list, a result in both languages, and the same as JSON."""

import msgspec
import pytest

from core.clock import HOUR
from core.database import reading, writing
from detectors.backtest_requests import MOST_WAITING, claim, fail, finish, list_requests, request, requested
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
        (listed,) = list_requests(connection, 9)
        row = requested(connection, listed.id)
    assert row is not None
    assert asked.headers["location"] == f"/backtests/{row.id}"
    assert (row.sites, row.asked_by, row.state, row.text) == (["S01", "S02"], "root", "waiting", PACK)
    assert "等待" in desk.get(f"/backtests/{row.id}").text
    assert f'href="/backtests/{row.id}"' in desk.get("/backtests").text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rules": BROKEN}, "tried"),
        ({"sites": "S99"}, "没有这些点位，或点位上没有设备"),
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
        fail(connection, number, "process_ended", town.clock.now())
    assert "回测进程意外终止" in visit("disp").get(f"/backtests/{number}").text
    assert visit("disp").get("/api/v1/backtests").json()[0]["error"] == "process_ended"
    assert visit("disp").get("/backtests/999").status_code == 404


def test_errors_of_a_pack_are_shown_as_they_are(town: Town, visit: Visit) -> None:
    number = _asked(town, visit)
    with writing(town.engine) as connection:
        claim(connection, "test", town.clock.now())
        fail(connection, number, "tried:2:5: no <rule>\ntried:3:5: no unit", town.clock.now())
    shown = visit("disp").get(f"/backtests/{number}").text
    assert "tried:2:5: no &lt;rule&gt;</li>" in shown
    assert "tried:3:5: no unit</li>" in shown


def test_a_rule_that_only_the_tried_pack_has_is_no_link(town: Town, visit: Visit) -> None:
    number, found = _asked(town, visit), result(town.clock.now() - HOUR)
    found.by_rule["town.gas"], found.changed = Row(0, 7, 7, 0), ["town.gas", "gas.leak"]
    with writing(town.engine) as connection:
        claim(connection, "test", town.clock.now())
        finish(connection, number, found, town.clock.now())
    shown = visit("disp").get(f"/backtests/{number}").text
    assert "town.gas" in shown
    assert "/rules/town.gas" not in shown
    assert '<a href="/rules/gas.leak">' in shown


def test_a_backtest_of_no_readings_says_so(town: Town, visit: Visit) -> None:
    number = _asked(town, visit)
    nothing = msgspec.structs.replace(result(town.clock.now() - HOUR), readings=0)
    with writing(town.engine) as connection:
        claim(connection, "test", town.clock.now())
        finish(connection, number, nothing, town.clock.now())
    assert "没有已存的读数" in visit("disp").get(f"/backtests/{number}").text


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


def test_an_administrator_cancels_what_waits_or_runs_once(town: Town, visit: Visit) -> None:
    number, root, desk = _asked(town, visit), visit("root"), visit("disp")
    assert "/cancel" in root.get(f"/backtests/{number}").text
    assert "/cancel" not in desk.get(f"/backtests/{number}").text
    assert desk.post(f"/backtests/{number}/cancel").status_code == 403
    assert desk.post(f"/api/v1/backtests/{number}/cancel").status_code == 403
    with writing(town.engine) as connection:
        claim(connection, "test", town.clock.now())
    assert root.post(f"/backtests/{number}/cancel", follow_redirects=False).status_code == 303
    assert "取消" in desk.get(f"/backtests/{number}").text
    with writing(town.engine) as connection:
        finish(connection, number, result(town.clock.now() - HOUR), town.clock.now())
    again = root.post(f"/api/v1/backtests/{number}/cancel").json()
    assert (again["state"], again["error"]) == ("cancelled", "root")
    assert root.post("/backtests/999/cancel").status_code == 404


def test_one_person_has_five_waiting_at_most_and_another_still_asks(town: Town, visit: Visit) -> None:
    root, now = visit("root"), town.clock.now()
    numbers = [_asked(town, visit) for _ in range(MOST_WAITING)]
    refused = root.post("/api/v1/backtests", json={"rules": PACK, "since": now - HOUR, "until": now})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "too_many")
    assert "已有 5 个回测在等待" in root.post("/backtests", data=form()).text
    with writing(town.engine) as connection:
        assert request(connection, PACK, now - HOUR, now, [], "platform", now)
        assert request(connection, PACK, now - HOUR, now, [], "another", now)
    root.post(f"/backtests/{numbers[0]}/cancel")
    assert _asked(town, visit)


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [(1, 2, "empty_span"), (0, -1, "empty_span"), (-401 * 24, 0, "span_too_long"), (-1, 10**6, "")],
    ids=["future", "reversed", "long", "into the future"],
)
def test_spans_that_make_no_backtest(town: Town, visit: Visit, since: int, until: int, why: str) -> None:
    now = town.clock.now()
    wanted = {"rules": PACK, "since": now + since * HOUR, "until": now + until * HOUR}
    answer = visit("root").post("/api/v1/backtests", json=wanted)
    if why:
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, why)
    else:
        with reading(town.engine) as connection:
            assert list_requests(connection, 1)[0].until <= town.clock.now(), "what isn't received yet can't be judged"


def test_numbers_beyond_all_time_and_a_pack_beyond_all_measure_are_refused(town: Town, visit: Visit) -> None:
    root, now = visit("root"), town.clock.now()
    for since, until in ((-(2**63), now), (0, 2**63), (2**70, 2**71)):
        assert root.post("/api/v1/backtests", json={"rules": PACK, "since": since, "until": until}).status_code == 422
    huge = "#" * 1_000_001
    assert root.post("/api/v1/backtests", json={"rules": huge, "since": 0, "until": now}).status_code in (413, 422)
    assert root.get("/backtests/99999999999999999999").status_code in (404, 422)


def _asked(town: Town, visit: Visit) -> int:
    now = town.clock.now()
    made = visit("root").post("/api/v1/backtests", json={"rules": PACK, "since": now - HOUR, "until": now})
    return int(made.json()["id"])
