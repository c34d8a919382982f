"""Drills: a ticket of nothing that happened goes the whole way to people's real contacts, and it is noted who answers.

A drill is told with its mark, is never a matter of life and safety, waits for the end of quiet hours unless its
schedule says that it wakes, and counts in no indicator. Whoever accepts its ticket, by their personal link or on a
page, has answered. When its window is over, or all have answered, its ticket is closed and its report written.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from alerts.desk_work import DeskWork
from alerts.drill_report import write_report
from alerts.drill_schedule import DrillSchedule
from alerts.escalation_tables import drill, drill_call, drill_run
from alerts.lifecycle import Status
from alerts.notices import acknowledge
from alerts.one_writer import hold_desk
from alerts.refusals import DrillRefused, MoveRefused
from alerts.rows import first_row, one_row, rows
from alerts.settings import DEFAULTS, DeskSettings
from alerts.tickets import insert_ticket, read_ticket, update_ticket, write_log
from alerts.town_view import Person, TownView
from alerts.wording import one_line
from alerts.words import PLATFORM, Recipient, Row, Words
from core.clock import HOUR, MINUTE
from detectors.rules import RuleSet
from detectors.words import Severity

SOURCE = "drill"
BY_HAND = DrillSchedule()
_MISSED = HOUR  # one that was due longer ago, while nothing ran, waits for its next time
_WINDOWS = (MINUTE, 24 * HOUR)
_NAME = 60


def define(
    connection: Connection,
    town: TownView,
    name: str,
    owner: str,
    now: int,
    teams: Sequence[str] = (),
    schedule: DrillSchedule = BY_HAND,
    window: int = 30 * MINUTE,
) -> Row:
    """Write down a drill of these teams and stations (none: everybody); answers count for `window` µs.

    The same again, a double click, is the one that is held already. Raises DrillRefused.
    """
    name = one_line(name)
    if not 0 < len(name) <= _NAME:
        raise DrillRefused("needs_name", most=str(_NAME))
    if not schedule.well_formed:
        raise DrillRefused("bad_schedule")
    if not _WINDOWS[0] <= window <= _WINDOWS[1]:
        raise DrillRefused("bad_window")
    if unknown := [code for code in teams if code not in town.teams and code not in town.stations]:
        raise DrillRefused("no_such_group", code=", ".join(unknown))
    row = {
        "name": name,
        "teams": list(dict.fromkeys(teams)),
        "schedule": schedule.as_json(),
        "window": window,
        "owner": owner,
        "created_at": now,
        "next_at": schedule.next_at(now),
        "retired": 0,
    }
    hold_desk(connection)
    return _held_so(connection, row) or one_row(connection, insert(drill).returning(*drill.c), row)


def _held_so(connection: Connection, wanted: Row) -> Row | None:
    named = rows(connection, select(drill).where(drill.c.name == wanted["name"], drill.c.retired == 0))
    same = ("teams", "schedule", "window")
    return next((each for each in named if all(each[part] == wanted[part] for part in same)), None)


def retire(connection: Connection, number: int) -> None:
    """Hold a drill no more; one under way goes on to its end. Raises DrillRefused."""
    if not connection.execute(update(drill).where(drill.c.id == number).values(retired=1, next_at=None)).rowcount:
        raise DrillRefused("no_such_drill")


def drills(connection: Connection) -> list[Row]:
    """The drills that are held, each with its `schedule` as stored."""
    return rows(connection, select(drill).where(drill.c.retired == 0).order_by(drill.c.id))


def runs_of(connection: Connection, number: int, limit: int = 50) -> list[Row]:
    """The runs of a drill, the newest first."""
    its = select(drill_run).where(drill_run.c.drill == number).order_by(drill_run.c.id.desc())
    return rows(connection, its.limit(limit))


def under_way(connection: Connection) -> int:
    """How many runs there are at this moment: as many tickets count in no indicator."""
    count: int = connection.execute(select(func.count()).where(drill_run.c.ended_at.is_(None))).scalar_one()
    return count


def start(
    connection: Connection,
    town: TownView,
    number: int,
    now: int,
    settings: DeskSettings = DEFAULTS,
    who: str = PLATFORM,
) -> Row:
    """Begin a run: its ticket, its calls and notices; the run. Raises DrillRefused."""
    hold_desk(connection)
    held = first_row(connection, select(drill).where(drill.c.id == number, drill.c.retired == 0))
    if held is None:
        raise DrillRefused("no_such_drill")
    if connection.scalar(select(drill_run.c.id).where(drill_run.c.drill == number, drill_run.c.ended_at.is_(None))):
        raise DrillRefused("under_way")
    people = list(_people(town, held["teams"]))
    told = [*_contacts(town, people), *_groups(town, held["teams"])]
    if not told:
        raise DrillRefused("nobody_to_call")
    return begin_run(connection, town, held, people, told, now, settings, who)


def begin_run(
    connection: Connection,
    town: TownView,
    held: Row,
    people: Sequence[Person],
    told: Sequence[Recipient],
    now: int,
    settings: DeskSettings,
    who: str,
    *,
    names: Words | None = None,
    cause: str = "dispatched",
) -> Row:
    """Begin a run of a drill that calls `people` and tells `told`, while the desk is held; the run.

    `names` are what it is called in both languages; else it has its drill's name.
    """
    run = one_row(
        connection,
        insert(drill_run).returning(*drill_run.c),
        {"drill": held["id"], "began_at": now, "ends_at": now + held["window"]},
    )
    if people:
        connection.execute(insert(drill_call), [{"run": run["id"], "person": each.code} for each in people])
    work = DeskWork(connection, town, now, settings, occasion=now)
    about = _ticket(work, held, run, people, told, who, names or Words(held["name"], held["name"]))
    work.notify(about, None, told, cause, now)
    work.ticket_changed(about, "dispatch")
    schedule = DrillSchedule.from_json(held["schedule"])
    connection.execute(update(drill).where(drill.c.id == held["id"]).values(next_at=schedule.next_at(now)))
    begun = update(drill_run).where(drill_run.c.id == run["id"]).values(ticket=about["id"])
    run = one_row(connection, begun.returning(*drill_run.c))
    work.finish()
    return run


def answer(
    connection: Connection, town: TownView, about: Row, who: str, now: int, settings: DeskSettings = DEFAULTS
) -> Status:
    """Somebody who was called accepts a drill's ticket; its status, which stays. Raises MoveRefused."""
    if about["status"] != Status.DISPATCHED:
        raise MoveRefused("ticket_over")
    theirs = (drill_call.c.run == about["drill"]) & (drill_call.c.person == who)
    called = first_row(connection, select(drill_call).where(theirs))
    if called is None:
        raise MoveRefused("not_yours")
    if called["replied_at"] is None:
        connection.execute(update(drill_call).where(theirs).values(replied_at=now))
        write_log(connection, about, now, "accept", "drill_answered", about["status"], who)
        acknowledge(connection, about["id"], who, now)
        work = DeskWork(connection, town, now, settings)
        work.ticket_changed(about, "accept")
        work.finish()
    return Status(about["status"])


def end(connection: Connection, town: TownView, number: int, now: int, settings: DeskSettings = DEFAULTS) -> Row:
    """End a run: its ticket is closed as a test, its report written; the run afterwards. Raises DrillRefused."""
    hold_desk(connection)
    run = first_row(connection, select(drill_run).where(drill_run.c.id == number))
    if run is None:
        raise DrillRefused("no_such_run")
    if run["ended_at"] is not None:
        return run
    ended = write_report(connection, run, now)
    about = read_ticket(connection, run["ticket"])
    if about["status"] == Status.DISPATCHED:
        work = DeskWork(connection, town, now, settings)
        values: dict[str, Any] = {"status": Status.CLOSED, "closed_at": now, "result": "test"}
        after = update_ticket(connection, about, now, **values)
        if after is None:
            raise RuntimeError(f"ticket {about['id']} changed while the desk was held")
        write_log(connection, after, now, "end_drill", "window_over", about["status"])
        work.ticket_changed(after, "end_drill")
        work.finish()
    return ended


def run_due(
    connection: Connection, town: TownView, _rules: RuleSet, now: int, settings: DeskSettings = DEFAULTS
) -> int:
    """End the runs whose window is over or that all have answered, begin those that are due; how many."""
    over, due = _over(connection, now), _due(connection, now)
    if not over and not due:
        return 0
    hold_desk(connection)
    for run in _over(connection, now):
        end(connection, town, run, now, settings)
    for held in _due(connection, now):
        _begin(connection, town, held, now, settings)
    return len(over) + len(due)


def _begin(connection: Connection, town: TownView, held: Row, now: int, settings: DeskSettings) -> None:
    try:
        if now - held["next_at"] <= _MISSED:
            start(connection, town, held["id"], now, settings)
            return
    except DrillRefused:
        pass  # nobody to call, or the last run goes on: it waits for its next time
    later = DrillSchedule.from_json(held["schedule"]).next_at(now)
    connection.execute(update(drill).where(drill.c.id == held["id"]).values(next_at=later))


def _due(connection: Connection, now: int) -> list[Row]:
    return rows(connection, select(drill).where(drill.c.next_at <= now, drill.c.retired == 0).order_by(drill.c.id))


def _over(connection: Connection, now: int) -> list[int]:
    calls = select(drill_call.c.run).where(drill_call.c.run == drill_run.c.id)
    answered = calls.where(drill_call.c.replied_at.is_not(None)).exists()
    waiting = calls.where(drill_call.c.replied_at.is_(None)).exists()
    over = (drill_run.c.ends_at <= now) | (answered & ~waiting)
    return list(connection.scalars(select(drill_run.c.id).where(drill_run.c.ended_at.is_(None), over)))


def _people(town: TownView, teams: Sequence[str]) -> Iterator[Person]:
    """The people of these teams and stations; everybody when none is named."""
    wanted = set(teams)
    return (each for each in town.people.values() if not wanted or {each.team, each.station} & wanted)


def _contacts(town: TownView, people: Sequence[Person]) -> Iterator[Recipient]:
    """Each on the channel that they prefer; the others follow when that one fails, as they do in earnest."""
    for each in people:
        for contact in town.contacts.get(("person", each.code), ())[:1]:
            yield Recipient("person", each.code, *contact)


def _groups(town: TownView, teams: Sequence[str]) -> Iterator[Recipient]:
    for code in (each for each in town.teams if not teams or each in teams):
        yield from (Recipient("team", code, *each) for each in town.contacts.get(("team", code), ()))
    for code in (each for each in town.stations if not teams or each in teams):
        yield from (Recipient("station", code, *each) for each in town.contacts.get(("station", code), ()))


def _ticket(
    work: DeskWork,
    held: Row,
    run: Row,
    people: Sequence[Person],
    told: Sequence[Recipient],
    who: str,
    names: Words,
) -> Row:
    wakes = DrillSchedule.from_json(held["schedule"]).wakes
    common = {"chosen": True, "reason": "drill_calls", "distance": None, "step": 0}
    called = {("person", each.code): each.name for each in people}
    chosen = [
        {"kind": each.kind, "code": each.code, "name": called.get((each.kind, each.code), each.code), **common}
        for each in told
    ]
    nothing = dict.fromkeys(("team", "station", "station_distance"))
    recipients = [list(each) for each in told]
    about = insert_ticket(
        work.connection,
        work.now,
        source=SOURCE,
        drill=run["id"],
        status=Status.DISPATCHED,
        title=f"{names.zh}：请打开链接并接单，以确认收到",
        title_en=f"{names.en}: open the link and accept, to confirm that this reached you",
        hazard=SOURCE,
        category="应急指挥",
        severity=int(Severity.CRITICAL if wakes else Severity.ALARM),
        life_safety=False,
        reporter=held["owner"],
        dispatched_at=work.now,
        assignment={
            "reason": "drill_calls",
            **nothing,
            "due_at": work.now,
            "candidates": chosen,
            "recipients": recipients,
        },
    )
    write_log(work.connection, about, work.now, "drill", "drill_begins", None, who, details={"drill": held["id"]})
    return about
