"""Rules over HTTP: found, looked at, explained, and edited by an administrator, on pages and by the API."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import msgspec
import pytest
from sqlalchemy import Engine

from console.language import LANGUAGES, texts
from console.services import Services
from core.clock import SystemClock
from core.database import reading
from detectors.rule import Rule
from detectors.rule_fields import FLAGS
from detectors.rules import RuleSet, load_version, newest_version
from detectors.sheets import newest_sheets, sheets_in_force
from detectors.words import Severity
from ingest.words import RulesChanged
from tests.console.console_scene import Town, Visit, console_on

SOONER = "overrides:\n- {rule: gas.leak, site: S01, dwell: 2s}\n"


class Desk(Town):
    """A town whose console gives the newest rules, as the wiring does."""

    def services(self, base_url: str, demo: bool = True) -> Services:
        return replace(super().services(base_url, demo), rules=self.newest)

    def newest(self) -> RuleSet:
        with reading(self.engine) as connection:
            return load_version(connection, newest_version(connection) or 0)


@pytest.fixture
def desk(engine: Engine) -> Iterator[tuple[Desk, Visit]]:
    town = Desk(engine, SystemClock())
    with console_on(town) as url:
        visit = Visit(url)
        yield town, visit
        visit.close()


def override(client: httpx.Client, **fields: object) -> httpx.Response:
    form = {"kind": "site", "code": "S01", "reason": "after the drill", "seen": 1, **fields}
    return client.post("/rules/gas.leak/override", data=form)


def test_rules_are_found_by_what_they_are_about(desk: tuple[Desk, Visit]) -> None:
    town, visit = desk
    town.alert()
    client = visit("disp")
    assert "可燃气体" in client.get("/rules").text
    page = client.get("/rules", params={"find": "gas.leak", "life_safety": "true"}).text
    assert 'href="/rules/gas.leak"' in page
    assert '<td class="num bad-text" data-label="未关闭报警">1</td>' in page
    assert 'href="/rules/gas.leak"' not in client.get("/rules", params={"hazard": "noise"}).text
    found = client.get("/api/v1/rules", params={"find": "gas.leak"}).json()
    (leak,) = [rule for rule in found["rules"] if rule["id"] == "gas.leak"]
    assert (found["version"], leak["life_safety"], leak["open_alerts"], leak["unit"]) == (1, True, 1, "%LEL")
    assert [limit["severity"] for limit in leak["limits"]] == ["alarm", "critical"]


def test_a_rule_of_another_time_is_told_apart(desk: tuple[Desk, Visit]) -> None:
    page = desk[1]("disp").get("/rules?find=dust.pm25_from_2031").text
    assert "2031-01-01 起生效" in page
    assert "起生效" not in desk[1]("disp").get("/rules?find=gas.leak").text


def test_one_rule_tells_its_standard_in_both_languages(desk: tuple[Desk, Visit]) -> None:
    client = desk[1]("disp")
    page = client.get("/rules/gas.leak").text
    for said in ("GB/T 50493", "已核对原文", "生命安全", "≥ 25"):
        assert said in page
    assert "设置覆盖" not in page, "a dispatcher may not"
    client.cookies.set("shouwang_language", "en")
    assert "Read in the source" in client.get("/rules/gas.leak").text
    assert client.get("/rules/no.such").status_code == 404
    assert client.get("/api/v1/rules/no.such").json()["error"]["code"] == "no_rule"


def test_an_administrator_sets_an_override_and_the_platform_hears_of_it(desk: tuple[Desk, Visit]) -> None:
    town, visit = desk
    admin = visit("root")
    assert "设置覆盖" in admin.get("/rules/gas.leak").text
    assert override(admin, alarm="20", dwell="2s").headers["location"] == "/rules/gas.leak?done=2"
    assert town.controls == [RulesChanged(2)]
    page = admin.get("/rules/gas.leak?done=2").text
    for said in ("现行版本 2", "root", "after the drill", "overrides[site=S01].limits.alarm", "规则单 console"):
        assert said in page
    assert override(admin, alarm="19", dwell="2s", seen=2).status_code == 303
    gone = {"kind": "site", "code": "S01", "reason": "over", "seen": 3, "confirm": "yes"}
    assert admin.post("/rules/gas.leak/remove", data=gone).headers["location"] == "/rules/gas.leak?done=4"
    with reading(town.engine) as connection:
        assert sheets_in_force(connection) == {}


def test_a_looser_life_safety_rule_is_asked_about_first(desk: tuple[Desk, Visit]) -> None:
    town, visit = desk
    admin = visit("root")
    asked = override(admin, alarm="30")
    assert asked.status_code == 409
    assert 'name="confirm"' in asked.text
    assert '<span class="mono">gas.leak</span> <b>点位 S01</b> · 报警限值' in asked.text
    assert 'value="30"' in asked.text, "what was filled in stays"
    assert town.controls == []
    assert override(admin, alarm="30", confirm="yes").status_code == 303
    assert "放宽了生命安全规则：gas.leak" in admin.get("/rule-versions").text


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"alarm": "much"}, 422, "console:"),
        ({"dwell": "soon"}, 422, "soon"),
        ({}, 422, "没有填写任何改动"),
        ({"dwell": "2s", "reason": " "}, 422, "请写明原因"),
        ({"dwell": "2s", "code": ""}, 422, "请给出范围"),
        ({"dwell": "2s", "code": "S99"}, 422, "没有这个编号"),
        ({"dwell": "2s", "kind": "device_type", "code": "ghost"}, 422, "没有这个编号"),
    ],
)
def test_what_is_wrong_is_said(desk: tuple[Desk, Visit], fields: dict[str, str], status: int, said: str) -> None:
    answer = override(desk[1]("root"), **fields)
    assert answer.status_code == status
    assert said in answer.text
    assert desk[0].controls == []


def test_why_an_alarm_was_raised_is_told_by_the_version_of_then(desk: tuple[Desk, Visit]) -> None:
    town, visit = desk
    town.alert()
    client = visit("disp")
    why = "/devices/GAS-0001/rules?rule=gas.leak&amp;version=1"
    assert why in client.get("/alerts").text
    assert override(visit("root"), alarm="20").status_code == 303
    then = client.get(why.replace("&amp;", "&")).text
    assert "≥ 25" in then
    assert "现行版本是 2" in then
    assert "规则包 gb_t_50493_gases.yaml" in then
    assert "device.battery" not in then
    now = client.get("/devices/GAS-0001/rules").text
    assert "≥ 20" in now
    assert "规则单 console 对点位 S01 的覆盖" in now
    assert client.get("/devices/GAS-0001/rules?version=99").status_code == 404
    assert client.get("/devices/GHOST/rules").status_code == 404
    for path in ("/devices/GAS-0001/rules?version=", "/rule-versions?before=", "/alerts?before=", "/proposals/"):
        assert client.get(path + "9" * 20).status_code == 422


def test_changes_are_told_in_words(desk: tuple[Desk, Visit]) -> None:
    admin = desk[1]("root")
    assert override(admin, alarm="20").status_code == 303
    assert "<b>点位 S01</b> · 报警限值</span>" in admin.get("/rule-versions").text


def test_every_field_of_a_rule_has_a_name_and_its_values_too(desk: tuple[Desk, Visit]) -> None:
    levels = [level.name.lower() for level in Severity if level]
    graded = {f"{field}.{level}" for field in ("limits", "limits_from", "table") for level in levels}
    told = {field.name for field in msgspec.structs.fields(Rule)} - {"id", "limits", "limits_from", "table"}
    for language in LANGUAGES:
        named = {key.removeprefix("rule_field.") for key in texts(language) if key.startswith("rule_field.")}
        assert {*told, *graded} - {"overrides", "source"} <= named
        assert {f"rule_flag.{flag}" for flag in FLAGS} <= texts(language).keys()
    fire = desk[1]("disp").get("/rules/site.fire").text
    assert '<a href="/rules/gas.leak">可燃气体泄漏</a>' in fire
    assert "按险情" in fire
    assert "可燃气体浓度" in desk[1]("disp").get("/rules/gas.leak").text


def test_a_sheet_may_be_as_long_as_a_sheet_may_be(desk: tuple[Desk, Visit]) -> None:
    admin, line = desk[1]("root"), "# 一行很长的注释\n"
    long = {"text": line * (100_000 // len(line)), "reason": "x", "seen": 0}
    assert admin.post("/rule-sheets/long", data=long).status_code == 303
    refused = admin.post("/rule-sheets/longer", data={**long, "text": "#" * 100_001})
    assert refused.status_code == 422
    assert "规则单超过 10 万字符" in refused.text
    assert "#####" in refused.text, "what was written stays"
    vast = admin.post("/rule-sheets/vast", data={**long, "text": "守" * 1_000_000})
    assert (vast.status_code, vast.text.splitlines()[0]) == (413, "请求内容过大")


def test_the_second_editor_is_told_what_changed(desk: tuple[Desk, Visit]) -> None:
    admin = desk[1]("root")
    assert override(admin, dwell="2s").status_code == 303
    late = override(admin, dwell="3s")
    assert late.status_code == 409
    assert "overrides[site=S01].dwell: — → 2s" in late.text
    assert 'name="seen" value="2"' in late.text, "sent again it is an answer to what is there now"


def test_a_sheet_is_edited_as_a_whole(desk: tuple[Desk, Visit]) -> None:
    town, visit = desk
    admin = visit("root")
    assert admin.post("/rule-sheets", data={"name": "drill"}).headers["location"] == "/rule-sheets/drill"
    assert "<textarea" in admin.get("/rule-sheets/drill").text
    wrong = SOONER.replace("2s", "soon").replace("\n", "\r\n")
    refused = admin.post("/rule-sheets/drill", data={"text": wrong, "reason": "x", "seen": 0})
    assert refused.status_code == 422
    assert "drill:2:" in refused.text
    done = admin.post("/rule-sheets/drill", data={"text": SOONER, "reason": "after the drill", "seen": 0})
    assert done.headers["location"] == "/rule-sheets/drill?done=2"
    assert "after the drill" in admin.get("/rule-sheets").text
    again = admin.post("/rule-sheets/drill", data={"text": SOONER.replace("2s", "1s"), "reason": "x", "seen": 0})
    assert again.status_code == 409
    assert "root: after the drill" in again.text
    with reading(town.engine) as connection:
        seen = newest_sheets(connection)["drill"].id
    assert f'name="seen" value="{seen}"' in again.text
    gone = {"text": "", "reason": "over", "seen": seen, "confirm": "yes"}
    assert admin.post("/rule-sheets/drill", data=gone).status_code == 303
    assert "已撤销" in admin.get("/rule-sheets").text
    assert "/rules/gas.leak" in admin.get("/rule-versions").text
    assert town.controls == [RulesChanged(2), RulesChanged(3)]


def test_the_api_edits_as_the_pages_do(desk: tuple[Desk, Visit]) -> None:
    town, visit = desk
    admin = visit("root")
    place = {"scope": "site", "code": "S01", "reason": "after the drill"}
    assert admin.put("/api/v1/rules/gas.leak/overrides", json={**place, "dwell": "2s"}).json() == {"version": 2}
    looser = admin.put("/api/v1/rules/gas.leak/overrides", json={**place, "limits": {"alarm": 30}})
    assert looser.status_code == 409
    assert looser.json()["error"]["why"] == "loosens"
    assert "gas.leak overrides[site=S01].limits.alarm" in looser.json()["error"]["details"]
    rule = admin.get("/api/v1/rules/gas.leak").json()
    assert rule["overrides"] == [{"scope": ["site", "S01"], "fields": {"dwell": "2s"}, "source": "sheet console"}]
    assert rule["edited"]["author"] == "root"
    (first, _) = admin.get("/api/v1/rule-versions").json()["versions"]
    assert first["changes"] == [
        {"rule": "gas.leak", "field": "overrides[site=S01].dwell", "before": None, "after": "2s"}
    ]
    gone: dict[str, str | int] = {**place, "confirm": "true", "seen": 2}
    assert admin.delete("/api/v1/rules/gas.leak/overrides", params=gone).json() == {"version": 3}
    assert admin.delete("/api/v1/rules/gas.leak/overrides", params={**gone, "seen": 3}).status_code == 404
    sheet = {"text": SOONER, "reason": "x", "seen": 0}
    assert admin.put("/api/v1/rule-sheets/drill", json=sheet).json() == {"version": 4}
    assert admin.put("/api/v1/rule-sheets/drill", json={**sheet, "text": "rules: ["}).status_code == 409
    wrong = admin.put("/api/v1/rule-sheets/new", json={**sheet, "text": "rules: ["})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["details"][0].startswith("new:1:")
    assert {each["name"] for each in admin.get("/api/v1/rule-sheets").json()["sheets"]} == {"console", "drill"}
    assert admin.get("/api/v1/rule-sheets/drill").json()["editions"][0]["text"] == SOONER
    assert town.controls == [RulesChanged(version) for version in (2, 3, 4)]


def test_a_devices_rules_say_where_each_limit_comes_from(desk: tuple[Desk, Visit]) -> None:
    admin = desk[1]("root")
    assert override(admin, alarm="20").status_code == 303
    page = admin.get("/devices/GAS-0001/rules").text
    assert "规则单 console 对点位 S01" in page
    assert "/devices/GAS-0001/rules" in admin.get("/devices/GAS-0001").text
    found = admin.get("/api/v1/devices/GAS-0001/rules").json()["rules"]
    (leak,) = [each for each in found if each["rule"] == "gas.leak"]
    assert leak["limits"] == {"alarm": 20, "critical": 50}
    assert leak["origins"]["limits.alarm"]["en"] == "override site S01 of sheet console"
    assert admin.get("/devices/NO-1/rules").status_code == 404


def test_nobody_else_may(desk: tuple[Desk, Visit]) -> None:
    town, visit = desk
    for name in ("disp", "g01"):
        client = visit(name)
        assert override(client, dwell="2s").status_code == 403
        assert client.post("/rules/gas.leak/remove", data={"kind": "site", "code": "S01"}).status_code == 403
        assert client.post("/rule-sheets/drill", data={"text": SOONER, "reason": "x"}).status_code == 403
        assert client.put("/api/v1/rule-sheets/drill", json={"text": SOONER, "reason": "x"}).status_code == 403
    assert override(visit("root"), dwell="2s").status_code == 303
    assert visit("g01").get("/rules").status_code == 403
    assert visit().get("/api/v1/rules").status_code == 401
    forged = visit("root").put(
        "/api/v1/rule-sheets/x", json={"text": SOONER, "reason": "x"}, headers={"Origin": "http://elsewhere"}
    )
    assert forged.status_code == 403
    assert town.controls == [RulesChanged(2)]
