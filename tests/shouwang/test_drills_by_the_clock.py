"""The desk clock begins and ends drills by time alone, each once, whoever else looks at the same moment."""

import threading

import pytest
from sqlalchemy import Engine

from alerts.drill_schedule import DrillSchedule
from alerts.drills import define
from alerts.escalation_tables import drill_run, escalation
from alerts.settings import DEFAULTS
from core.clock import MINUTE
from core.database import writing
from core.metrics import Metrics
from shouwang.dispatch_role import CHORES
from shouwang.escalating import DeskClock
from tests.alerts.desk_scene import MONDAY_TEN, RULES, Scene


@pytest.fixture
def scene(engine: Engine) -> Scene:
    made = Scene(engine)
    made.clock.value = MONDAY_TEN - MINUTE
    with writing(engine) as connection:
        schedule = DrillSchedule((1,), "10:00")
        define(connection, made.town, "演练", "li", made.clock.now(), ("T-G17",), schedule, 10 * MINUTE)
    return made


def desk_clock(scene: Scene) -> DeskClock:
    return DeskClock(scene.engine, scene.clock, Metrics(), lambda: scene.town, lambda: RULES, DEFAULTS, CHORES)


def test_a_drill_comes_and_goes_by_the_clock(scene: Scene) -> None:
    clock = desk_clock(scene)
    for at in (MONDAY_TEN - 1, MONDAY_TEN, MONDAY_TEN + MINUTE):
        clock.step(at)
    (ticket,) = scene.tickets
    assert (ticket["status"], len(scene.notices)) == ("dispatched", 4)
    assert [row["why"] for row in scene.rows(escalation)] == ["drill_has_its_own_window"]
    clock.step(MONDAY_TEN + 10 * MINUTE)
    assert scene.tickets[0]["status"] == "closed"
    assert scene.rows(drill_run)[0]["report"]["counts"]["not_reached"] == 4
    assert clock.last_audit is not None
    assert clock.last_audit.findings == ()


def test_two_clocks_begin_it_once(scene: Scene) -> None:
    clocks = [desk_clock(scene) for _ in range(4)]
    together = threading.Barrier(len(clocks))

    def strike(clock: DeskClock) -> None:
        together.wait()
        clock.step(MONDAY_TEN)

    threads = [threading.Thread(target=strike, args=(clock,)) for clock in clocks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(scene.rows(drill_run)) == 1
    assert len(scene.notices) == 4
