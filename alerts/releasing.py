"""Letting go what is held no more: alerts whose hold is over and that still stand find their ticket, storms end."""

from sqlalchemy import Connection, select

from alerts.desk_work import DeskWork
from alerts.one_writer import hold_desk
from alerts.placing import hold_again
from alerts.rows import rows
from alerts.settings import DEFAULTS, DeskSettings
from alerts.storms import end_storms
from alerts.tables import alert
from alerts.town_view import TownView
from alerts.words import Row
from detectors.rules import RuleSet

_QUIETS = ("shelf", "silence", "window")


def release_due(
    connection: Connection, town: TownView, rules: RuleSet, now: int, settings: DeskSettings = DEFAULTS
) -> int:
    """Judge every held alert anew and end the storms that are over; how many alerts were released.

    Call it every second in a transaction of its own. It looks at nothing but the database and `now`, so that a kill
    between any two calls loses nothing.
    """
    hold_desk(connection)
    work = DeskWork(connection, town, now, settings, rules.rules)
    release(work, _held(connection))
    end_storms(work)
    work.finish()
    return work.done["released"]


def release_lapsed(work: DeskWork) -> None:
    """Release what no quiet holds any more, within a transaction that has other things to do."""
    holding = {each.id for each in work.holding.quiets if each.until(work.now) is not None}
    wanted = (alert.c.held.in_(_QUIETS), alert.c.held_by.not_in(holding), alert.c.state == "open")
    release(work, rows(work.connection, select(alert).where(*wanted).order_by(*_WORST_FIRST)))


def release(work: DeskWork, held: list[Row]) -> None:
    """Judge these held alerts anew."""
    for each in held:
        after = hold_again(work, each)
        if after is each:
            continue
        work.alert_changed(after, "released" if after["held"] is None else "held")


def _held(connection: Connection) -> list[Row]:
    """The worst first: where two share a ticket it is about the graver one."""
    return rows(
        connection, select(alert).where(alert.c.held.is_not(None), alert.c.state == "open").order_by(*_WORST_FIRST)
    )


_WORST_FIRST = (alert.c.life_safety.desc(), alert.c.severity.desc(), alert.c.id)
