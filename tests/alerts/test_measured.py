"""An alert's value and limit belong to the severity that it is shown with."""

from typing import Any

from alerts.desk import Applied
from alerts.moves import clear_alert_by_hand
from core.database import writing
from detectors.words import Change, Severity
from tests.alerts.desk_scene import Scene

OPENED, UPDATED = Change.OPENED, Change.UPDATED
ALARM, CRITICAL, WARNING = Severity.ALARM, Severity.CRITICAL, Severity.WARNING


def shown(scene: Scene) -> tuple[Severity, Severity, float, float, object]:
    """An alert's highest severity and level, and what stands beside them."""
    (alert,) = scene.alerts
    severity, level = Severity(alert["severity"]), Severity(alert["level"])
    return severity, level, alert["value"], alert["limit"], alert["evidence"]["rise"]


def measure(scene: Scene, change: Change, severity: Severity, value: float, limit: float, **more: Any) -> Applied:
    return scene.detect(
        "PLANT-1", change, severity=severity, value=value, limit=limit, evidence={"rise": value}, **more
    )


def test_value_and_limit_are_those_of_the_highest_severity(scene: Scene) -> None:
    measure(scene, OPENED, ALARM, 31.0, 25.0)
    measure(scene, UPDATED, ALARM, 44.0, 25.0)
    assert shown(scene) == (ALARM, ALARM, 31.0, 25.0, 31.0)
    measure(scene, UPDATED, CRITICAL, 60.0, 50.0)
    assert shown(scene) == (CRITICAL, CRITICAL, 60.0, 50.0, 60.0)
    measure(scene, UPDATED, ALARM, 43.4, 25.0)
    assert shown(scene) == (CRITICAL, ALARM, 60.0, 50.0, 60.0)
    measure(scene, UPDATED, CRITICAL, 52.0, 50.0)
    assert shown(scene) == (CRITICAL, CRITICAL, 60.0, 50.0, 60.0)
    raised = [notice["body"] for notice in scene.notices if notice["cause"] == "raised"]
    assert {(body["severity"], body["value"], body["limit"]) for body in raised} == {(CRITICAL, 60.0, 50.0)}


def test_an_alert_that_is_paged_after_its_peak_says_the_peak(scene: Scene) -> None:
    measure(scene, OPENED, ALARM, 31.0, 25.0, page=False)
    measure(scene, UPDATED, CRITICAL, 60.0, 50.0, page=False)
    measure(scene, UPDATED, WARNING, 21.0, 20.0, page=False)
    assert shown(scene) == (CRITICAL, WARNING, 60.0, 50.0, 60.0)
    assert measure(scene, UPDATED, ALARM, 43.4, 25.0).paged == 1
    assert shown(scene) == (CRITICAL, ALARM, 60.0, 50.0, 60.0)
    told = {(body["severity"], body["value"], body["limit"]) for body in (row["body"] for row in scene.notices)}
    assert told == {(CRITICAL, 60.0, 50.0)}


def test_a_rise_that_is_only_recorded_leaves_value_and_limit(scene: Scene) -> None:
    measure(scene, OPENED, ALARM, 31.0, 25.0)
    measure(scene, UPDATED, CRITICAL, 60.0, 50.0, page=False)
    assert shown(scene) == (ALARM, CRITICAL, 31.0, 25.0, 31.0)


def test_a_reopening_at_a_lower_severity_keeps_the_highest(scene: Scene) -> None:
    measure(scene, OPENED, CRITICAL, 60.0, 50.0)
    with writing(scene.engine) as connection:
        clear_alert_by_hand(connection, 1, "DISP-1", scene.clock.now(), scene.town)
    measure(scene, OPENED, ALARM, 43.4, 25.0)
    assert shown(scene) == (CRITICAL, ALARM, 60.0, 50.0, 60.0)
