"""Shelves, silences and windows over the console's pages and its API."""

import re
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from alerts.quiet_tables import quiet, storm
from alerts.releasing import release_due
from alerts.tables import alert, person, ticket
from core.clock import DAY, HOUR, MINUTE, local
from core.database import reading, writing
from detectors.words import Severity
from tests.console.console_scene import Town, Visit

WATER: dict[str, Any] = {
    "device": "WTR-0002",
    "rule": "flood.depth",
    "severity": Severity.WARNING,
    "value": 16.0,
    "limit": 15.0,
}
SILENCE: dict[str, Any] = {
    "kind": "silence",
    "label": ["device_type"],
    "op": ["="],
    "value": ["water_depth"],
    "minutes": "60",
}


@pytest.fixture
def leader(town: Town) -> None:
    """The dispatcher's account belongs to a leader, and so does the patroller g02's."""
    with writing(town.engine) as connection:
        connection.execute(update(person).where(person.c.code == "G01-02").values(role="leader"))


def quiets(town: Town) -> list[dict[str, object]]:
    with reading(town.engine) as connection:
        return [dict(row) for row in connection.execute(select(quiet).order_by(quiet.c.id)).mappings()]


def held(town: Town, number: int = 1) -> str | None:
    with reading(town.engine) as connection:
        return connection.scalar(select(alert.c.held).where(alert.c.id == number))


def test_a_silence_holds_an_alert_which_the_page_shows_with_what_holds_it(town: Town, visit: Visit) -> None:
    disp = visit("disp")
    answer = disp.post("/quiets", data={**SILENCE, "reason": "清淤作业"})
    assert answer.headers["location"] == "/quiets?done=set"
    town.alert(**WATER)
    page = disp.get("/quiets").text
    assert held(town) == "silence"
    for text in ("清淤作业", "WTR-0002", "静默 1", "water_depth"):
        assert text in page


def test_an_ended_silence_lets_its_alert_have_a_ticket(town: Town, visit: Visit) -> None:
    disp = visit("disp")
    disp.post("/quiets", data={**SILENCE, "reason": "清淤作业"})
    town.alert(**WATER)
    assert disp.post("/quiets/1/end").headers["location"] == "/quiets?done=ended"
    with writing(town.engine) as connection:
        assert release_due(connection, town.view, town.rules, town.clock.now()) == 1
    with reading(town.engine) as connection:
        assert connection.scalar(select(ticket.c.number)) is not None
    assert "人工解除" in disp.get("/quiets").text
    assert disp.post("/quiets/1/end").status_code == 409


def test_a_refusal_keeps_what_was_entered(town: Town, visit: Visit) -> None:
    form = {**SILENCE, "label": ["site", "grid"], "op": ["in", "!="], "value": ["S01，S02", "G09"], "minutes": "20160"}
    answer = visit("disp").post("/quiets", data={**form, "reason": "道路施工"})
    assert answer.status_code == 409
    assert "最长 7 天" in answer.text
    assert 'value="S01，S02"' in answer.text
    assert 'value="道路施工"' in answer.text
    assert quiets(town) == []


def test_a_window_has_days_and_hours_over_midnight(town: Town, visit: Visit) -> None:
    form = {"kind": "window", "label": "site", "op": "in", "value": "S01 S02", "days": ["1", "4"], "from": "22:00"}
    answer = visit("disp").post("/quiets", data={**form, "to": "06:00", "ends": "2090-01-01T00:00", "reason": "检修"})
    assert answer.status_code == 409  # no window is as long as that
    made = visit("disp").post("/quiets", data={**form, "to": "06:00", "ends": soon(town), "reason": "检修"})
    assert made.status_code == 303
    row = quiets(town)[0]
    assert row["schedule"] == {"days": [1, 4], "from": "22:00", "to": "06:00"}
    assert row["matchers"] == [{"label": "site", "op": "in", "value": ["S01", "S02"]}]
    assert "周一、周四 22:00–06:00" in visit("disp").get("/quiets").text


def soon(town: Town) -> str:
    """Thirty days from now, as a form writes it."""
    return f"{local(town.clock.now() + 30 * DAY):%Y-%m-%dT%H:%M}"


def test_a_window_without_an_end_or_days_is_refused(town: Town, visit: Visit) -> None:
    form = {"kind": "window", "label": "site", "op": "=", "value": "S01", "from": "22:00", "to": "06:00", "reason": "x"}
    for ends in ("", "2027-02-30T10:00", "2027-03-01T10:00+00:00"):
        assert "请填写确实存在的日期和时间" in visit("disp").post("/quiets", data={**form, "ends": ends}).text
    assert "请给出星期和起止时间" in visit("disp").post("/quiets", data={**form, "ends": soon(town)}).text
    assert quiets(town) == []


def test_an_alert_is_shelved_from_the_list_of_alerts(town: Town, visit: Visit) -> None:
    town.alert(**WATER)
    disp = visit("disp")
    link = re.search(r'href="(/quiets/shelve\?alert=\d+)"', disp.get("/alerts").text)
    assert link
    assert "WTR-0002" in disp.get(link[1]).text
    form = {"alert": "1", "minutes": "60", "reason": "已知故障", "one_shot": "yes"}
    assert disp.post("/quiets/shelve", data=form).status_code == 303
    row = quiets(town)[0]
    assert (row["kind"], row["one_shot"], row["owner"]) == ("shelf", True, "disp")


def test_a_dispatcher_may_not_shelve_what_lives_depend_on(town: Town, visit: Visit) -> None:
    town.alert()
    page = visit("disp").get("/quiets/shelve?alert=1")
    assert "只有值班领导" in page.text
    assert '<button class="act first"' not in page.text
    form = {"alert": "1", "minutes": "30", "reason": "试"}
    for more in ({}, {"life_safety": "yes"}):
        assert visit("disp").post("/quiets/shelve", data={**form, **more}).status_code == 409
    assert quiets(town) == []


def test_a_leader_shelves_what_lives_depend_on_for_an_hour_at_most(town: Town, visit: Visit, leader: None) -> None:
    town.alert()
    boss = visit("g02")
    assert 'name="life_safety"' in boss.get("/quiets/shelve?alert=1").text
    form = {"alert": "1", "reason": "现场处置中", "life_safety": "yes"}
    assert boss.post("/quiets/shelve", data={**form, "minutes": "120"}).status_code == 409
    assert boss.post("/quiets/shelve", data={**form, "minutes": "60"}).status_code == 303
    assert [row["life_safety"] for row in quiets(town)] == [True]


def test_a_leader_sees_no_page_of_the_desk_in_the_navigation(visit: Visit, leader: None) -> None:
    page = visit("g02").get("/quiets").text
    assert 'href="/rules"' not in page
    assert 'href="/roster"' not in page


def test_a_patroller_may_quiet_nothing(town: Town, visit: Visit) -> None:
    patroller = visit("g01")
    assert patroller.get("/quiets").status_code == 403
    assert patroller.post("/quiets", data={**SILENCE, "reason": "x"}).status_code == 403
    assert quiets(town) == []


def test_storms_are_listed_with_their_incident(town: Town, visit: Visit) -> None:
    now = town.clock.now()
    row = {"hazard": "flood", "began_at": now - MINUTE, "last_at": now, "sites": 14, "alerts": 31, "why": {}}
    with writing(town.engine) as connection:
        connection.execute(insert(storm), row)
    assert "进行中" in visit("disp").get("/quiets").text
    assert visit("disp").get("/api/v1/quiets").json()["storms"][0]["alerts"] == 31


def test_the_api_makes_lists_and_ends(town: Town, visit: Visit) -> None:
    town.alert(**WATER)
    disp, now = visit("disp"), town.clock.now()
    shelf = disp.post("/api/v1/alerts/1/shelf", json={"ends_at": now + HOUR, "reason": "已知"}).json()
    matchers = [{"label": "grid", "op": "=", "value": "G05"}]
    wanted = {"kind": "silence", "matchers": matchers, "ends_at": now + HOUR, "reason": "演习"}
    assert disp.post("/api/v1/quiets", json=wanted).status_code == 200
    refused = disp.post("/api/v1/quiets", json={**wanted, "reason": " "})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "needs_reason")
    assert disp.post(f"/api/v1/quiets/{shelf['id']}/end").json()["ended_why"] == "by_hand"
    assert [each["kind"] for each in disp.get("/api/v1/quiets").json()["quiets"]] == ["silence"]
    assert visit("g01").get("/api/v1/quiets").status_code == 403


def test_english_pages_are_english(town: Town, visit: Visit) -> None:
    town.alert(**WATER)
    disp = visit("disp")
    disp.post("/language", data={"language": "en"})
    for path in ("/quiets", "/quiets/shelve?alert=1"):
        shown = re.sub(r"<[^>]*>", "", disp.get(path).text.split("<main")[1])
        assert not re.search(r"[一-鿿]", shown), path


def test_a_preview_says_what_would_be_held_and_writes_nothing(town: Town, visit: Visit) -> None:
    town.alert(**WATER)
    town.alert()
    disp = visit("disp")
    page = disp.post("/quiets/preview", data={**SILENCE, "reason": ""})
    assert page.status_code == 200
    shown = page.text.split('id="preview"')[1].split("</div>")[0]
    assert "1 条未恢复报警" in shown
    assert "WTR-0002" in shown
    assert "GAS-0001" not in shown
    assert 'value="water_depth"' in page.text, "the form is as it was filled in"
    assert quiets(town) == []
    window = {**SILENCE, "kind": "window", "from": "22:00", "to": "06:00"}
    assert "1 条未恢复报警" in disp.post("/quiets/preview", data=window).text
    wrong = disp.post("/quiets/preview", data={**SILENCE, "value": [""]})
    assert wrong.status_code == 409


def test_a_preview_by_program_counts_devices_and_what_stays_heard(town: Town, visit: Visit) -> None:
    town.alert(**WATER)
    town.alert()
    disp = visit("disp")

    def previewed(label: str, value: str, **more: Any) -> Any:
        body = {"matchers": [{"label": label, "op": "=", "value": value}], **more}
        return disp.post("/api/v1/quiets/preview", json=body)

    water = previewed("device_type", "water_depth").json()
    meant = sum(each.type == "water_depth" for each in town.view.devices.values())
    assert (water["matching"], water["still_heard"], water["devices"]) == (1, 0, meant)
    gas = previewed("subject", "GAS-0001").json()
    assert (gas["matching"], gas["still_heard"], gas["devices"]) == (1, 1, 1)
    assert previewed("subject", "GAS-0001", life_safety=True).json()["still_heard"] == 0
    assert previewed("colour", "red").json()["error"]["code"] == "unknown_label"
    assert visit("g01").post("/api/v1/quiets/preview", json={"matchers": []}).status_code == 403
    assert quiets(town) == []


def test_a_silence_of_half_the_town_wants_a_confirmation(town: Town, visit: Visit) -> None:
    """Conditions that only exclude: whoever wrote "all but one site" may have meant the one."""
    disp, now = visit("disp"), town.clock.now()
    matchers = [{"label": "site", "op": "!=", "value": "S01"}]
    seen = disp.post("/api/v1/quiets/preview", json={"matchers": matchers}).json()
    assert (seen["devices"], seen["of_all"], seen["wide"]) == (16, 18, True)
    wanted = {"kind": "silence", "matchers": matchers, "ends_at": now + HOUR, "reason": "演习"}
    refused = disp.post("/api/v1/quiets", json=wanted)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "confirm_wide")
    assert "16" in refused.json()["error"]["zh"]
    assert "confirm" in refused.json()["error"]["en"]
    assert quiets(town) == []
    assert disp.post("/api/v1/quiets", json={**wanted, "reason": ""}).json()["error"]["code"] == "needs_reason"
    assert disp.post("/api/v1/quiets", json={**wanted, "confirm": True}).status_code == 200
    assert len(quiets(town)) == 1


def test_the_page_asks_for_it_too_and_keeps_the_form(town: Town, visit: Visit) -> None:
    form = {**SILENCE, "label": ["site"], "op": ["!="], "value": ["S01"], "reason": "演习"}
    disp = visit("disp")
    assert 'name="confirm"' not in disp.get("/quiets").text
    seen = disp.post("/quiets/preview", data=form).text
    assert "范围内有 16 台设备，占全镇 18 台的 89%" in seen
    assert seen.count('name="confirm"') == 1
    refused = disp.post("/quiets", data=form)
    assert refused.status_code == 409
    assert "超过全镇 18 台的一半" in refused.text
    assert refused.text.count('name="confirm"') == 1
    assert 'value="演习"' in refused.text
    assert disp.post("/quiets", data={**form, "confirm": "yes"}).status_code == 303


@pytest.mark.parametrize(
    ("matchers", "devices", "wide"),
    [
        ([("hazard", "!=", "gas")], 18, True),  # device.silence and the like judge every type
        ([("hazard", "=", "gas")], 9, False),
        ([("rule", "=", "flood.road")], 9, False),
        ([("rule", "=", "flood.road"), ("site", "!=", "S01")], 8, False),
        ([("severity", "=", "warning")], 18, True),
        ([("grid", "in", ["G01", "G02"])], 4, False),
        ([("device_type", "!=", "lift")], 18, True),
        ([("rule", "=", "nothing.such")], 0, False),
    ],
)
def test_what_rules_judge_counts_as_covered(
    town: Town, visit: Visit, matchers: list[Any], devices: int, wide: bool
) -> None:
    body = {"matchers": [dict(zip(("label", "op", "value"), each, strict=True)) for each in matchers]}
    seen = visit("disp").post("/api/v1/quiets/preview", json=body).json()
    assert (seen["devices"], seen["wide"]) == (devices, wide)


def test_what_lives_depend_on_wants_a_confirmation_however_little_it_is(town: Town, visit: Visit, leader: None) -> None:
    now = town.clock.now()
    matchers = [{"label": "site", "op": "=", "value": "S01"}]
    wanted = {"kind": "silence", "matchers": matchers, "ends_at": now + HOUR, "reason": "检修", "life_safety": True}
    refused = visit("g02").post("/api/v1/quiets", json=wanted)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "confirm_life_safety")
    assert visit("g02").post("/api/v1/quiets", json={**wanted, "confirm": True}).status_code == 200
