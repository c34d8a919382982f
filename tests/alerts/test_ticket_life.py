"""Any sequence of moves, alerts and waits: no illegal status, timers that say what the status says, a whole log."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import chinese_calendar
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete

from alerts import tables
from alerts.case_tables import ticket_acceptance, ticket_category, ticket_request, ticket_timer
from alerts.categories import Category, ensure_categories, put_category
from alerts.escalation_tables import escalation, escalation_run
from alerts.lifecycle import LIVE, TRANSITIONS, Place, Status
from alerts.manual_tickets import Report, report
from alerts.moves import MoveRefused, resume_due
from alerts.timers import mark_overdue
from core.clock import DAY, HOUR, MINUTE, local, moment_of
from core.database import writing
from detectors.words import Change, Severity
from tests.alerts.desk_scene import Scene, at_local

ACTIONS = (
    *("verify", "register", "dispatch", "reassign", "accept", "arrive", "handle", "check", "rework", "close", "return"),
    *("ask_extension", "extend", "refuse_extension", "ask_suspension", "suspend", "refuse_suspension", "resume"),
    *("supervise", "reply", "false_alarm", "void"),
)
EVENTS = ("alarm", "graver", "recovery", "tick")
WAITS = (0, 0, MINUTE, 20 * MINUTE, 3 * HOUR, 9 * HOUR, 26 * HOUR, 3 * DAY, 8 * DAY)
STARTS = ("2026-09-21 10:00", "2026-09-30 16:00", "2026-10-10 17:30", "2026-02-13 23:50", "2027-12-31 12:00")
SIDEWAYS = tuple(action for action in ACTIONS if action not in ("false_alarm", "void", "dispatch", "reassign"))
NEXT = {
    "reported": ("verify", "DISP-1"),
    "verified": ("register", "DISP-1"),
    "registered": ("dispatch", "DISP-1"),
    "dispatched": ("accept", "G17-01"),
    "accepted": ("arrive", "G17-01"),
    "on_scene": ("handle", "G17-01"),
    "handled": ("check", "LEAD-1"),
    "checked": ("close", "DISP-1"),
    "suspended": ("resume", "LEAD-1"),
}


class Doing(NamedTuple):
    """A move or an event, who does it, how long until, and what follows after a wait."""

    what: str
    who: str
    until: int
    wait: int


DOINGS = st.builds(
    Doing,
    st.one_of(
        *(st.just("next") for _ in range(4)),
        *(st.sampled_from(("suspend", "extend", "rework", "supervise", "reply")) for _ in range(2)),
        st.sampled_from(SIDEWAYS),
        st.sampled_from(ACTIONS),
        st.sampled_from(EVENTS),
    ),
    st.sampled_from(["DISP-1", "DISP-1", "DISP-1", "LEAD-1", "G17-01", "G17-02", "ST1-01"]),
    st.sampled_from([HOUR, 5 * DAY, 40 * DAY]),
    st.sampled_from(WAITS),
)
_OURS = (
    *(ticket_timer, ticket_request, ticket_acceptance, escalation_run, escalation, tables.notice, tables.alert),
    *(tables.ticket_log, tables.link, tables.ticket, ticket_category),
)


def emptied(scene: Scene, start: str) -> None:
    """As if nothing had happened yet, at a moment."""
    scene.clock.value = at_local(start)
    with writing(scene.engine) as connection:
        for table in _OURS:
            connection.execute(delete(table))
        ensure_categories(connection)


def begun(scene: Scene, kind: str) -> int:
    """A ticket of a kind; its id."""
    now = scene.clock.now()
    if kind == "manual":
        with writing(scene.engine) as connection:
            put_category(connection, Category("公共服务", "Public services", "both", 7), "root", 1)
            said = Report("井盖丢失", "公共服务", Severity.ALARM, site="PLANT", hazard="flood")
            report(connection, scene.town, said, now, "patrol", "G17-01")
    elif kind == "gas":
        scene.detect("PLANT-1", severity=Severity.CRITICAL, onset=now)
    else:
        scene.detect("PLANT-1", severity=Severity.ALARM, rule="noise", onset=now)
    (ticket,) = scene.tickets
    number: int = ticket["id"]
    return number


def resolved(scene: Scene, number: int, step: Doing) -> Doing:
    """What comes next in a ticket's life, by whoever does that; where both must accept the station does it second."""
    if step.what != "next":
        return step
    (ticket,) = (each for each in scene.tickets if each["id"] == number)
    action, who = NEXT.get(ticket["status"], ("close", "DISP-1"))
    if action == "accept" and any(row["ticket"] == number for row in scene.rows(ticket_acceptance)):
        who = "ST1-01"
    return step._replace(what=action, who=who)


def done(scene: Scene, number: int, step: Doing, kind: str) -> bool:
    """Whether a move was done, not refused; events never are one."""
    if step.what in EVENTS:
        happen(scene, step.what, kind)
        return False
    more: dict[str, Any] = {"opinion": f"because {scene.clock.now()}", "cause": "works"}
    if step.what in ("suspend", "ask_suspension", "supervise"):
        more["until"] = scene.clock.now() + step.until
    try:
        return bool(scene.move(step.what, step.who, number, **more))
    except MoveRefused:
        return False


def happen(scene: Scene, event: str, kind: str) -> None:
    rule = {"manual": "flood", "gas": "gas.lel", "noise": "noise"}[kind]
    if event == "tick":
        with writing(scene.engine) as connection:
            mark_overdue(connection, scene.clock.now())
            resume_due(connection, scene.town, scene.clock.now())
    elif event == "recovery":
        for device in ("PLANT-1", "PLANT-2"):
            scene.detect(device, Change.CLEARED, rule=rule)
    else:
        severity = Severity.CRITICAL if event == "graver" else Severity.ALARM
        scene.detect("PLANT-2", severity=severity, rule=rule, onset=scene.clock.now())


@pytest.mark.parametrize("kind", ["manual", "gas", "noise"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(DOINGS, min_size=4, max_size=16), start=st.sampled_from(STARTS))
def test_no_way_leads_to_an_illegal_state(scene: Scene, kind: str, steps: list[Doing], start: str) -> None:
    emptied(scene, start)
    number = begun(scene, kind)
    checked(scene, number)
    for wanted in steps:
        step = resolved(scene, number, wanted)
        before = len(scene.log)
        moved = done(scene, number, step, kind)
        added = scene.log[before:]
        assert added.count(step.what) <= 1
        assert not moved or step.what in added or not added, "a move is one log row, a double tap none"
        checked(scene, number)
        scene.clock.advance(step.wait)


def checked(scene: Scene, number: int) -> None:
    (ticket,) = (each for each in scene.tickets if each["id"] == number)
    log = [row for row in scene.rows(tables.ticket_log) if row["ticket"] == number]
    check_log(ticket, log)
    check_ticket(ticket, log)
    check_timers(ticket, [row for row in scene.rows(ticket_timer) if row["ticket"] == number], scene.clock.now())
    check_requests(ticket, [row for row in scene.rows(ticket_request) if row["ticket"] == number])


def check_log(ticket: dict[str, Any], log: list[dict[str, Any]]) -> None:
    """One unbroken chain of moves that the table has."""
    status = log[0]["to_status"]
    assert status == Status.REPORTED
    origin = ""
    for row in log[1:]:
        assert row["from_status"] == status
        if row["to_status"] != status or row["action"] in ACTIONS:
            transition = TRANSITIONS[Status(status), row["action"]]
            allowed = {Place.HERE: {status}, Place.BACK: {origin}}.get(transition.to, {transition.to})  # type: ignore[arg-type]
            part = row["action"] == "accept" and row["reason"].startswith("waits_for")
            assert row["to_status"] in ({status} if part else allowed)
        if row["to_status"] == Status.SUSPENDED and status != Status.SUSPENDED:
            origin = status
        status = row["to_status"]
    assert status == ticket["status"]


def check_ticket(ticket: dict[str, Any], log: list[dict[str, Any]]) -> None:
    status = Status(ticket["status"])
    suspended = status == Status.SUSPENDED
    assert (ticket["suspended_from"] is not None) == (ticket["resume_at"] is not None) == suspended
    assert (ticket["closed_at"] is not None) == (ticket["result"] is not None) == (status not in LIVE)
    assert 0 <= ticket["extensions"] <= 2
    went = [
        row["at"] for row in log if row["from_status"] == "suspended" != row["to_status"] and row["action"] == "resume"
    ]
    stopped = [row["at"] for row in log if row["to_status"] == "suspended" != row["from_status"]]
    pauses = list(zip(stopped, went, strict=False))
    assert ticket["paused"] == sum(resumed - paused for paused, resumed in pauses)
    if status in (Status.ACCEPTED, Status.ON_SCENE):
        assert ticket["accepted_by"]
        assert ticket["accepted_at"]
    if status in (Status.REGISTERED, Status.DISPATCHED):
        assert ticket["accepted_by"] is None


EXPECTED: dict[str, set[str]] = {
    "reported": {"verify"},
    "verified": {"register"},
    "registered": {"assign"},
    "dispatched": {"accept", "arrive", "handle"},
    "accepted": {"handle"},
    "on_scene": {"handle"},
    "handled": {"check"},
    "checked": {"check"},
}


def check_timers(ticket: dict[str, Any], timers: list[dict[str, Any]], now: int) -> None:
    """The active ones are those of the status; they stand still while it is suspended, and only then."""
    status = ticket["status"]
    active = {row["stage"]: row for row in timers if row["ended_at"] is None}
    assert len(active) == sum(row["ended_at"] is None for row in timers)
    expected = {*EXPECTED.get(ticket["suspended_from"] or status, ())}
    if (ticket["suspended_from"] or status) == "accepted" and ticket["on_scene_at"] is None:
        expected.add("arrive")
    if (ticket["suspended_from"] or status) == "registered" and ticket["done_by"] is not None:
        expected.add("handle")
    if status in LIVE and ticket["supervised_at"] is not None and ticket["replied_at"] is None:
        expected.add("reply")
    assert {*active} == expected
    for stage, row in active.items():
        check_active(stage, row, ticket, now)
    for row in timers:
        assert row["paused"] >= 0
        assert row["ended_at"] is None or row["state"] in ("done", "overdue", "void")
        assert row["ended_at"] is None or (row["ended_at"] >= row["started_at"] and row["paused_at"] is None)


def check_active(stage: str, row: dict[str, Any], ticket: dict[str, Any], now: int) -> None:
    stands = ticket["status"] == "suspended" and stage != "reply"
    assert (row["state"] == "paused") == (row["paused_at"] is not None) == stands
    column = {"accept": "accept_by", "arrive": "arrive_by", "handle": "done_by", "reply": "reply_by"}.get(stage)
    assert column is None or row["due_at"] == ticket[column]
    if row["state"] == "overdue":
        assert row["due_at"] < now
    if row["due_at"] is not None:
        assert row["rule"]


def check_requests(ticket: dict[str, Any], requests: list[dict[str, Any]]) -> None:
    """What waits for an answer can still be granted."""
    for row in requests:
        action = {"extension": "extend", "suspension": "suspend"}[row["kind"]]
        if row["state"] == "waiting":
            assert (ticket["status"], action) in TRANSITIONS or ticket["status"] == "suspended"
        else:
            assert row["decided_at"] is not None


def worked(start: int, end: int) -> int:
    """The working time of 8 to 18 o'clock between two moments, by the State Council's calendar; counted day by day."""
    total, day = 0, local(start).replace(hour=0, minute=0, second=0, microsecond=0)
    while moment_of(day) < end:
        if is_worked(day):
            opens, closes = moment_of(day) + 8 * HOUR, moment_of(day) + 18 * HOUR
            total += max(0, min(closes, end) - max(opens, start))
        day += timedelta(days=1)
    return total


def is_worked(day: datetime) -> bool:
    try:
        return bool(chinese_calendar.is_workday(day.date()))
    except NotImplementedError:
        return day.weekday() < 5


PAUSES = st.lists(st.tuples(st.integers(1, 3 * DAY), st.integers(1, 12 * DAY)), min_size=1, max_size=4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pauses=PAUSES, start=st.sampled_from(STARTS), into=st.integers(0, 9 * DAY), automatic=st.booleans())
def test_paused_time_is_exact_on_each_clock(
    scene: Scene, pauses: list[tuple[int, int]], start: str, into: int, automatic: bool
) -> None:
    emptied(scene, start)
    scene.clock.advance(into)
    number = begun(scene, "noise")  # accept in 15 min day and night, done in 4 working hours
    begun_at = scene.clock.now()
    stood: list[tuple[int, int]] = []
    for wait, pause in pauses:
        scene.clock.advance(wait)
        paused_at = scene.clock.now()
        scene.move("suspend", "LEAD-1", number, opinion="parts are on order", until=paused_at + pause)
        scene.clock.advance(pause)
        goes_on(scene, number, automatic)
        stood.append((paused_at, scene.clock.now()))
    (ticket,) = scene.tickets
    assert ticket["status"] == "dispatched"
    assert ticket["paused"] == sum(end - begin for begin, end in stood)
    assert ticket["accept_by"] - begun_at == 15 * MINUTE + ticket["paused"]
    assert worked(begun_at, ticket["done_by"]) == 4 * HOUR + sum(worked(*each) for each in stood)
    timers = {row["stage"]: row for row in scene.rows(ticket_timer) if row["ended_at"] is None}
    assert timers["handle"]["paused"] == ticket["paused"]
    assert (timers["handle"]["clock"], timers["accept"]["clock"]) == ("hours", "running")


def goes_on(scene: Scene, number: int, automatic: bool) -> None:
    if automatic:
        with writing(scene.engine) as connection:
            assert resume_due(connection, scene.town, scene.clock.now()) == 1
            assert resumed_nothing(connection, scene)
    else:
        scene.move("resume", "DISP-1", number)


def resumed_nothing(connection: Connection, scene: Scene) -> bool:
    return resume_due(connection, scene.town, scene.clock.now()) == 0
