"""Ended as a false alarm while the reading stays bad: raised again after a while, linked, later each time, or held."""

import pytest
from sqlalchemy import Engine

from alerts.desk_work import DeskWork
from alerts.matching import matcher
from alerts.quiet_limits import Asked
from alerts.quieting import set_quiet
from alerts.still_bad import raise_again
from core.clock import HOUR, MINUTE, SECOND
from core.database import writing
from core.metrics import Metrics
from detectors.words import Change
from shouwang.desk_settings import DeskSection
from shouwang.dispatch_role import CHORES
from shouwang.escalating import DeskClock
from tests.alerts.desk_scene import RULES, Scene


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene(engine)


def raised(scene: Scene) -> int:
    with writing(scene.engine) as connection:
        return raise_again(DeskWork(connection, scene.town, scene.clock.now(), scene.settings, RULES.rules))


def end(scene: Scene, number: int = 1, action: str = "false_alarm") -> None:
    scene.move(action, "DISP-1", number, cause="test", opinion="mistaken")


@pytest.mark.parametrize(
    ("rule", "action", "wait"),
    [("gas.lel", "false_alarm", 30 * MINUTE), ("noise", "false_alarm", 4 * HOUR), ("gas.lel", "void", 30 * MINUTE)],
)
def test_it_is_raised_again_once_on_a_ticket_that_names_the_first(
    scene: Scene, rule: str, action: str, wait: int
) -> None:
    scene.detect("PLANT-1", rule=rule)
    end(scene, action=action)
    told = len(scene.notices)
    scene.clock.advance(wait - SECOND)
    assert raised(scene) == 0
    scene.clock.advance(SECOND)
    assert raised(scene) == 1
    assert raised(scene) == 0
    first, second = scene.tickets
    assert (second["linked_to"], second["status"]) == (first["id"], "dispatched")
    assert (scene.alerts[0]["ticket"], scene.alerts[0]["reopened"]) == (second["id"], 1)
    assert len(scene.notices) > told


def test_each_time_it_waits_twice_as_long(scene: Scene) -> None:
    scene.detect("PLANT-1")
    for number, wait in ((1, 30), (2, 60), (3, 120), (4, 240), (5, 240)):
        end(scene, number)
        scene.clock.advance(wait * MINUTE - SECOND)
        assert raised(scene) == 0
        scene.clock.advance(SECOND)
        assert raised(scene) == 1


def test_what_recovered_meanwhile_is_over(scene: Scene) -> None:
    scene.detect("PLANT-1")
    end(scene)
    scene.detect("PLANT-1", Change.CLEARED)
    scene.clock.advance(HOUR)
    assert raised(scene) == 0


def test_what_is_silenced_is_held_and_heard_at_its_end(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise")
    end(scene)
    now = scene.clock.now()
    asked = Asked("silence", (matcher("subject", "=", "PLANT-1"),), now, now + 8 * HOUR, "标定", False)
    with writing(scene.engine) as connection:
        set_quiet(connection, asked, "LEAD-1", "leader", now)
    scene.clock.advance(5 * HOUR)
    assert raised(scene) == 1
    assert (len(scene.tickets), scene.alerts[0]["held"]) == (1, "silence")
    assert raised(scene) == 0
    scene.clock.advance(3 * HOUR)
    pass_second(scene)
    assert [each["linked_to"] for each in scene.tickets] == [None, 1]


def pass_second(scene: Scene) -> None:
    clock = DeskClock(scene.engine, scene.clock, Metrics(), lambda: scene.town, lambda: RULES, scene.settings, CHORES)
    clock.step(scene.clock.advance(SECOND))


def test_several_of_one_place_share_the_ticket(scene: Scene) -> None:
    for device in ("PLANT-1", "PLANT-2"):
        scene.detect(device)
    assert len(scene.tickets) == 1
    end(scene)
    scene.clock.advance(HOUR)
    assert raised(scene) == 2
    assert len(scene.tickets) == 2


def test_the_desk_clock_does_it_by_the_towns_own_time(engine: Engine) -> None:
    scene = Scene(engine, DeskSection.model_validate({"still_bad": {"life_safety": "5 min"}}).policies())
    scene.detect("PLANT-1")
    end(scene)
    scene.clock.advance(5 * MINUTE)
    for _ in range(10):
        pass_second(scene)
    assert [each["linked_to"] for each in scene.tickets] == [None, 1]
