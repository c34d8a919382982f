"""Tickets that people report: where they are, whom they reach, and that another platform's number makes one."""

from typing import Any

import pytest

from alerts import tables
from alerts.categories import ClassCode, ensure_categories, put_class, retire_category
from alerts.manual_tickets import KNOWN_HAZARDS, Outside, Report, Source, report
from alerts.refusals import ReportRefused
from alerts.words import Row
from core.clock import HOUR, MINUTE
from core.database import writing
from detectors.words import Severity
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH, Scene

SAID = Report(
    "井盖丢失", "城市管理", Severity.ALARM, "C01-02", description="人行道上", reporter="王", phone="13800000000"
)


@pytest.fixture
def town(scene: Scene) -> Scene:
    with writing(scene.engine) as connection:
        ensure_categories(connection)
    return scene


def reported(scene: Scene, said: Report = SAID, source: Source = "patrol", outside: Outside | None = None) -> Row:
    with writing(scene.engine) as connection:
        return report(connection, scene.town, said, scene.clock.now(), source, "G17-01", outside)


def test_a_report_waits_for_the_desk_at_each_step(town: Scene) -> None:
    made = reported(town, SAID._replace(lng=LNG, lat=LAT))
    assert made["status"] == "reported"
    assert made["number"] == "20260921-0001"
    kept = ("source", "category", "class_code", "reporter", "reporter_phone", "description", "title", "life_safety")
    assert [made[name] for name in kept] == [
        *("patrol", "城市管理", "C01-02", "王", "13800000000", "人行道上", "井盖丢失"),
        False,
    ]
    assert [(each["recipient"], each["cause"]) for each in town.notices] == [("DISP-1", "reported")]
    for action, status in (("verify", "verified"), ("register", "registered"), ("dispatch", "dispatched")):
        assert town.move(action, "DISP-1").status == status
    (ticket,) = town.tickets
    assert (ticket["team"], ticket["verified_at"], ticket["registered_at"]) == ("T-G17", *[town.clock.now()] * 2)
    assert town.log == ["report", "verify", "register", "dispatch"]


@pytest.mark.parametrize(("metres", "grid"), [(0, "G17"), (900, "G18"), (90_000, None)])
def test_the_grid_is_the_one_that_contains_it(town: Scene, metres: int, grid: str | None) -> None:
    made = reported(town, SAID._replace(lng=LNG, lat=LAT + metres * METRE_NORTH))
    assert (made["grid"], made["village"]) == (grid, "V1" if grid else None)


def test_a_site_gives_its_place(town: Scene) -> None:
    made = reported(town, SAID._replace(site="FAR"))
    assert (made["site"], made["grid"], made["lng"], made["address"]) == ("FAR", "G18", LNG, "FAR号")


def test_a_report_without_a_place_is_the_desks(town: Scene) -> None:
    made = reported(town)
    assert (made["grid"], made["lng"]) == (None, None)


def test_an_outside_number_makes_one_ticket(town: Scene) -> None:
    outside = Outside("12345", "SZ-2026-0001")
    first = reported(town, source="outside", outside=outside)
    town.clock.advance(HOUR)
    again = reported(town, SAID._replace(title="又一次"), source="outside", outside=outside)
    assert again["id"] == first["id"]
    assert len(town.tickets) == 1
    assert (first["source_system"], first["outside_number"]) == outside
    assert reported(town, source="12345", outside=Outside("12345", "SZ-2026-0002"))["id"] != first["id"]


def test_critical_is_a_matter_of_life_unless_it_is_said_not_to_be(town: Scene) -> None:
    assert reported(town, SAID._replace(severity=Severity.CRITICAL))["life_safety"]
    assert not reported(town, SAID._replace(severity=Severity.CRITICAL, life_safety=False))["life_safety"]


def test_alerts_join_a_report_of_their_hazard_at_their_site_once_somebody_was_sent(town: Scene) -> None:
    reported(town, SAID._replace(site="PLANT", hazard="flood"))
    for action in ("verify", "register", "dispatch"):
        town.move(action, "DISP-1")
    town.detect("PLANT-1", rule="flood")
    assert len(town.tickets) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"title": " "}, "needs_title"),
        ({"severity": 0}, "unknown_severity"),
        ({"category": "网格党建"}, "unknown_category"),
        ({"category": "volcano"}, "unknown_category"),
        ({"class_code": "C99"}, "unknown_class"),
        ({"component_code": "12x"}, "bad_component"),
        ({"site": "GHOST"}, "unknown_site"),
        ({"hazard": "volcano"}, "unknown_hazard"),
        ({"hazard": ""}, "unknown_hazard"),
        ({"lng": LNG}, "bad_position"),
        ({"lng": LAT, "lat": LNG}, "bad_position"),
        ({"lng": float("nan"), "lat": LAT}, "bad_position"),
    ],
)
def test_what_makes_no_ticket_says_why(town: Scene, wrong: dict[str, Any], reason: str) -> None:
    with writing(town.engine) as connection:
        retire_category(connection, "网格党建", "root", 1)
    with pytest.raises(ReportRefused) as caught:
        reported(town, SAID._replace(**wrong))
    assert caught.value.reason == reason
    assert town.tickets == []
    assert town.rows(tables.ticket_number) == []


@pytest.mark.parametrize("hazard", KNOWN_HAZARDS)
def test_every_hazard_of_the_rules_can_be_reported_and_other(town: Scene, hazard: str) -> None:
    assert reported(town, SAID._replace(hazard=hazard))["hazard"] == hazard


def test_a_text_is_kept_as_it_can_be_sent_and_shown(town: Scene) -> None:
    made = reported(town, SAID._replace(title="井盖\x00\r\n丢失\u202e", description="一\x00\r\n二", reporter="王\n"))
    assert (made["title"], made["description"], made["reporter"]) == ("井盖 丢失", "一\n二", "王")
    town.move("verify", "DISP-1", opinion="\x00核实\r\n无误 ")
    assert town.rows(tables.ticket_log)[-1]["opinion"] == "核实\n无误"


def test_a_double_click_makes_one_ticket(town: Scene) -> None:
    made = reported(town)
    assert reported(town)["number"] == made["number"]
    assert reported(town, SAID._replace(reporter="李"))["number"] != made["number"]
    town.clock.advance(2 * MINUTE)
    assert reported(town)["number"] != made["number"]
    assert len(town.tickets) == 3


def test_an_outside_ticket_needs_both_its_names(town: Scene) -> None:
    with pytest.raises(ReportRefused, match="needs_number"):
        reported(town, outside=Outside("12345", " "))


def test_a_class_of_the_towns_own(town: Scene) -> None:
    with writing(town.engine) as connection:
        put_class(connection, ClassCode("E06-01", "河道漂浮物", "Floating waste"), "root", 1)
    assert reported(town, SAID._replace(class_code="E06-01"))["class_code"] == "E06-01"
