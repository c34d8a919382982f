"""A ticket's rows: its number, itself, and its append-only log."""

from math import cos, radians
from typing import Any

from sqlalchemy import Connection, bindparam, false, func, insert, select, update

from alerts.case_tables import ticket_category
from alerts.lifecycle import ENDED, LIVE
from alerts.one_writer import insert_or
from alerts.rows import first_row, one_row
from alerts.tables import alert, ticket, ticket_log, ticket_number
from alerts.ticket_decisions import AlertFacts, TicketFacts
from alerts.words import PLATFORM, Row
from core.clock import local

_ACCEPTANCE = select(ticket_category.c.acceptance).where(ticket_category.c.name == bindparam("its_category"))
_INSERTED = insert(ticket).values(acceptance=func.coalesce(_ACCEPTANCE.scalar_subquery(), "first")).returning(*ticket.c)
_METRES_A_DEGREE = 110_000  # less than any degree of latitude, so that a box is never too small


class TicketUnknown(LookupError):
    """No ticket has this id."""


def next_number(connection: Connection, now: int) -> str:
    """The next ticket number of the local date, YYYYMMDD-NNNN; without gaps, as it goes back with the transaction."""
    today = local(now).strftime("%Y%m%d")
    taken = insert_or(connection, ticket_number).values(date=today, last=1)
    taken = taken.on_conflict_do_update(index_elements=["date"], set_={"last": ticket_number.c.last + 1})
    last: int = connection.execute(taken.returning(ticket_number.c.last)).scalar_one()
    return f"{today}-{last:04d}"


def insert_ticket(connection: Connection, now: int, **values: Any) -> Row:
    """Write a new ticket under the next number and read it back; who must accept it is its category's to say."""
    row = {"number": next_number(connection, now), "reported_at": now, "updated_at": now, **values}
    return one_row(connection, _INSERTED, row | {"its_category": values["category"]})


def read_ticket(connection: Connection, number: int) -> Row:
    """The ticket of an id. Raises TicketUnknown."""
    found = first_row(connection, select(ticket).where(ticket.c.id == number))
    if found is None:
        raise TicketUnknown(f"no ticket {number}")
    return found


def update_ticket(connection: Connection, before: Row, now: int, **values: Any) -> Row | None:
    """Change a ticket that still has the status of `before`, and read it back; None when somebody was faster."""
    same = (ticket.c.id == before["id"]) & (ticket.c.status == before["status"])
    changed = update(ticket).where(same).values(updated_at=now, **values).returning(*ticket.c)
    return first_row(connection, changed)


def write_log(
    connection: Connection,
    changed: Row,
    at: int,
    action: str,
    reason: str,
    from_status: str | None,
    who: str = PLATFORM,
    opinion: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Append what was done to a ticket; `changed` is the ticket afterwards."""
    row = {
        "ticket": changed["id"],
        "at": at,
        "who": who,
        "action": action,
        "from_status": from_status,
        "to_status": changed["status"],
        "reason": reason,
        "opinion": opinion,
        "details": details or {},
    }
    connection.execute(insert(ticket_log), row)


def note(connection: Connection, about: Row, at: int, action: str, reason: str, **details: Any) -> None:
    """Append something that happened to a ticket without moving it."""
    write_log(connection, about, at, action, reason, about["status"], details=details)


def last_step(connection: Connection, number: int) -> Row | None:
    """The newest log row that moved the ticket."""
    steps = select(ticket_log).where(
        ticket_log.c.ticket == number, ticket_log.c.to_status != func.coalesce(ticket_log.c.from_status, "")
    )
    return first_row(connection, steps.order_by(ticket_log.c.id.desc()).limit(1))


def last_said(connection: Connection, number: int, who: str) -> Row | None:
    """The newest log row that somebody wrote on a ticket."""
    theirs = select(ticket_log).where(ticket_log.c.ticket == number, ticket_log.c.who == who)
    return first_row(connection, theirs.order_by(ticket_log.c.id.desc()).limit(1))


def live_tickets(connection: Connection, about: AlertFacts, metres: float) -> list[TicketFacts]:
    """The live tickets of an alert's hazard at its site or about so many metres around it, its own and its members'."""
    near = (ticket.c.site == about.site) | _around(about, metres)
    wanted = ((ticket.c.hazard == about.hazard) & near) | ticket.c.id.in_([about.ticket, *about.members])
    return _facts(connection, ticket.c.status.in_(sorted(LIVE)) & wanted)


def ended_tickets(connection: Connection, about: AlertFacts, since: int) -> list[TicketFacts]:
    """The tickets of an alert's hazard at its site that ended at or after `since`, and its own whenever it ended."""
    same = (ticket.c.hazard == about.hazard) & (ticket.c.site == about.site) & (ticket.c.closed_at >= since)
    return _facts(connection, ticket.c.status.in_(sorted(ENDED)) & (same | (ticket.c.id == about.ticket)))


def _around(about: AlertFacts, metres: float) -> Any:
    """A box that holds the circle."""
    if about.lng is None or about.lat is None:
        return false()
    north = metres / _METRES_A_DEGREE
    east = north / cos(radians(about.lat))
    return ticket.c.lat.between(about.lat - north, about.lat + north) & ticket.c.lng.between(
        about.lng - east, about.lng + east
    )


def _facts(connection: Connection, wanted: Any) -> list[TicketFacts]:
    last_alert = select(func.max(alert.c.opened_at)).where(alert.c.ticket == ticket.c.id).scalar_subquery()
    columns = [ticket.c[name] for name in ("id", "status", "site", "hazard", "lng", "lat")]
    found = connection.execute(
        select(*columns, func.coalesce(last_alert, ticket.c.reported_at), ticket.c.closed_at).where(wanted)
    )
    return [TicketFacts._make(row) for row in found]
