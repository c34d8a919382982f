"""Whoever gets a ticket by hand reads what the first who got it read."""

import pytest

from alerts import tables
from core.clock import MINUTE
from core.database import writing
from detectors.rules import record_version
from detectors.words import Change, Severity
from tests.alerts.desk_scene import MONDAY_TEN, RULES, Scene

SAID = ("title_zh", "device", "value", "limit", "onset", "severity", "life_safety", "advice_zh", "advice_en")


@pytest.fixture
def sent(scene: Scene) -> Scene:
    """A dispatched ticket of a recorded version of the rules, with a lesser alert beside the one that made it."""
    with writing(scene.engine) as connection:
        version = record_version(connection, RULES, "test", "first", MONDAY_TEN)
    scene.detect("PLANT-2", severity=Severity.WARNING, value=12.0, limit=10.0, rules_version=version)
    scene.detect("PLANT-1", severity=Severity.CRITICAL, value=60.0, limit=50.0, rules_version=version)
    return scene


def said(scene: Scene, recipient: str, cause: str) -> list[tuple[object, ...]]:
    """What the notices of a cause told a recipient, the newest last."""
    found = [row["body"] for row in scene.notices if (row["recipient"], row["cause"]) == (recipient, cause)]
    return [tuple(body[name] for name in SAID) for body in found]


def recover(scene: Scene, *devices: str) -> None:
    for device in devices:
        scene.detect(device, Change.CLEARED)


def go_back(scene: Scene) -> None:
    scene.move("accept", "G17-01")
    scene.move("return", "G17-01", opinion="not ours")


@pytest.mark.parametrize("recovered", [(), ("PLANT-2",), ("PLANT-1", "PLANT-2")], ids=["open", "lesser", "all"])
@pytest.mark.parametrize("action", ["reassign", "dispatch"])
def test_a_ticket_sent_by_hand_tells_what_its_worst_alert_measured(
    sent: Scene, action: str, recovered: tuple[str, ...]
) -> None:
    (first,) = said(sent, "ST1-01", "joined")
    recover(sent, *recovered)
    if action == "dispatch":
        go_back(sent)
    sent.clock.advance(MINUTE)
    sent.move(action, "DISP-1", team="T-G18")
    assert said(sent, "G18-01", "dispatched") == [first]
    assert first[1:4] == ("PLANT-1", 60.0, 50.0)
    assert first[-2:] == ("勿单独进入", "never go in alone")


def test_what_is_still_open_goes_before_what_was_worse(sent: Scene) -> None:
    recover(sent, "PLANT-1")
    sent.move("reassign", "DISP-1", team="T-G18")
    assert [told[1:4] for told in said(sent, "G18-01", "dispatched")] == [("PLANT-2", 12.0, 10.0)]


def test_the_desk_and_a_rework_read_it_too_however_often(sent: Scene) -> None:
    go_back(sent)
    assert [told[1:4] for told in said(sent, "DISP-1", "returned")] == [("PLANT-1", 60.0, 50.0)]
    sent.move("dispatch", "DISP-1")
    sent.handle()
    for _ in range(2):
        sent.clock.advance(MINUTE)
        sent.move("rework", "DISP-1", opinion="still smells")
        sent.move("handle", "G17-01")
    assert [told[1:4] for told in said(sent, "G17-01", "rework")] == [("PLANT-1", 60.0, 50.0)] * 2


def test_the_log_of_a_reassignment_says_to_whom(sent: Scene) -> None:
    sent.move("reassign", "DISP-1", team="T-G18", station="ST2")
    details = [row["details"] for row in sent.rows(tables.ticket_log) if row["action"] == "reassign"]
    assert details == [{"team": "T-G18", "station": "ST2"}]
