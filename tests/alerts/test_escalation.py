"""Who hears next of a ticket that nobody moves on, and when: the pure decisions."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.auditor import judge
from alerts.deadlines import Span
from alerts.escalation import (
    DEFAULT_STEPS,
    STAGES,
    Done,
    EscalationPolicy,
    Progress,
    Snapshot,
    Step,
    decide_due,
    decide_next,
    present_stage,
    snapshot,
    write_steps,
)
from alerts.escalation_recipients import Circle, choose
from alerts.lifecycle import ENDED, LIVE
from alerts.settings import DeskSettings
from alerts.words import Recipient
from alerts.working_time import WorkCalendar
from core.clock import DAY, HOUR, MINUTE, SECOND
from detectors.words import Severity
from tests.alerts.desk_scene import MONDAY_TEN

POLICY, CALENDAR = EscalationPolicy(), WorkCalendar()
T = MONDAY_TEN


def ticket(status: str = "dispatched", severity: int = 4, **more: Any) -> dict[str, Any]:
    moments = dict.fromkeys(
        (
            *("accepted_at", "on_scene_at", "handled_at", "checked_at", "supervised_at", "replied_at", "reply_by"),
            *("resume_at", "arrive_by", "accept_by", "done_by"),
        )
    )
    row = {"id": 1, "number": "20260921-0001", "status": status, "source": "iot", "severity": severity}
    sent = {"life_safety": False, "reported_at": T, "dispatched_at": T, "told_at": T}
    limits = {"accept_by": T + 5 * MINUTE, "done_by": T + 2 * HOUR}
    return {**moments, **row, **sent, **limits, **more}


def taken(row: dict[str, Any], now: int = T) -> Snapshot:
    return snapshot(row, None, now, POLICY)


def due_minutes(row: dict[str, Any], upto: int, own: Snapshot | None = None) -> list[tuple[str, int, float]]:
    """Stage, step and minute of all that runs until `upto` when somebody looks every second."""
    own = own or taken(row)
    done: dict[tuple[str, int], Progress] = {}
    found = []
    while (following := decide_next(row, own, done, CALENDAR)).next_at is not None and following.next_at <= upto:
        run, skipped = decide_due(row, own, done, following.next_at, CALENDAR)
        assert run
        assert not skipped
        for each in run:
            done[each.stage, each.began_at] = Progress(each.step, each.due_at)
            found.append((each.stage, each.step, (each.due_at - T) / MINUTE))
    return found


def test_a_critical_ticket_that_nobody_accepts_goes_up_at_the_promised_minutes() -> None:
    expected = [("accept", 0, 2), ("accept", 1, 4), ("accept", 2, 5), ("accept", 3, 7), ("accept", 3, 12)]
    assert due_minutes(ticket(), T + 13 * MINUTE) == expected


def test_an_alarm_that_nobody_accepts_goes_up_at_the_promised_minutes() -> None:
    expected = [("accept", 0, 5), ("accept", 1, 15), ("accept", 2, 20), ("accept", 3, 25), ("accept", 3, 55)]
    assert due_minutes(ticket(severity=3), T + HOUR) == expected


@pytest.mark.parametrize(
    ("status", "more", "stage"),
    [
        ("reported", {}, "assign"),
        ("verified", {}, "assign"),
        ("registered", {}, "assign"),
        ("dispatched", {}, "accept"),
        ("accepted", {"arrive_by": T + HOUR}, "arrive"),
        ("accepted", {"life_safety": True}, "arrive"),
        ("accepted", {}, "handle"),
        ("on_scene", {}, "handle"),
        ("handled", {}, "check"),
        ("checked", {}, "close"),
        ("suspended", {}, "suspended"),
    ],
)
def test_what_a_ticket_lacks(status: str, more: dict[str, Any], stage: str) -> None:
    assert present_stage(ticket(status, **more))[0] == stage


@pytest.mark.parametrize("severity", list(Severity)[1:])
@pytest.mark.parametrize("status", sorted(LIVE - {"suspended"}))
def test_every_live_ticket_has_a_next_step_for_ever(status: str, severity: Severity) -> None:
    row = ticket(status, int(severity), arrive_by=T + HOUR)
    own, done = taken(row), dict[tuple[str, int], Progress]()
    for _ in range(8):
        following = decide_next(row, own, done, CALENDAR)
        assert following.state == "scheduled", following
        assert following.next_at is not None
        run, _ = decide_due(row, own, done, following.next_at, CALENDAR)
        for each in run:
            done[each.stage, each.began_at] = Progress(each.step, each.due_at)


@pytest.mark.parametrize("status", sorted(ENDED))
def test_an_ended_ticket_has_none(status: str) -> None:
    assert decide_next(ticket(status), taken(ticket()), {}, CALENDAR).state == "over"


def test_after_downtime_only_the_latest_step_runs_and_the_others_are_skipped() -> None:
    row = ticket()
    run, skipped = decide_due(row, taken(row), {}, T + 30 * MINUTE, CALENDAR)
    assert [(each.step, each.due_at) for each in run] == [(3, T + 27 * MINUTE)]
    assert [each.step for each in skipped] == [0, 1, 2]
    assert run[0].repeated


def test_a_repeat_keeps_to_its_own_moments_however_late_it_ran() -> None:
    row, done = ticket(), {("accept", T): Progress(3, T + 7 * MINUTE)}
    run, _ = decide_due(row, taken(row), done, T + 60 * MINUTE, CALENDAR)
    assert [(each.due_at - T) // MINUTE for each in run] == [57]


def test_working_hours_repeats_skip_the_night() -> None:
    own = replace(
        taken(ticket(severity=2)),
        written=write_steps({"accept": (Step(Span("hours", HOUR), ("leader",), repeat=Span("hours", HOUR)),)}),
    )
    run, _ = decide_due(ticket(severity=2), own, {}, T + DAY, CALENDAR)
    assert [(each.due_at - T) / HOUR for each in run] == [24]
    assert decide_due(ticket(severity=2), own, {}, T + 15 * HOUR, CALENDAR)[0][0].due_at == T + 8 * HOUR


def test_a_wait_until_the_morning_starts_the_clock_in_the_morning() -> None:
    row = ticket(severity=2, told_at=T + 10 * HOUR)
    following = decide_next(row, taken(row), {}, CALENDAR)
    assert following.began_at == T + 10 * HOUR
    assert following.why == "waits_for_morning"
    ran = {("accept", T + 10 * HOUR): Progress(0, T + 12 * HOUR)}
    assert decide_next(row, taken(row), ran, CALENDAR).why == "no_accept"


def test_who_is_told_anew_as_it_became_graver_does_not_wait_for_the_morning() -> None:
    row = ticket(severity=4, told_at=T + 25 * SECOND + 1)
    assert decide_next(row, taken(row), {}, CALENDAR).why == "no_accept"


def test_a_rise_takes_the_graver_policy_and_starts_the_clock_anew() -> None:
    before = taken(ticket(severity=3))
    after = snapshot(ticket(severity=4), before, T + 9 * MINUTE, POLICY)
    assert (after.severity, after.began) == (4, T + 9 * MINUTE)
    assert after.written == write_steps(DEFAULT_STEPS[Severity.CRITICAL])


def test_a_policy_that_was_taken_stays_until_the_ticket_is_sent_anew() -> None:
    own = taken(ticket())
    other = EscalationPolicy("other", {})
    assert snapshot(ticket("accepted", accepted_at=T + MINUTE), own, T + MINUTE, other).written == own.written
    again = ticket(dispatched_at=T + HOUR, told_at=T + HOUR)
    assert snapshot(again, own, T + HOUR, other).name == "other"


def test_a_supervision_escalates_beside_the_present_stage_and_while_suspended() -> None:
    asked = {"supervised_at": T, "reply_by": T + 3 * MINUTE}
    assert ("reply", 0, 3) in due_minutes(ticket(**asked), T + 6 * MINUTE)
    row = ticket("suspended", resume_at=T + DAY, **asked)
    assert decide_next(row, taken(row), {}, CALENDAR).stage == "reply"
    answered = {**row, "replied_at": T + 1}
    assert decide_next(answered, taken(row), {}, CALENDAR)[5] == "suspended"


def test_no_steps_and_no_more_steps_are_named() -> None:
    own = replace(taken(ticket()), written={})
    assert decide_next(ticket(), own, {}, CALENDAR).why == "no_steps"
    once = replace(own, written=write_steps({"accept": (Step(Span("running", MINUTE), ("leader",)),)}))
    assert decide_next(ticket(), once, {("accept", T): Progress(0, T + MINUTE)}, CALENDAR).why == "all_steps_done"


def test_a_snapshot_comes_back_from_json_as_it_was() -> None:
    for severity in list(Severity)[1:]:
        own = taken(ticket(severity=int(severity)))
        assert Snapshot.from_json(own.as_json()) == own


def test_every_severity_says_something_about_every_stage_that_it_can_be_in() -> None:
    for severity, steps in DEFAULT_STEPS.items():
        assert set(steps) == set(STAGES)
        for stage in STAGES:
            assert steps[stage][-1].repeat, f"{severity.name} {stage} ends in silence"


@given(looks=st.lists(st.integers(1, 40 * 60), min_size=1, max_size=30), extra=st.booleans())
def test_whenever_somebody_looks_no_step_runs_twice_and_none_before_its_time(looks: list[int], extra: bool) -> None:
    row, done = ticket(), dict[tuple[str, int], Progress]()
    own, now, seen = taken(row), T, set[tuple[str, int, int]]()
    for seconds in looks:
        now += seconds * 1_000_000
        run, skipped = decide_due(row, own, done, now, CALENDAR)
        for each in (*skipped, *run):
            key = each.stage, each.step, each.due_at
            assert key not in seen
            assert each.due_at <= now
            seen.add(key)
            done[each.stage, each.began_at] = Progress(each.step, each.due_at)
        following = decide_next(row, own, done, CALENDAR)
        assert following.next_at is not None
        assert following.next_at > now


# Whom ----------------------------------------------------------------------------------------------------------------


def to(code: str, step: int, channel: str = "phone", kind: Any = "person") -> Recipient:
    return Recipient(kind, code, channel, f"{code}@{channel}", step)


ROLES = {"p1": "patroller", "p2": "patroller", "n1": "patroller", "o1": "officer", "L": "leader", "D": "dispatcher"}
PLAN = [to("p1", 0), to("o1", 0), to("p1", 1, "sms"), to("p2", 1), to("n1", 2), to("L", 3), to("D", 4)]
CIRCLE = Circle(PLAN, [to("L", 0)], [to("D", 0)], [], ROLES)
AT_ONCE = {("person", "p1", "phone"), ("person", "o1", "phone")}


def told(step: Step, already: set[tuple[str, str, str]], circle: Circle = CIRCLE) -> list[tuple[str, str]]:
    return [(each.code, each.channel) for each in choose(step, circle, already).recipients]


def test_next_recipients_are_the_next_rank_with_second_channels() -> None:
    step = Step(Span("running", 0), ("next_recipients",))
    assert told(step, AT_ONCE) == [("p1", "sms"), ("p2", "phone")]
    assert told(step._replace(widen=1), AT_ONCE) == [("p1", "sms"), ("p2", "phone"), ("n1", "phone")]


def test_where_nobody_is_left_the_leader_hears_then_the_dispatcher_then_all_again() -> None:
    step = Step(Span("running", 0), ("next_recipients",))
    everybody = {(each.kind, each.code, each.channel) for each in PLAN}
    assert choose(step, CIRCLE, everybody).reason == "nobody_left_leader"
    assert told(step, everybody, CIRCLE._replace(leaders=[])) == [("D", "phone")]
    alone = CIRCLE._replace(leaders=[], desk=[])
    assert {code for code, _ in told(step, everybody, alone)} == {"p1", "o1", "p2", "n1", "L", "D"}
    assert choose(step, alone._replace(plan=[]), everybody) == ((), "nobody_reachable")


def test_a_station_that_was_told_is_told_again_rather_than_nobody() -> None:
    assert told(Step(Span("running", 0), ("station",)), AT_ONCE) == [("o1", "phone")]


def test_the_holder_is_told_on_a_channel_not_yet_used() -> None:
    circle = CIRCLE._replace(holder=[to("p1", 0), to("p1", 0, "sms")])
    assert told(Step(Span("running", 0), ("holder",)), AT_ONCE, circle) == [("p1", "sms")]
    assert told(Step(Span("running", 0), ("holder",)), {*AT_ONCE, ("person", "p1", "sms")}, circle) == [("p1", "phone")]


# The auditor ---------------------------------------------------------------------------------------------------------


def kept(row: dict[str, Any], **changed: Any) -> dict[str, Any]:
    own = taken(row)
    return {**decide_next(row, own, {}, CALENDAR)._asdict(), "policy": own.as_json(), **changed}


def judged(row: dict[str, Any], known: dict[str, Any] | None, now: int = T, done: Done | None = None) -> str:
    return judge(row, known, done or {}, now, DeskSettings())


def test_the_auditor_is_content_with_what_follows_from_the_ticket() -> None:
    assert judged(ticket(), kept(ticket())) == ""
    assert judged(ticket(), kept(ticket()), T + 2 * MINUTE + MINUTE) == ""


@pytest.mark.parametrize(
    ("row", "known", "passed", "why"),
    [
        (ticket(), None, 0, "no_row"),
        (ticket(), kept(ticket()), 4 * MINUTE, "late"),
        (ticket(), kept(ticket(), state="waiting", next_at=None, why="no_steps"), 0, "astray"),
        (ticket(), kept(ticket(), next_at=T + HOUR), 0, "astray"),
        (ticket("accepted", arrive_by=T + HOUR), kept(ticket()), 0, "astray"),
        (ticket(severity=4), kept(ticket(severity=3)), MINUTE, "astray"),
        (ticket("suspended"), kept(ticket("suspended")), 0, "never_resumes"),
        (ticket("suspended", resume_at=T), kept(ticket("suspended")), 2 * MINUTE, "never_resumes"),
        (ticket("suspended", resume_at=T + HOUR), kept(ticket("suspended")), 0, ""),
    ],
)
def test_the_auditor_names_what_is_wrong(row: Any, known: Any, passed: int, why: str) -> None:
    assert judged(row, known, T + passed) == why
