"""延期 and 挂账: asked for, granted, refused, moot; never after the time is over, twice at most, back by itself."""

from typing import Any

import pytest

from alerts.case_tables import ticket_request
from alerts.moves import MoveRefused, resume_due
from core.clock import DAY, HOUR, MINUTE
from core.database import writing
from detectors.words import Change, Severity
from tests.alerts.desk_scene import Scene

WHY: dict[str, Any] = {"opinion": "parts are on order"}


@pytest.fixture
def accepted(scene: Scene) -> Scene:
    """A 报警 that G17-01 has accepted: done in 4 working hours."""
    scene.detect("PLANT-1", rule="noise", severity=Severity.ALARM)
    scene.move("accept", "G17-01")
    return scene


def refused(scene: Scene, action: str, who: str, **more: Any) -> str:
    with pytest.raises(MoveRefused) as caught:
        scene.move(action, who, **more)
    return caught.value.reason


def requests(scene: Scene) -> list[tuple[str, str]]:
    return [(row["kind"], row["state"]) for row in scene.rows(ticket_request)]


def causes(scene: Scene) -> list[tuple[str, str]]:
    return [(each["recipient"], each["cause"]) for each in scene.notices][-1:]


def test_an_extension_is_asked_for_and_adds_the_original_limit(accepted: Scene) -> None:
    before = accepted.tickets[0]["done_by"]
    assert accepted.move("ask_extension", "G17-01", **WHY).status == "accepted"
    assert requests(accepted) == [("extension", "waiting")]
    assert causes(accepted) == [("DISP-1", "extension_asked")]
    accepted.move("extend", "LEAD-1")
    (ticket,) = accepted.tickets
    assert ticket["done_by"] == before + 4 * HOUR
    assert ticket["extensions"] == 1
    assert requests(accepted) == [("extension", "granted")]
    assert causes(accepted) == [("G17-01", "extended")]
    assert accepted.log[-2:] == ["ask_extension", "extend"]


def test_twice_at_most_and_never_when_it_is_overdue(accepted: Scene) -> None:
    for _ in range(2):
        accepted.clock.advance(2 * MINUTE)
        accepted.move("extend", "LEAD-1")
    accepted.clock.advance(2 * MINUTE)
    assert refused(accepted, "extend", "LEAD-1") == "extended_enough"
    assert accepted.tickets[0]["extensions"] == 2


def test_not_after_the_time_is_over(accepted: Scene) -> None:
    accepted.clock.advance(DAY)
    assert refused(accepted, "ask_extension", "G17-01", **WHY) == "overdue_already"
    assert refused(accepted, "extend", "LEAD-1") == "overdue_already"


def test_a_double_tap_extends_once(accepted: Scene) -> None:
    accepted.move("extend", "LEAD-1")
    accepted.move("extend", "LEAD-1")
    assert accepted.tickets[0]["extensions"] == 1


def test_a_request_is_asked_for_once_and_can_be_refused(accepted: Scene) -> None:
    accepted.move("ask_extension", "G17-01", **WHY)
    accepted.clock.advance(2 * MINUTE)
    assert refused(accepted, "ask_extension", "G17-01", **WHY) == "asked_already"
    assert refused(accepted, "refuse_extension", "G17-01", **WHY) == "not_allowed"
    before = accepted.tickets[0]["done_by"]
    accepted.move("refuse_extension", "DISP-1", opinion="there is time enough")
    assert requests(accepted) == [("extension", "refused")]
    assert accepted.tickets[0]["done_by"] == before
    assert causes(accepted) == [("G17-01", "extension_refused")]


def test_what_was_asked_for_is_moot_once_the_work_is_done(accepted: Scene) -> None:
    accepted.move("ask_extension", "G17-01", **WHY)
    accepted.move("ask_suspension", "G17-01", until=accepted.clock.now() + DAY, **WHY)
    accepted.move("handle", "G17-01")
    assert requests(accepted) == [("extension", "moot"), ("suspension", "moot")]


def test_a_suspension_needs_words_an_end_and_a_judge(accepted: Scene) -> None:
    until = accepted.clock.now() + DAY
    assert refused(accepted, "suspend", "G17-01", until=until, **WHY) == "not_allowed"
    assert refused(accepted, "suspend", "LEAD-1", until=until) == "needs_opinion"
    assert refused(accepted, "suspend", "LEAD-1", **WHY) == "needs_until"
    for wrong in (accepted.clock.now(), accepted.clock.now() + 181 * DAY):
        assert refused(accepted, "suspend", "LEAD-1", until=wrong, **WHY) == "until_out_of_range"


def test_a_suspension_is_granted_as_it_was_asked_for_and_ends_by_itself(accepted: Scene) -> None:
    until = accepted.clock.now() + DAY
    accepted.move("ask_suspension", "G17-01", until=until, **WHY)
    assert accepted.move("suspend", "LEAD-1", opinion="granted").status == "suspended"
    assert requests(accepted) == [("suspension", "granted")]
    (ticket,) = accepted.tickets
    assert (ticket["suspended_from"], ticket["resume_at"]) == ("accepted", until)
    assert refused(accepted, "arrive", "G17-01") == "not_from_here"
    accepted.clock.advance(DAY - MINUTE)
    assert resumed(accepted) == 0
    accepted.clock.advance(MINUTE)
    assert resumed(accepted) == 1
    (ticket,) = accepted.tickets
    assert (ticket["status"], ticket["paused"], ticket["resume_at"]) == ("accepted", DAY, None)
    assert ("G17-01", "resumed") in [(each["recipient"], each["cause"]) for each in accepted.notices]
    assert accepted.log.count("resume") == 1


def resumed(scene: Scene) -> int:
    with writing(scene.engine) as connection:
        return resume_due(connection, scene.town, scene.clock.now())


def test_danger_to_life_is_not_put_off(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=Severity.CRITICAL)
    until = scene.clock.now() + DAY
    assert refused(scene, "suspend", "LEAD-1", until=until, **WHY) == "danger_stands"
    scene.detect("PLANT-1", Change.CLEARED)
    assert scene.move("suspend", "LEAD-1", until=until, **WHY).status == "suspended"


@pytest.mark.parametrize(("severity", "status"), [(Severity.ALARM, "suspended"), (Severity.CRITICAL, "accepted")])
def test_a_graver_alert_ends_a_suspension(accepted: Scene, severity: Severity, status: str) -> None:
    accepted.move("suspend", "LEAD-1", until=accepted.clock.now() + DAY, **WHY)
    accepted.clock.advance(HOUR)
    accepted.detect("PLANT-2", rule="noise", severity=severity)
    (ticket,) = accepted.tickets
    assert ticket["status"] == status
    assert ticket["paused"] == (HOUR if status == "accepted" else 0)


def test_who_ends_a_suspension_at_the_desk_leaves_it_there(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise")
    scene.move("return", "G17-01", opinion="not ours")
    scene.move("suspend", "DISP-1", until=scene.clock.now() + DAY, **WHY)
    assert scene.move("resume", "DISP-1").status == "registered"
    assert ("DISP-1", "resumed") in [(each["recipient"], each["cause"]) for each in scene.notices]
