"""The dispatcher's pages and moves over HTTP, on a real ticket made by the desk."""

import re

import pytest
from sqlalchemy import insert, select

from alerts.labels import label_of
from alerts.tables import ticket, ticket_log
from console.language import texts
from core.database import reading, writing
from detectors.words import Severity
from ingest.tables import dead_letter
from ingest.words import Rearm
from tests.console.console_scene import Town, Visit


def number_of(town: Town, ticket_id: int = 1) -> str:
    with reading(town.engine) as connection:
        return str(connection.scalar(select(ticket.c.number).where(ticket.c.id == ticket_id)))


def status_of(town: Town, ticket_id: int = 1) -> str:
    with reading(town.engine) as connection:
        return str(connection.scalar(select(ticket.c.status).where(ticket.c.id == ticket_id)))


def test_a_ticket_is_carried_from_dispatch_to_closing(town: Town, visit: Visit) -> None:
    town.alert()
    desk, number = visit("disp"), number_of(town)
    patrol = visit("g01")
    for action in ("accept", "arrive", "handle"):
        assert patrol.post(f"/m/tickets/{number}/{action}").headers["location"] == f"/m?done={action}"
    for action in ("check", "close"):
        assert f'data-action="{action}"' in desk.get(f"/tickets/{number}").text
        assert desk.post(f"/tickets/{number}/moves/{action}").status_code == 303
    assert status_of(town) == "closed"
    assert town.controls == [Rearm("device", "GAS-0001", "gas.leak")]
    with reading(town.engine) as connection:
        who = connection.execute(select(ticket_log.c.action, ticket_log.c.who).order_by(ticket_log.c.id)).all()
    assert [tuple(row) for row in who if row.who != "platform"] == [
        ("accept", "G01-01"),
        ("arrive", "G01-01"),
        ("handle", "G01-01"),
        ("check", "disp"),
        ("close", "disp"),
        ("alert_closed", "disp"),
    ]


def test_a_refused_move_says_why_and_changes_nothing(town: Town, visit: Visit) -> None:
    town.alert()
    desk, number = visit("disp"), number_of(town)
    answer = desk.post(f"/tickets/{number}/moves/close")
    assert answer.status_code == 409
    assert "已派遣" in answer.text
    assert 'role="alert"' in answer.text
    assert status_of(town) == "dispatched"


def test_a_false_alarm_needs_its_cause(town: Town, visit: Visit) -> None:
    town.alert()
    desk, number = visit("disp"), number_of(town)
    assert desk.post(f"/tickets/{number}/moves/false_alarm").status_code == 409
    assert desk.post(f"/tickets/{number}/moves/false_alarm", data={"cause": "设备故障"}).status_code == 303
    assert status_of(town) == "false_alarm"
    assert "设备故障" in desk.get(f"/tickets/{number}").text
    assert town.ticket()["result_cause"] == "device_fault"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_test_says_nothing_of_the_rule_in_whatever_language_it_was_marked(
    town: Town, visit: Visit, language: str
) -> None:
    town.alert()
    desk, number = visit("disp"), number_of(town)
    desk.cookies.set("shouwang_language", language)
    page = desk.get(f"/tickets/{number}").text
    (value,) = re.findall(rf'value="([^"]+)">{texts(language)["cause_of.test"]}<', page)
    desk.post(f"/tickets/{number}/moves/false_alarm", data={"cause": value, "opinion": "消防检测"})
    made = town.ticket()
    assert label_of(made["status"], made["result"], made["result_cause"]) == "excluded"
    assert "消防检测" in desk.get(f"/tickets/{number}").text


def test_a_ticket_can_be_given_to_another_station(town: Town, visit: Visit) -> None:
    town.alert()
    desk, number = visit("disp"), number_of(town)
    assert desk.post(f"/tickets/{number}/moves/reassign", data={"station": "ST1"}).status_code == 303
    with reading(town.engine) as connection:
        assert connection.execute(select(ticket.c.team, ticket.c.station)).one() == (None, "ST1")
    assert desk.post(f"/tickets/{number}/moves/reassign", data={"station": "ST9"}).status_code == 409
    assert '<span class="tag">执法一站</span>' in desk.get(f"/tickets/{number}").text
    desk.cookies.set("shouwang_language", "en")
    assert '<span class="tag">Station 1</span>' in desk.get(f"/tickets/{number}").text


@pytest.mark.parametrize("path", ["/tickets/20000101-0001", "/sites/S99", "/devices/GAS-9999", "/nothing"])
def test_what_is_not_there_is_a_page_that_says_so(visit: Visit, path: str) -> None:
    answer = visit("disp").get(path)
    assert answer.status_code == 404
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("action", ["nonsense", "send_back", "self_recover"])
def test_a_move_that_no_page_offers_is_not_there(town: Town, visit: Visit, action: str) -> None:
    town.alert()
    assert visit("disp").post(f"/tickets/{number_of(town)}/moves/{action}").status_code == 404


def test_a_ticket_shows_its_chain_notices_and_choice(town: Town, visit: Visit) -> None:
    town.alert()
    town.send_notices("http://127.0.0.1:1")
    page = visit("disp").get(f"/tickets/{number_of(town)}").text
    for text in ("设备读数", "写入日志", "请求发送", "未证实送达", "网格员 G01-01", "地点在该网格内", "派单依据"):
        assert text in page


def test_the_hall_shows_the_queue_without_scripts(town: Town, visit: Visit) -> None:
    town.alert()
    town.alert("WTR-0002", "flood.road", Severity.ALARM, 18.0, 15.0)
    page = visit("disp").get("/").text
    assert page.index("可燃气体泄漏") < page.index("道路积水", page.index('id="queue"'))
    only = visit("disp").get("/queue?hazard=flood").text
    assert "示例点位 02" in only
    assert "示例点位 01" not in only


def test_lists_and_places_show_what_is_stored(town: Town, visit: Visit) -> None:
    town.alert()
    letter = {"journal_n": 1, "gateway": "GW-0009", "reason": "unknown_gateway", "detail": "not registered"}
    with writing(town.engine) as connection:
        rest = {"topic": "sw/v1/GW-0009/telemetry", "payload": b"\xff<script>", "received_at": town.clock.now()}
        connection.execute(insert(dead_letter).values(**letter, **rest))
    desk = visit("disp")
    assert "示例点位 01" in desk.get("/alerts").text
    rejects = desk.get("/rejects").text
    assert "未登记的网关" in rejects
    assert r"\xff&lt;script&gt;" in rejects
    assert "GAS-0001" in desk.get("/sites/S01").text
    assert "GW-0001" in desk.get("/devices/GAS-0001").text


def test_a_fault_of_the_platform_has_its_pages(town: Town, visit: Visit) -> None:
    town.alert("journal", "platform.journal_quota", Severity.ALARM, 83.5, 80.0)
    desk = visit("disp")
    answer = desk.get(f"/tickets/{number_of(town)}")
    assert answer.status_code == 200
    assert all(text in answer.text for text in ("平台日志积压占配额", "83.5 %", "平台故障", "平台自检发现", "位置不明"))
    for path in ("/", "/alerts"):
        answer = desk.get(path)
        assert answer.status_code == 200
        assert "平台日志积压占配额" in answer.text
    assert 'href="/devices/journal"' not in answer.text
    assert status_of(town) == "registered"
    assert desk.get(f"/api/v1/tickets/{number_of(town)}").status_code == 200
