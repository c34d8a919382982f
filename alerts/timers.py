"""The timer of each stage of a ticket: started, paused and ended as the ticket's row says, whoever changed it.

What a ticket's timers should be follows from its row alone, so they are brought in line once at the end of every
transaction that changed it. A suspended ticket's timers stand still; only a supervision's reply is still waited for.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import Connection, bindparam, insert, select, update

from alerts.case_tables import ticket_timer
from alerts.deadlines import Clock, DeadlinePolicy, Span, later, passed
from alerts.lifecycle import LIVE, Status
from alerts.rows import rows
from alerts.settings import DeskSettings
from alerts.tables import ticket
from alerts.words import Row
from alerts.working_time import WorkCalendar
from detectors.words import Severity

Stage = Literal["verify", "register", "assign", "accept", "arrive", "handle", "check", "reply"]
STAGES: tuple[Stage, ...] = get_args(Stage)

DESK_STAGES: tuple[Stage, ...] = ("verify", "register", "assign", "check")
"""The stages in which a ticket waits for the desk; the first of them to end is the ticket's `desk_by`."""

DUE_COLUMNS: dict[str, str] = {"accept": "accept_by", "arrive": "arrive_by", "handle": "done_by", "reply": "reply_by"}
"""The stages whose time is a column of the ticket; the others' is only the timer's."""
_RUNNING: dict[Status, tuple[Stage, ...]] = {
    Status.REPORTED: ("verify",),
    Status.VERIFIED: ("register",),
    Status.REGISTERED: ("assign", "handle"),
    Status.DISPATCHED: ("accept", "arrive", "handle"),
    Status.ACCEPTED: ("arrive", "handle"),
    Status.ON_SCENE: ("handle",),
    Status.HANDLED: ("check",),
    Status.CHECKED: ("check",),
}
DESK_STAGE_OF: dict[str, Stage] = {
    str(status): stage for status, stages in _RUNNING.items() for stage in stages if stage in DESK_STAGES
}
"""What the desk owes a ticket, by the status in which it waits for the desk."""
_PASSED: dict[str, Status] = {
    "verify": Status.VERIFIED,
    "register": Status.REGISTERED,
    "assign": Status.DISPATCHED,
    "accept": Status.ACCEPTED,
    "arrive": Status.ON_SCENE,
    "handle": Status.HANDLED,
    "check": Status.CLOSED,
}
"""The status by which a stage is done; one that ends before it was undone."""
_ORDER = {status: place for place, status in enumerate(Status)}
_READ = (
    *("id", "status", "severity", "suspended_from", "on_scene_at", "accept_by", "arrive_by", "done_by", "reply_by"),
    *("deadline_rule", "dispatched_at", "supervised_at", "replied_at", "result", "desk_by"),
)
_AT_ONCE = 500


class Follow(NamedTuple):
    """What brings a ticket's timers in line: new rows, and values by the id of an old one."""

    started: list[dict[str, Any]]
    changed: dict[int, dict[str, Any]]


def follow(connection: Connection, tickets: Collection[int], now: int, settings: DeskSettings) -> None:
    """Bring the timers of tickets that changed in line, in the caller's transaction."""
    numbers = sorted(tickets)
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        found = rows(connection, select(*(ticket.c[name] for name in _READ)).where(ticket.c.id.in_(some)))
        kept: dict[int, list[Row]] = {}
        for timer in rows(connection, select(ticket_timer).where(ticket_timer.c.ticket.in_(some))):
            kept.setdefault(timer["ticket"], []).append(timer)
        decided = [decide_timers(row, kept.get(row["id"], ()), now, settings) for row in found]
        _write(connection, decided)
        for row, each in zip(found, decided, strict=True):
            if (by := _desk_by(kept.get(row["id"], ()), each)) != row["desk_by"]:
                connection.execute(update(ticket).where(ticket.c.id == row["id"]).values(desk_by=by))


def wanted(ticket: Row) -> set[str]:
    """The stages that a ticket is in: their timers run, or stand still while it is suspended."""
    status = Status(ticket["status"])
    if status not in LIVE:
        return set()
    present = Status(ticket["suspended_from"]) if status == Status.SUSPENDED else status
    stages: set[str] = {*_RUNNING.get(present, ())}
    if ticket["on_scene_at"] is not None:
        stages.discard("arrive")
    if ticket["done_by"] is None:
        stages.discard("handle")
    if ticket["supervised_at"] is not None and ticket["replied_at"] is None:
        stages.add("reply")
    return stages


def decide_timers(ticket: Row, timers: Sequence[Row], now: int, settings: DeskSettings) -> Follow:
    """What must change about the timers of a ticket; nothing when they are in line."""
    policy, calendar = settings.deadlines, settings.calendar
    stages = wanted(ticket)
    active = [timer for timer in timers if timer["ended_at"] is None]
    kept = {timer["stage"] for timer in active if timer["stage"] in stages and not _sent_anew(timer, ticket)}
    changed: dict[int, dict[str, Any]] = {}
    for timer in active:
        on = timer["stage"] in kept
        goal = _going_on(timer, ticket, now, policy, calendar) if on else _ended(timer, ticket, now)
        if different := {name: value for name, value in goal.items() if timer[name] != value}:
            changed[timer["id"]] = different
    latest = {timer["stage"]: timer["started_at"] for timer in sorted(timers, key=lambda each: each["started_at"])}
    started = [
        _started(stage, ticket, max(now, latest.get(stage, now - 1) + 1), policy, calendar)
        for stage in STAGES
        if stage in stages - kept
    ]
    return Follow(started, changed)


def end_stage(connection: Connection, number: int, stage: Stage, now: int) -> None:
    """End a stage that was gone through although the ticket goes back: a check that sends it to rework."""
    its = (ticket_timer.c.ticket == number) & (ticket_timer.c.stage == stage) & ticket_timer.c.ended_at.is_(None)
    for timer in rows(connection, select(ticket_timer).where(its)):
        ended = {"ended_at": now, "state": "overdue" if _late(timer["due_at"], now) else "done"}
        connection.execute(update(ticket_timer).where(ticket_timer.c.id == timer["id"]).values(**ended))


def mark_overdue(connection: Connection, now: int) -> int:
    """Mark the running timers whose time is over; how many there were."""
    over = (ticket_timer.c.state == "running") & (ticket_timer.c.due_at < now)
    return connection.execute(update(ticket_timer).where(over).values(state="overdue")).rowcount


def timers_of(connection: Connection, number: int) -> list[Row]:
    """A ticket's timers in the order in which they started."""
    its = select(ticket_timer).where(ticket_timer.c.ticket == number)
    return rows(connection, its.order_by(ticket_timer.c.started_at, ticket_timer.c.id))


def running_stages(connection: Connection, tickets: Sequence[int]) -> dict[int, set[str]]:
    """The stages of which a timer has not ended, by ticket."""
    its = select(ticket_timer.c.ticket, ticket_timer.c.stage)
    found: dict[int, set[str]] = {}
    for number, stage in connection.execute(
        its.where(ticket_timer.c.ticket.in_(tickets), ticket_timer.c.ended_at.is_(None))
    ):
        found.setdefault(number, set()).add(stage)
    return found


def paused_timers(connection: Connection, number: int) -> list[Row]:
    """The timers of a ticket that stand still."""
    its = select(ticket_timer).where(ticket_timer.c.ticket == number, ticket_timer.c.state == "paused")
    return rows(connection, its.order_by(ticket_timer.c.id))


def due_after_pause(timer: Row, now: int, calendar: WorkCalendar) -> int | None:
    """When a paused timer is due that goes on now: later by what its own clock would have run meanwhile."""
    due: int | None = timer["due_at"]
    if due is None or timer["paused_at"] is None:
        return due
    clock: Clock = timer["clock"]
    stood = passed(clock, timer["paused_at"], now, calendar)
    return later(clock, due, stood, calendar) if stood else due


def _desk_by(timers: Sequence[Row], decided: Follow) -> int | None:
    """By when the desk must act on a ticket whose timers are changed so; None when nothing of it runs."""
    then = [*({**each, **decided.changed.get(each["id"], {})} for each in timers), *decided.started]
    running = (each for each in then if each["ended_at"] is None and each["paused_at"] is None)
    return min((each["due_at"] for each in running if each["stage"] in DESK_STAGES and each["due_at"]), default=None)


def _sent_anew(timer: Row, ticket: Row) -> bool:
    """Whoever was sent later has the time of their own to accept and to arrive."""
    return timer["stage"] in ("accept", "arrive") and (ticket["dispatched_at"] or 0) > timer["started_at"]


def _started(stage: Stage, ticket: Row, at: int, policy: DeadlinePolicy, calendar: WorkCalendar) -> dict[str, Any]:
    span = _span(stage, ticket, policy, calendar)
    demanded = ticket[DUE_COLUMNS[stage]] if stage in DUE_COLUMNS else span.after(at, calendar) if span else None
    paused = _stands(stage, ticket)
    return {
        "ticket": ticket["id"],
        "stage": stage,
        "state": "paused" if paused else "overdue" if _late(demanded, at) else "running",
        "clock": span.clock if span else "running",
        "started_at": at,
        "due_at": demanded,
        "paused_at": at if paused else None,
        "paused": 0,
        "ended_at": None,
        "rule": _rule(stage, ticket, policy, span) if demanded is not None else "",
    }


def _ended(timer: Row, ticket: Row, now: int) -> dict[str, Any]:
    stood = 0 if timer["paused_at"] is None else now - timer["paused_at"]
    reached = now - stood
    state = "overdue" if _late(timer["due_at"], reached) else "done" if _was_done(timer["stage"], ticket) else "void"
    return {
        "state": state,
        "ended_at": max(now, timer["started_at"]),
        "paused": timer["paused"] + stood,
        "paused_at": None,
    }


def _going_on(timer: Row, ticket: Row, now: int, policy: DeadlinePolicy, calendar: WorkCalendar) -> dict[str, Any]:
    stage: Stage = timer["stage"]
    goal: dict[str, Any] = {"paused_at": timer["paused_at"], "paused": timer["paused"], "due_at": timer["due_at"]}
    if timer["paused_at"] is not None and not _stands(stage, ticket):
        goal |= {"paused_at": None, "paused": timer["paused"] + now - timer["paused_at"]}
        goal["due_at"] = due_after_pause(timer, now, calendar)
    elif timer["paused_at"] is None and _stands(stage, ticket):
        goal["paused_at"] = now
    goal |= _demanded(timer, ticket, goal["due_at"], now, policy, calendar)
    late = _late(goal["due_at"], now)
    goal["state"] = "paused" if goal["paused_at"] is not None else "overdue" if late else "running"
    return goal


def _demanded(
    timer: Row, ticket: Row, due: int | None, now: int, policy: DeadlinePolicy, calendar: WorkCalendar
) -> dict[str, Any]:
    """By when: as the ticket says, else sooner where a graver severity demands it. A sooner time brings its clock."""
    stage: Stage = timer["stage"]
    span = _span(stage, ticket, policy, calendar)
    rule = _rule(stage, ticket, policy, span)
    if stage in DUE_COLUMNS:
        demanded = ticket[DUE_COLUMNS[stage]]
    elif span is None or timer["rule"] == rule:
        return {"due_at": due}
    else:
        demanded = min(each for each in (due, span.after(now, calendar)) if each is not None)
    if demanded == due or (stage != "reply" and (demanded is None or (due is not None and demanded > due))):
        return {"due_at": demanded}
    return {"due_at": demanded, "clock": span.clock if span else timer["clock"], "rule": rule}


def _span(stage: Stage, ticket: Row, policy: DeadlinePolicy, calendar: WorkCalendar) -> Span | None:
    return _to_reply(ticket, policy, calendar) if stage == "reply" else _limit(stage, ticket, policy)


def _limit(stage: Stage, ticket: Row, policy: DeadlinePolicy) -> Span | None:
    return policy.limits[Severity(ticket["severity"])].of(stage)


def _to_reply(ticket: Row, policy: DeadlinePolicy, calendar: WorkCalendar) -> Span:
    """The policy's, unless whoever supervised named a time of their own."""
    asked, until = ticket["supervised_at"], ticket["reply_by"]
    if asked is None or until is None or until == policy.reply.after(asked, calendar):
        return policy.reply
    return Span("running", until - asked)


def _rule(stage: Stage, ticket: Row, policy: DeadlinePolicy, span: Span | None) -> str:
    if stage in DUE_COLUMNS and stage != "reply":
        kept: str = ticket["deadline_rule"]
        return kept
    named = policy.name if stage != "reply" or span == policy.reply else "by hand"
    return f"{named} {Severity(ticket['severity']).name.lower()}: {stage} {span}"


def _stands(stage: str, ticket: Row) -> bool:
    return ticket["status"] == Status.SUSPENDED and stage != "reply"


def _was_done(stage: str, ticket: Row) -> bool:
    if stage == "reply":
        return ticket["replied_at"] is not None
    present = Status(ticket["status"])
    if present not in LIVE:
        return bool(ticket["result"] == "handled")
    return _ORDER[present] >= _ORDER[_PASSED[stage]] and present != Status.SUSPENDED


def _late(due: int | None, at: int) -> bool:
    return due is not None and at > due


def _write(connection: Connection, decided: Iterable[Follow]) -> None:
    found = list(decided)
    if started := [row for each in found for row in each.started]:
        connection.execute(insert(ticket_timer), started)
    for number, values in ((number, values) for each in found for number, values in each.changed.items()):
        connection.execute(
            update(ticket_timer).where(ticket_timer.c.id == bindparam("number")), {"number": number} | values
        )
