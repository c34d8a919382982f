"""What the pages of quiets show: what holds, what is held and by what, what ended of late, and storms."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from alerts.quiet_decisions import quiet_of
from alerts.quiet_tables import storm
from alerts.quieting import list_quiets
from alerts.tables import alert, ticket
from alerts.words import Row
from console.dossier import rows
from core.clock import DAY

RECENT = 7 * DAY
MOST_HELD = 200
_STORMS = 20


class Quieted(NamedTuple):
    """A shelf, silence or window, how many open alerts it holds now, and until when it holds without a break."""

    row: Row
    held: int
    until: int | None


class Standing(NamedTuple):
    """All of it at one moment. `by` are the alerts that inhibit others, by id."""

    live: list[Quieted]
    ended: list[Row]
    held: list[dict[str, Any]]
    held_count: int
    by: dict[int, dict[str, Any]]
    storms: list[dict[str, Any]]


def quiets_now(connection: Connection, now: int) -> Standing:
    """How things stand; what ended is that of the last seven days."""
    counts = _counts(connection)
    live = [
        Quieted(row, counts.get((row["kind"], row["id"]), 0), quiet_of(row).until(now))
        for row in list_quiets(connection, now)
    ]
    known = {each.row["id"] for each in live}
    ended = [row for row in list_quiets(connection, now, now - RECENT) if row["id"] not in known]
    held = _held(connection)
    inhibiting = {row["held_by"] for row in held if row["held"] == "inhibited"}
    by = {row["id"]: row for row in rows(connection, select(alert).where(alert.c.id.in_(sorted(inhibiting))))}
    return Standing(live, ended, held, sum(counts.values()), by, _storms(connection, now))


def _counts(connection: Connection) -> dict[tuple[str, int], int]:
    its = (alert.c.held.is_not(None), alert.c.state == "open")
    query = select(alert.c.held, alert.c.held_by, func.count()).where(*its).group_by(alert.c.held, alert.c.held_by)
    return {(kind, by): int(count) for kind, by, count in connection.execute(query)}


def _held(connection: Connection) -> list[dict[str, Any]]:
    query = select(alert).where(alert.c.held.is_not(None), alert.c.state == "open")
    worst_first = (alert.c.life_safety.desc(), alert.c.severity.desc(), alert.c.id.desc())
    return rows(connection, query.order_by(*worst_first).limit(MOST_HELD))


def _storms(connection: Connection, now: int) -> list[dict[str, Any]]:
    """Storms that go on, and those of the last seven days."""
    wanted = storm.c.ended_at.is_(None) | (storm.c.ended_at > now - RECENT)
    query = select(*storm.c, ticket.c.number.label("number")).join(ticket, ticket.c.id == storm.c.ticket, isouter=True)
    return rows(connection, query.where(wanted).order_by(storm.c.id.desc()).limit(_STORMS))
