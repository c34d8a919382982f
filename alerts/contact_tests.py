"""A test message to oneself: a drill of one person by one of their own contacts, through the outbox as any notice.

It is told with a drill's mark, at once even in quiet hours, as whoever reads it asked for it, and goes by no other
channel when it fails: what became of it is what one wants to know. It is over when its link was answered, or after
five minutes.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from alerts.drill_schedule import DrillSchedule
from alerts.drills import begin_run
from alerts.escalation_tables import drill, drill_call, drill_run
from alerts.one_writer import hold_desk
from alerts.refusals import DrillRefused
from alerts.rows import one_row, rows
from alerts.settings import DEFAULTS, DeskSettings
from alerts.tables import notice, ticket
from alerts.town_view import TownView
from alerts.words import TEST, Recipient, Row, Words
from core.clock import HOUR, MINUTE, SECOND

WINDOW = 5 * MINUTE
"""How long (µs) an answer is waited for."""
GAP = MINUTE
"""From one's test of whatever channel to the next, µs."""
MOST_IN_AN_HOUR = 6
"""Aliyun takes 50 text messages a day to a number: tests may not eat what alarms need."""
_LOOKED_AT = 100
_NAME = Words("测试消息", "Test message")


class ContactTest(NamedTuple):
    """What became of a test: `state` and `error` are its notice's, `answered_at` when its link was answered."""

    run: int
    ticket: str
    channel: str
    at: int
    state: str
    error: str
    delivered_at: int | None
    answered_at: int | None


def try_contact(
    connection: Connection, town: TownView, who: str, channel: str, now: int, settings: DeskSettings = DEFAULTS
) -> ContactTest:
    """Send the person `who` a test message by their own contact of a channel. Raises DrillRefused."""
    hold_desk(connection)
    if who not in town.people:
        raise DrillRefused("no_person_behind")
    own = [each for each in town.contacts.get(("person", who), ()) if each.channel == channel]
    if not own:
        raise DrillRefused("no_such_contact", channel=channel)
    _refuse_often(connection, who, now)
    row: Row = {
        "name": _NAME.zh,
        "teams": [],
        "schedule": DrillSchedule(wakes=True).as_json() | {"test": channel},
        "window": WINDOW,
        "owner": who,
        "created_at": now,
        "next_at": None,
        "retired": 1,  # it is held once
    }
    held = one_row(connection, insert(drill).returning(*drill.c), row)
    told = [Recipient("person", who, *own[0])]
    begin_run(connection, town, held, [town.people[who]], told, now, settings, who, names=_NAME, cause=TEST)
    return tried_by(connection, who, 1)[0]


def tried_by(connection: Connection, who: str, limit: int = 5) -> list[ContactTest]:
    """A person's last tests, the newest first."""
    return [_told(connection, each) for each in _own(connection, who, limit)]


def _refuse_often(connection: Connection, who: str, now: int) -> None:
    made = [each["created_at"] for each in _own(connection, who, MOST_IN_AN_HOUR)]
    free_at = max(
        made[0] + GAP if made else 0,
        made[-1] + HOUR if len(made) == MOST_IN_AN_HOUR else 0,
    )
    if free_at > now:
        raise DrillRefused("tested_just_now", seconds=str(-((now - free_at) // SECOND)))


def _own(connection: Connection, who: str, limit: int) -> list[Row]:
    theirs = (
        select(drill).where(drill.c.owner == who, drill.c.retired == 1).order_by(drill.c.id.desc()).limit(_LOOKED_AT)
    )
    return [each for each in rows(connection, theirs) if "test" in each["schedule"]][:limit]


def _told(connection: Connection, held: Row) -> ContactTest:
    """Its one notice: a test goes by no other channel."""
    columns: dict[str, Any] = {
        "run": drill_run.c.id,
        "ticket": ticket.c.number,
        "channel": notice.c.channel,
        "at": drill_run.c.began_at,
        "state": notice.c.state,
        "error": notice.c.error,
        "delivered_at": notice.c.delivered_at,
        "answered_at": drill_call.c.replied_at,
    }
    query = (
        select(*(column.label(name) for name, column in columns.items()))
        .join(ticket, ticket.c.id == drill_run.c.ticket)
        .join(notice, notice.c.ticket == ticket.c.id)
        .join(drill_call, drill_call.c.run == drill_run.c.id)
        .where(drill_run.c.drill == held["id"])
    )
    return ContactTest(**one_row(connection, query))
