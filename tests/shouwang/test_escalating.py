"""The desk clock: escalates, resumes and releases by time alone; one failure holds up nobody else; the audit tells."""

import threading
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, update

from alerts import escalating as steps
from alerts.escalation_tables import escalation, escalation_run
from alerts.settings import DEFAULTS, DeskSettings
from alerts.tables import ticket
from alerts.town_view import TownView
from core.clock import HOUR, MINUTE, SECOND, ManualClock
from core.database import writing
from core.metrics import Metrics
from detectors.rules import RuleSet
from detectors.words import Severity
from shouwang.dispatch_role import CHORES
from shouwang.escalating import Chore, DeskClock
from tests.alerts.desk_scene import RULES, Scene

CRITICAL = Severity.CRITICAL


class Stand:
    """A desk clock over the scene."""

    def __init__(self, scene: Scene, *chores: Chore) -> None:
        self.scene, self.metrics = scene, Metrics()
        clock, engine = scene.clock, scene.engine
        self.clock = DeskClock(engine, clock, self.metrics, lambda: scene.town, lambda: RULES, DEFAULTS, chores)

    def pass_time(self, span: int) -> None:
        self.clock.step(self.scene.clock.advance(span))

    def gauge(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"shouwang_escalation_{name}")


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene(engine)


def test_a_step_runs_when_it_is_due_and_once(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    stand = Stand(scene)
    stand.pass_time(2 * MINUTE - SECOND)
    assert scene.rows(escalation_run) == []
    stand.pass_time(SECOND)
    stand.pass_time(SECOND)
    assert len(scene.rows(escalation_run)) == 1


def test_a_ticket_that_fails_keeps_no_other_from_its_turn(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.detect("FAR-1", severity=CRITICAL)
    real = steps.plan_again

    def poisoned(work: Any, row: Any) -> Any:
        if row["id"] == 1:
            raise RuntimeError("a row that nobody foresaw")
        return real(work, row)

    monkeypatch.setattr(steps, "plan_again", poisoned)
    ran: list[int] = []
    stand = Stand(scene, lambda _connection, _town, _rules, now, _settings: ran.append(now))
    with pytest.raises(RuntimeError, match="nobody foresaw"):
        stand.pass_time(2 * MINUTE)
    assert {row["ticket"] for row in scene.rows(escalation_run)} == {2}
    assert ran
    assert stand.clock.last_audit is not None, "the auditor looks all the same"
    with pytest.raises(RuntimeError, match="nobody foresaw"):
        stand.pass_time(2 * MINUTE)
    assert [(each.ticket, each.why) for each in stand.clock.last_audit.findings] == [(1, "late")]
    assert stand.gauge("findings") == 1
    assert stand.clock.unsure() == 1
    monkeypatch.setattr(steps, "plan_again", real)
    stand.pass_time(SECOND)
    stand.pass_time(MINUTE)
    assert stand.clock.unsure() == 0


def test_chores_that_fail_are_told_and_the_others_done(scene: Scene) -> None:
    done: list[str] = []

    def failing(_connection: Connection, _town: TownView, _rules: RuleSet, _now: int, _settings: DeskSettings) -> None:
        raise ValueError("no")

    stand = Stand(scene, failing, lambda *_: done.append("second"))
    with pytest.raises(ValueError, match="no"):
        stand.pass_time(SECOND)
    assert done == ["second"]


def test_tickets_of_an_older_version_get_a_first_step_counted_from_now(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    with writing(scene.engine) as connection:
        connection.execute(delete(escalation))
    scene.clock.advance(3 * HOUR)
    stand = Stand(scene)
    assert stand.clock.adopt(scene.clock.now()) == 1
    stand.pass_time(SECOND)
    assert scene.rows(escalation_run) == []
    assert stand.clock.unsure() == 0


def test_a_start_follows_the_settings_and_later_the_auditor_tells(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    astray = update(escalation).values(next_at=escalation.c.next_at + HOUR)
    stand = Stand(scene)
    for found in (1, 0):
        with writing(scene.engine) as connection:
            connection.execute(astray)
        assert stand.clock.adopt(scene.clock.now()) == found
    stand.pass_time(SECOND)
    assert stand.clock.unsure() == 1


def test_the_audit_finds_says_and_mends_once_a_minute(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    stand = Stand(scene)
    assert stand.gauge("findings") is None
    stand.pass_time(SECOND)
    assert stand.gauge("findings") == 0
    with writing(scene.engine) as connection:
        connection.execute(update(ticket).values(status="handled", handled_at=scene.clock.now()))
    stand.pass_time(30 * SECOND)
    assert stand.clock.unsure() == 0
    stand.pass_time(30 * SECOND)
    assert stand.clock.unsure() == 1
    stand.pass_time(MINUTE)
    assert stand.clock.unsure() == 0
    assert scene.rows(escalation)[0]["stage"] == "check"


def test_a_standstill_is_unsure_but_a_clock_that_jumps_is_not(scene: Scene) -> None:
    stand = Stand(scene)
    assert stand.clock.unsure() is None
    stand.pass_time(SECOND)
    scene.clock.advance(10 * MINUTE)
    assert stand.clock.unsure() == 0
    stand.pass_time(0)
    scene.clock.advance(10 * MINUTE)
    assert stand.clock.unsure() == 0
    scene.clock.advance(MINUTE)
    assert stand.clock.unsure() == 1


def test_a_clock_that_is_set_back_keeps_nobody_from_looking(scene: Scene) -> None:
    stand = Stand(scene)
    stand.pass_time(HOUR)
    stand.pass_time(-HOUR // 2)
    assert stand.clock.last_audit
    assert stand.clock.last_audit.at == scene.clock.now()


def test_a_suspended_ticket_resumes_by_itself_and_escalates_again(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=Severity.ALARM, rule="noise")
    scene.move("accept", "G17-01")
    until = scene.clock.now() + 2 * HOUR
    scene.move("suspend", "LEAD-1", opinion="waits for a part", until=until)
    stand = Stand(scene, *CHORES)
    stand.pass_time(HOUR)
    assert scene.tickets[0]["status"] == "suspended"
    assert stand.clock.unsure() == 0
    stand.pass_time(HOUR)
    assert scene.tickets[0]["status"] == "accepted"
    stand.pass_time(MINUTE)
    assert scene.rows(escalation)[0]["stage"] == "handle"
    assert stand.clock.unsure() == 0


def test_it_runs_until_it_is_told_to_end(scene: Scene, clock: ManualClock) -> None:
    stand = Stand(scene)
    ending = threading.Event()
    worker = threading.Thread(target=stand.clock.run, args=(ending,))
    worker.start()
    for _ in range(100):
        if stand.clock.last_audit:
            break
        ending.wait(0.05)
    ending.set()
    worker.join(5)
    assert not worker.is_alive()
    assert stand.clock.last_audit
