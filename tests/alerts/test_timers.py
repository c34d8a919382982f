"""Each stage of a ticket has a timer on its own clock: started, paused, overdue, done or undone."""

from typing import Any

import pytest
from sqlalchemy import update

from alerts import tables
from alerts.case_tables import ticket_timer
from alerts.deadlines import Span, later, passed
from alerts.timers import mark_overdue, timers_of
from alerts.working_time import WorkCalendar
from core.clock import DAY, HOUR, MINUTE
from core.database import reading, writing
from detectors.words import Severity
from tests.alerts.desk_scene import MONDAY_TEN, Scene, at_local

CALENDAR = WorkCalendar()


def timers(scene: Scene, ticket: int = 1) -> dict[str, list[str]]:
    """The states of each stage's timers, in the order in which they started."""
    found: dict[str, list[str]] = {}
    with reading(scene.engine) as connection:
        for row in timers_of(connection, ticket):
            found.setdefault(row["stage"], []).append(row["state"])
    return found


def timer(scene: Scene, stage: str) -> dict[str, Any]:
    return [row for row in scene.rows(ticket_timer) if row["stage"] == stage][-1]


@pytest.fixture
def sent(scene: Scene) -> Scene:
    """A dispatched 报警: accept in 15 min day and night, done in 4 working hours."""
    scene.detect("PLANT-1", rule="noise", severity=Severity.ALARM)
    return scene


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        (Span("running", 2 * HOUR), "2026-09-30 23:00", "2026-10-01 01:00"),
        (Span("hours", 2 * HOUR), "2026-09-30 17:00", "2026-10-08 09:00"),
        (Span("days", 1), "2026-10-09 12:00", "2026-10-10 12:00"),  # a Saturday that is worked
        (Span("natural", 3), "2026-09-30 17:00", "2026-10-03 17:00"),
    ],
)
def test_the_four_clocks(span: Span, start: str, end: str) -> None:
    assert span.after(at_local(start), CALENDAR) == at_local(end)
    amount = {"running": 2 * HOUR, "hours": 2 * HOUR, "days": CALENDAR.day_span, "natural": 3 * DAY}[span.clock]
    assert passed(span.clock, at_local(start), at_local(end), CALENDAR) == amount
    assert later(span.clock, at_local(start), amount, CALENDAR) == at_local(end)
    assert str(span)


def test_a_ticket_of_a_device_is_timed_from_its_dispatch(sent: Scene) -> None:
    assert timers(sent) == {"accept": ["running"], "arrive": ["running"], "handle": ["running"]}
    (ticket,) = sent.tickets
    assert ticket["verified_at"] == ticket["registered_at"] == MONDAY_TEN
    assert timer(sent, "accept")["due_at"] == ticket["accept_by"]
    assert timer(sent, "handle") | {"id": 0} == {
        "id": 0,
        "ticket": 1,
        "stage": "handle",
        "state": "running",
        "clock": "hours",
        "started_at": MONDAY_TEN,
        "due_at": ticket["done_by"],
        "paused_at": None,
        "paused": 0,
        "ended_at": None,
        "rule": "default-1 alarm: accept 15 min, done 4 h working",
    }
    assert timer(sent, "arrive")["due_at"] is None, "nothing is demanded: only measured"


def test_the_way_to_the_end_leaves_every_stage_done(sent: Scene) -> None:
    sent.finish()
    assert timers(sent) == {"accept": ["done"], "arrive": ["done"], "handle": ["done"], "check": ["done"]}
    assert all(row["ended_at"] == MONDAY_TEN for row in sent.rows(ticket_timer))


def test_what_ends_late_stays_overdue(sent: Scene) -> None:
    sent.clock.advance(16 * MINUTE)
    with writing(sent.engine) as connection:
        assert mark_overdue(connection, sent.clock.now()) == 1
        assert mark_overdue(connection, sent.clock.now()) == 0
    assert timers(sent)["accept"] == ["overdue"]
    sent.move("accept", "G17-01")
    assert timers(sent)["accept"] == ["overdue"]
    assert timer(sent, "accept")["ended_at"] == sent.clock.now()


def test_lateness_is_seen_at_the_end_even_when_nobody_looked_before(sent: Scene) -> None:
    sent.clock.advance(16 * MINUTE)
    sent.move("accept", "G17-01")
    assert timers(sent)["accept"] == ["overdue"]


def test_a_return_undoes_and_the_next_team_has_its_own_time(sent: Scene) -> None:
    sent.clock.advance(MINUTE)
    sent.move("return", "G17-01", opinion="not ours")
    assert timers(sent) == {"accept": ["void"], "arrive": ["void"], "handle": ["running"], "assign": ["running"]}
    sent.clock.advance(MINUTE)
    sent.move("dispatch", "DISP-1")
    assert timers(sent)["accept"] == ["void", "running"]
    assert timers(sent)["assign"] == ["done"]
    assert timer(sent, "accept")["due_at"] == sent.clock.now() + 15 * MINUTE


def test_whoever_it_is_reassigned_to_has_the_whole_time(sent: Scene) -> None:
    sent.clock.advance(10 * MINUTE)
    sent.move("reassign", "DISP-1", team="T-G18")
    assert timers(sent)["accept"] == ["void", "running"]
    assert timer(sent, "accept")["started_at"] == sent.clock.now()


def test_rework_after_a_check_that_was_made(sent: Scene) -> None:
    sent.handle()
    sent.move("rework", "DISP-1", opinion="still loud")
    assert timers(sent) == {"accept": ["done"], "arrive": ["done"], "handle": ["done", "running"], "check": ["done"]}
    assert sent.tickets[0]["reworks"] == 1


def test_an_alert_after_handling_undoes_the_check_and_has_its_own_time(sent: Scene) -> None:
    sent.handle()
    sent.clock.advance(DAY)
    sent.detect("PLANT-2", rule="noise", severity=Severity.ALARM)
    assert timers(sent)["check"] == ["overdue"], "the check was late before it was undone"
    assert timers(sent)["handle"] == ["done", "running"]
    assert timer(sent, "handle")["due_at"] == sent.tickets[0]["done_by"] == sent.clock.now() + 4 * HOUR
    assert timers(sent)["arrive"] == ["done", "running"]


def test_a_rise_brings_its_clock(sent: Scene) -> None:
    sent.clock.advance(5 * MINUTE)
    sent.detect("PLANT-2", rule="noise", severity=Severity.CRITICAL)
    (ticket,) = sent.tickets
    assert timer(sent, "handle")["due_at"] == ticket["done_by"] == sent.clock.now() + 2 * HOUR
    assert timer(sent, "handle")["clock"] == "running"
    assert timer(sent, "arrive")["due_at"] == sent.clock.now() + 30 * MINUTE
    assert timer(sent, "handle")["rule"].startswith("default-1 critical")


def test_a_suspended_ticket_stands_still_and_goes_on_with_what_was_left(sent: Scene) -> None:
    sent.move("accept", "G17-01")
    sent.clock.advance(HOUR)
    monday_noon = sent.clock.now() + DAY
    sent.move("suspend", "LEAD-1", opinion="parts are on order", until=monday_noon)
    assert timers(sent)["handle"] == ["paused"]
    with writing(sent.engine) as connection:
        assert mark_overdue(connection, sent.clock.now() + 30 * DAY) == 0
    sent.clock.advance(DAY)
    sent.move("resume", "LEAD-1")
    assert timers(sent)["handle"] == ["running"]
    assert timer(sent, "handle")["due_at"] == sent.clock.now() + 3 * HOUR
    assert timer(sent, "handle")["paused"] == sent.tickets[0]["paused"] == DAY


def test_a_ticket_of_before_there_were_timers_gets_them_at_its_next_move(sent: Scene) -> None:
    with writing(sent.engine) as connection:
        connection.execute(ticket_timer.delete())
        connection.execute(update(tables.ticket).values(policy={}))
    sent.move("accept", "G17-01")
    assert timers(sent) == {"arrive": ["running"], "handle": ["running"]}


def test_what_nobody_wanted_is_undone(sent: Scene) -> None:
    sent.move("void", "DISP-1", opinion="a test")
    assert {state for states in timers(sent).values() for state in states} == {"void"}


def test_a_supervisions_timer_shows_its_own_time(sent: Scene) -> None:
    sent.move("supervise", "LEAD-1", opinion="when?")
    assert timer(sent, "reply")["rule"].endswith(f"reply {sent.settings.deadlines.reply}")
    sent.move("reply", "DISP-1", opinion="soon")
    sent.clock.advance(MINUTE)
    sent.move("supervise", "LEAD-1", opinion="when?", until=sent.clock.now() + 90 * MINUTE)
    shown = timer(sent, "reply")
    assert (shown["rule"], shown["clock"]) == ("by hand alarm: reply 90 min", "running")
    sent.clock.advance(2 * MINUTE)
    sent.move("supervise", "DISP-1", opinion="really", until=sent.clock.now() + 6 * HOUR)
    assert timer(sent, "reply")["rule"] == "by hand alarm: reply 6 h"
