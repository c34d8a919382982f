"""A ticket that nobody moves on reaches who must hear of it, each step once, on both databases."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, delete, update

from alerts import notice_words, tables
from alerts.auditor import audit, mend
from alerts.case_tables import ticket_timer
from alerts.escalating import run_due, run_ticket
from alerts.escalation import CAUSES, STAGES
from alerts.escalation_tables import escalation, escalation_run
from alerts.fallback import fall_back, stands_in
from alerts.notices import change_state
from alerts.one_writer import hold_desk
from core.clock import HOUR, MINUTE, SECOND
from core.database import reading, writing
from detectors.words import Change, Severity
from tests.alerts.desk_scene import MONDAY_TEN, RULES, Scene

CRITICAL = Severity.CRITICAL


def look(scene: Scene) -> int:
    """Run what is due now."""
    with writing(scene.engine) as connection:
        return run_due(connection, scene.town, RULES, scene.clock.now(), scene.settings)


def pass_time(scene: Scene, span: int, every: int = 10 * SECOND) -> None:
    """Let time go by, with somebody who looks every ten seconds."""
    for _ in range(span // every):
        scene.clock.advance(every)
        look(scene)


def row(scene: Scene, ticket: int = 1) -> dict[str, Any]:
    return next(each for each in scene.rows(escalation) if each["ticket"] == ticket)


def told(scene: Scene, cause: str) -> list[tuple[str, float]]:
    """Who was told for this cause, and at which minute."""
    return [
        (each["recipient"], (each["created_at"] - MONDAY_TEN) / MINUTE)
        for each in scene.notices
        if each["cause"] == cause
    ]


def findings(scene: Scene) -> list[str]:
    with reading(scene.engine) as connection:
        return [each.why for each in audit(connection, scene.clock.now(), scene.settings).findings]


def test_a_dead_mailbox_costs_the_next_in_rank_one_notice_and_not_one_at_each_repeat(scene: Scene) -> None:
    """Whoever can't be reached is tried at each repeat; who stands in was told once that it is theirs to look."""
    scene.detect("PLANT-1", severity=CRITICAL)
    dead: list[int] = []
    for _ in range(30):
        pass_time(scene, MINUTE)
        for each in scene.notices:
            if each["recipient"] == "DISP-1" and each["state"] == "queued":
                with writing(scene.engine) as connection:
                    ids = change_state(
                        connection, tables.notice.c.id == each["id"], "failed", error="refused_for_good 550"
                    )
                    fall_back(connection, each, scene.clock.now())
                dead += ids
    assert len(dead) > 3, "it is tried again at each repeat"
    instead = [each for each in scene.notices if each["instead_of"] in dead]
    assert [each["instead_of"] for each in instead] == [dead[0]]
    last = next(each for each in scene.notices if each["id"] == dead[-1])
    assert instead[0]["key"].rsplit(":", 3)[0] == stands_in(last)


def test_of_another_dispatch_the_next_in_rank_hears_again(scene: Scene) -> None:
    one = {"key": "1:not_accepted:7:4:0:100:900:person:DISP-1:mail", "cause": "not_accepted"}
    assert stands_in(one) == stands_in(one | {"key": one["key"].replace(":900:", ":950:")})
    assert stands_in(one) != stands_in(one | {"key": one["key"].replace(":100:", ":200:")})
    rework = {"key": "1:rework:-:4:0:100:900:person:G17-01:mail", "cause": "rework"}
    assert stands_in(rework) != stands_in(rework | {"key": rework["key"].replace(":900:", ":950:")})


def test_a_ticket_gets_its_next_step_with_its_dispatch(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    kept = row(scene)
    assert (kept["state"], kept["stage"], kept["next_at"]) == ("scheduled", "accept", MONDAY_TEN + 2 * MINUTE)
    assert findings(scene) == []


def test_nobody_accepts_the_next_rank_the_station_the_leader_and_the_centre_hear_in_turn(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    pass_time(scene, 8 * MINUTE)
    heard = told(scene, "not_accepted")
    assert [minute for _, minute in heard] == sorted(minute for _, minute in heard)
    assert ("LEAD-1", 5.0) in heard
    assert ("DISP-1", 7.0) in heard
    assert {minute for _, minute in heard} == {2.0, 4.0, 5.0, 7.0}
    ran = [(each["step"], each["did"]) for each in scene.rows(escalation_run)]
    assert ran == [(0, "notify"), (1, "notify"), (2, "notify"), (3, "notify")]
    assert scene.log.count("escalate") == 4


def test_acceptance_ends_it_and_missing_arrival_begins_its_own(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.clock.advance(MINUTE)
    scene.move("accept", "G17-01")
    assert row(scene)["stage"] == "arrive"
    pass_time(scene, 28 * MINUTE)
    assert told(scene, "not_accepted") == []
    pass_time(scene, 2 * MINUTE)
    assert {who for who, _ in told(scene, "not_arrived")} == {"G17-01", "LEAD-1"}
    scene.move("arrive", "G17-01")
    assert row(scene)["stage"] == "handle"
    pass_time(scene, 2 * HOUR, MINUTE)
    assert "LEAD-1" in {who for who, _ in told(scene, "not_handled")}
    for action, who in (("handle", "G17-01"), ("check", "DISP-1"), ("close", "DISP-1")):
        scene.move(action, who)
        stage = {"handle": "check", "check": "close", "close": "close"}[action]
        assert row(scene)["stage"] == stage
    assert row(scene)["state"] == "over"
    assert not look(scene)


def test_after_downtime_only_the_latest_step_runs_and_the_log_says_so(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.clock.advance(20 * MINUTE)
    assert look(scene) == 1
    assert {who for who, _ in told(scene, "not_accepted")} == {"DISP-1"}
    assert scene.log.count("escalation_skipped") == 3
    assert [each["did"] for each in scene.rows(escalation_run)] == ["skipped", "skipped", "skipped", "repeat"]
    assert row(scene)["next_at"] == MONDAY_TEN + 22 * MINUTE


def test_the_same_moment_twice_does_nothing_twice(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.clock.advance(2 * MINUTE)
    assert look(scene) == 1
    before = len(scene.notices)
    assert look(scene) == 0
    with writing(scene.engine) as connection:
        assert not run_ticket(connection, scene.town, RULES, 1, scene.clock.now())
    assert len(scene.notices) == before


def test_a_rise_begins_the_graver_policy_at_once(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=Severity.ALARM)
    scene.clock.advance(3 * MINUTE)
    scene.detect("PLANT-1", Change.UPDATED, severity=CRITICAL)
    assert row(scene)["next_at"] == MONDAY_TEN + 5 * MINUTE


def test_a_nights_warning_is_not_late_before_the_morning(scene: Scene) -> None:
    scene.clock.advance(13 * HOUR)
    scene.detect("PLANT-1", severity=Severity.WARNING, rule="noise")
    kept = row(scene)
    assert kept["why"] == "waits_for_morning"
    assert kept["next_at"] == MONDAY_TEN + 24 * HOUR
    assert findings(scene) == []


def test_a_ticket_that_nobody_could_be_sent_to_reminds_the_desk(scene: Scene) -> None:
    scene.detect("OUTSIDE-1", severity=CRITICAL)
    if scene.tickets[0]["status"] == "registered":
        assert row(scene)["stage"] == "assign"
        pass_time(scene, 3 * MINUTE)
        assert "DISP-1" in {who for who, _ in told(scene, "not_assigned")}


def test_what_went_past_the_desk_is_found_and_mended(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.detect("FAR-1", severity=CRITICAL)
    with writing(scene.engine) as connection:
        connection.execute(delete(escalation).where(escalation.c.ticket == 1))
        connection.execute(update(tables.ticket).where(tables.ticket.c.id == 2).values(status="handled"))
    assert findings(scene) == ["no_row", "astray"]
    with writing(scene.engine) as connection:
        now = scene.clock.now()
        mend(connection, audit(connection, now, scene.settings).findings, now, scene.settings)
    assert findings(scene) == []
    assert row(scene, 2)["stage"] == "check"


def test_a_timer_that_is_gone_is_found_and_started(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    due = scene.tickets[0]["accept_by"]
    with writing(scene.engine) as connection:
        connection.execute(delete(ticket_timer).where(ticket_timer.c.stage == "accept"))
    assert findings(scene) == ["no_timer"]
    with writing(scene.engine) as connection:
        now = scene.clock.now()
        mend(connection, audit(connection, now, scene.settings).findings, now, scene.settings)
    (timer,) = (each for each in scene.rows(ticket_timer) if each["stage"] == "accept")
    assert (timer["state"], timer["due_at"]) == ("running", due)
    assert findings(scene) == []


def test_a_step_that_does_not_run_is_found(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.clock.advance(4 * MINUTE)
    assert findings(scene) == ["late"]


def test_a_policy_edited_later_leaves_the_ticket_its_own(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.settings = replace(scene.settings, escalation=replace(scene.settings.escalation, name="other", steps={}))
    pass_time(scene, 3 * MINUTE)
    assert row(scene)["policy"]["name"] == "default-1"
    assert len(scene.rows(escalation_run)) == 1


def test_a_clock_that_is_set_back_makes_nobody_wait_until_it_is_there_again(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.settings = replace(scene.settings, escalation=replace(scene.settings.escalation, name="other", steps={}))
    pass_time(scene, 3 * HOUR)
    scene.clock.advance(-2 * HOUR)
    assert findings(scene) == ["astray"]
    now = scene.clock.now()
    with writing(scene.engine) as connection:
        mend(connection, audit(connection, now, scene.settings).findings, now, scene.settings)
    assert (row(scene)["next_at"], row(scene)["policy"]["name"]) == (now + 2 * MINUTE, "default-1")
    pass_time(scene, 2 * MINUTE)
    assert scene.rows(escalation_run)[-1]["due_at"] == now + 2 * MINUTE
    assert findings(scene) == []


def test_two_that_look_at_once_run_each_step_once(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.detect("FAR-1", severity=CRITICAL)
    scene.clock.advance(2 * MINUTE)
    both, done = threading.Barrier(4), list[int]()

    def one() -> None:
        both.wait(10)
        done.append(look(scene))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == [0, 0, 0, 2]
    assert len(scene.rows(escalation_run)) == 2


def test_who_looks_second_waits_for_who_holds_the_desk(engine: Engine, scene: Scene) -> None:
    if engine.dialect.name != "postgresql":
        return
    scene.detect("PLANT-1", severity=CRITICAL)
    scene.clock.advance(2 * MINUTE)
    second = threading.Thread(target=look, args=(scene,))
    with writing(engine) as connection:
        hold_desk(connection)
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert run_due(connection, scene.town, RULES, scene.clock.now()) == 1
    second.join(10)
    assert len(scene.rows(escalation_run)) == 1


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_words_in_a_notice(stage: str) -> None:
    assert CAUSES[stage] in notice_words.CAUSES
