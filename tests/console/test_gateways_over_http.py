"""The gateways' page over HTTP: the worst first, its clock in words, and an administrator who lets one in again."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert, select

from alerts.tables import alert, ticket
from core.clock import SystemClock
from core.database import reading, writing
from detectors.words import Severity
from devices.gateways import disable_gateway
from devices.tables import gateway, registry
from ingest.tables import gateway_report
from ingest.words import RegistryChanged
from tests.console.console_scene import Town, Visit, console_on

COUNTS = {"messages": 9, "readings": 40, "qos0_readings": 3, "shed_messages": 2, "rejected_messages": 17}


@pytest.fixture
def gateways(engine: Engine) -> Iterator[tuple[Town, Visit]]:
    """GW-0001 well, GW-0002 ten minutes ahead, GW-0003 shut out, GW-0004 never heard, GW-0005 with an open alert."""
    town = Town(engine, SystemClock())
    now = town.clock.now()
    reports = {"GW-0001": (True, 2.0), "GW-0002": (True, -600.0), "GW-0003": (False, 400.0), "GW-0005": (False, None)}
    with writing(engine) as connection:
        others = [
            {"code": f"GW-000{n}", "site": "S02", "name": f"网关 {n}", "format": "sparkplug_b"} for n in (2, 3, 4, 5)
        ]
        connection.execute(insert(gateway), others)
        rows = [
            {"gateway": code, "last_received_at": now, "online": online, "clock_off_s": off, "updated_at": now}
            for code, (online, off) in reports.items()
        ]
        connection.execute(insert(gateway_report), [{**row, **COUNTS} for row in rows])
        disable_gateway(connection, "GW-0003", "sent 900 messages/s for a minute", now)
    town.alert("GW-0005", "gateway.offline", Severity.ALARM, None, None)
    with console_on(town) as url:
        visit = Visit(url)
        yield town, visit
        visit.close()


def test_the_worst_come_first_with_their_figures(gateways: tuple[Town, Visit]) -> None:
    page = gateways[1]("disp").get("/gateways").text
    assert re.findall(r'<b class="mono">(GW-\d+)</b>', page) == ["GW-0003", "GW-0005", "GW-0002", "GW-0001", "GW-0004"]
    for said in ("快 10 分", "慢 6 分 40 秒", "已停用", "sent 900 messages/s", "网关离线", "从未", "sparkplug_b"):
        assert said in page
    counts = re.findall(r'<td class="num" data-label="[^"]*">(\d+)</td>', page)
    assert ["18", "40", "3", "2"] in [counts[at : at + 4] for at in range(len(counts))], (
        "devices, readings, QoS 0, shed"
    )
    assert '<a href="/rejects?gateway=GW-0001&amp;hours=168">17</a>' in page
    assert page.count("warn-text") == 2


def test_english_says_it_too(gateways: tuple[Town, Visit]) -> None:
    desk = gateways[1]("disp")
    desk.cookies.set("shouwang_language", "en")
    page = desk.get("/gateways").text
    for said in ("10 min ahead", "6 min 40 s behind", "Shut out", "Never"):
        assert said in page


def test_an_administrator_lets_a_gateway_in_again(gateways: tuple[Town, Visit]) -> None:
    town, visit = gateways
    admin = visit("root")
    assert "/gateways/GW-0003/enable" in admin.get("/gateways").text
    assert admin.post("/gateways/GW-0003/enable").headers["location"] == "/gateways?enabled=GW-0003"
    with reading(town.engine) as connection:
        assert connection.scalar(select(gateway.c.disabled_at).where(gateway.c.code == "GW-0003")) == 0
        version = connection.scalar(select(registry.c.version))
    assert town.controls == [RegistryChanged(version or 0)]
    assert "/enable" not in admin.get("/gateways").text
    assert admin.post("/gateways/GW-0003/enable").status_code == 303
    assert len(town.controls) == 1, "what is in already is no news"
    assert admin.post("/gateways/GW-9/enable").status_code == 404


def test_nobody_else_may(gateways: tuple[Town, Visit]) -> None:
    town, visit = gateways
    desk = visit("disp")
    assert "/enable" not in desk.get("/gateways").text
    for client in (desk, visit("g01")):
        assert client.post("/gateways/GW-0003/enable").status_code == 403
    assert visit("root").post("/gateways/GW-0003/enable", headers={"Origin": "null"}).status_code == 403
    assert visit("g01").get("/gateways").status_code == 403
    assert visit().get("/gateways").headers["location"].startswith("/signin")
    assert town.controls == []


def test_a_devices_page_warns_of_its_gateways_clock(gateways: tuple[Town, Visit]) -> None:
    town, visit = gateways
    desk = visit("disp")
    assert "时钟不准" not in desk.get("/devices/GAS-0001").text
    with writing(town.engine) as connection:
        connection.execute(gateway_report.update().values(clock_off_s=-900.0))
    assert "快 15 分" in desk.get("/devices/GAS-0001").text
    with writing(town.engine) as connection:
        disable_gateway(connection, "GW-0001", "by hand", town.clock.now())
    assert "已被停用" in desk.get("/devices/GAS-0001").text


def test_a_ticket_says_where_the_way_stands_still_and_who_lost_a_device(gateways: tuple[Town, Visit]) -> None:
    town, visit = gateways
    town.alert("canary", "platform.canary_missed", Severity.ALARM, 31.0, 30.0)
    town.alert("GAS-0009", "device.silence", Severity.WARNING, None, None)
    said = [{"hop": "journal", "unit": "s"}, {"reported_at": town.clock.now()}]
    with writing(town.engine) as connection:
        for rule, evidence in zip(("platform.canary_missed", "device.silence"), said, strict=True):
            connection.execute(alert.update().where(alert.c.rule == rule).values(evidence=evidence))
        own = select(ticket.c.number).join(alert, alert.c.ticket == ticket.c.id)
        numbers = connection.execute(own.where(alert.c.rule != "gateway.offline")).scalars().all()
    desk = visit("disp")
    pages = [desk.get(f"/tickets/{number}").text for number in numbers]
    assert any("停在：日志" in page for page in pages)
    assert any("网关报告失联" in page for page in pages)
