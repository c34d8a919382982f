"""What an alert found over HTTP: a site's devices, a lorry, a drift and a sick sensor, on the desk and on a phone."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from alerts.desk import apply_detections
from alerts.tables import phone_message, ticket
from core.clock import SECOND
from core.database import reading, writing
from core.journal import Offset
from detectors.words import Change, Detection, Found, Severity, Subject
from tests.console.console_scene import Town, Visit

LEAK = {"rule": "gas.leak", "value": 31.5, "unit": "%LEL"}
SMOKE = {"rule": "smoke.detected", "value": None, "unit": ""}


def say(town: Town, rule: str, subject: Subject, evidence: dict[str, Any], **more: Any) -> None:
    now = town.clock.now()
    town.offset += 1
    place = Offset(0, town.offset)
    more |= {"rules_version": 1, "evidence": evidence}
    found = Found(place, now, Detection(Change.OPENED, subject, rule, Severity.CRITICAL, now, now, now, **more))
    with writing(town.engine) as connection:
        apply_detections(connection, town.view, town.rules, "safety", [found], place, now)


def fire(town: Town) -> None:
    """A compound of 23 members, of which the first 20 are named."""
    now = town.clock.now()
    members = [{**(LEAK, SMOKE)[n % 2], "device": f"GAS-{n % 9 + 1:04d}", "onset": now - n * SECOND} for n in range(20)]
    evidence = {"members": members, "count": 23, "at_least": 2, "within": 300 * SECOND}
    say(town, "site.fire", Subject("site", "S01"), evidence, reason="compound")


def ticket_page(town: Town, client: httpx.Client) -> str:
    with reading(town.engine) as connection:
        number = connection.execute(select(ticket.c.number).order_by(ticket.c.id.desc()).limit(1)).scalar_one()
    return client.get(f"/tickets/{number}").text


def phone_page(town: Town, client: httpx.Client) -> str:
    town.send_notices(str(client.base_url).rstrip("/"))
    with reading(town.engine) as connection:
        link = connection.execute(select(phone_message.c.link).where(phone_message.c.link != "")).scalars().first()
    return client.get(str(link)).text


def test_a_compound_names_its_devices(town: Town, visit: Visit) -> None:
    fire(town)
    client = visit("disp")
    page = ticket_page(town, client)
    assert page.count('<li><a href="/devices/GAS-') == 20
    for told in ("可燃气体泄漏 <b>31.5 %LEL</b>", "共 23 条", 'href="/sites/S01">S01</a>', 'href="/rules/site.fire"'):
        assert told in page
    assert client.get("/alerts").text.count('<li><a href="/devices/GAS-') == 3
    phone = phone_page(town, visit())
    assert "涉及设备" in phone
    assert "GAS-0001 31.5 %LEL" in phone
    with reading(town.engine) as connection:
        texts = list(connection.execute(select(phone_message.c.text)).scalars())
    assert all("设备：GAS-0001 31.5 %LEL、" in text for text in texts)


@pytest.mark.parametrize(
    ("rule", "evidence", "more", "zh", "en"),
    [
        (
            "overload.vehicle",
            {"event": "weighed", "unit": "t", "said": {"plate": "苏E12345", "axles": 6, "lane": None}},
            {"value": 61.5, "limit": 49.0},
            ("61.5 t", "车牌", "苏E12345", "轴数"),
            ("61.5 t", "Plate", "Axles"),
        ),
        (
            "device.drift_level",
            {"distance": -0.4, "median": 2.0, "neighbours": 4, "unit": "m", "window_s": 3600.0},
            {"value": 1.6, "limit": 0.3},
            ("比邻近设备低 0.4 m", "4 台邻近设备中位数 2 m"),
            ("0.4 m below its neighbours", "median of 4 neighbours 2 m"),
        ),
        (
            "emission.so2",
            {"judged": "mean", "measure": 41.0, "window_s": 3600.0},
            {"value": 99.0, "limit": 35.0},
            ("1 小时均值 41 mg/m³",),
            ("41 mg/m³, mean of 1 h",),
        ),
    ],
)
def test_what_was_measured_is_said_in_both_languages(
    town: Town, visit: Visit, rule: str, evidence: dict[str, Any], more: dict[str, Any], zh: Any, en: Any
) -> None:
    say(town, rule, Subject("device", "WTR-0001"), evidence, **more)
    client = visit("disp")
    for told in zh:
        assert told in ticket_page(town, client)
    phone = phone_page(town, visit())
    assert zh[0] in phone
    client.cookies.set("shouwang_language", "en")
    for told in en:
        assert told in ticket_page(town, client)


def test_a_finding_that_is_held_back_says_so(town: Town, visit: Visit) -> None:
    say(town, "gas.leak", Subject("device", "GAS-0001"), {}, value=66.0, limit=50.0, page=False, reason="sensor_sick")
    client = visit("disp")
    assert "传感器本身有故障，此发现暂不通知" in client.get("/alerts").text
    client.cookies.set("shouwang_language", "en")
    assert "The sensor itself is faulty" in client.get("/alerts").text
