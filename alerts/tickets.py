"""A ticket's rows: its number, itself, and its append-only log."""

from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from alerts.lifecycle import ENDED, LIVE
from alerts.one_writer import insert_or
from alerts.rows import first_row, one_row
from alerts.tables import alert, ticket, ticket_log, ticket_number
from alerts.ticket_decisions import TicketFacts
from alerts.words import PLATFORM, Row
from core.clock import local


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
    """Write a new ticket under the next number and read it back."""
    row = {"number": next_number(connection, now), "reported_at": now, "updated_at": now, **values}
    return one_row(connection, insert(ticket).values(**row).returning(*ticket.c))


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
    connection.execute(
        insert(ticket_log).values(
            ticket=changed["id"],
            at=at,
            who=who,
            action=action,
            from_status=from_status,
            to_status=changed["status"],
            reason=reason,
            opinion=opinion,
            details=details or {},
        )
    )


def note(connection: Connection, about: Row, at: int, action: str, reason: str, **details: Any) -> None:
    """Append something that happened to a ticket without moving it."""
    write_log(connection, about, at, action, reason, about["status"], details=details)


def last_step(connection: Connection, number: int) -> Row | None:
    """The newest log row that moved the ticket."""
    steps = select(ticket_log).where(
        ticket_log.c.ticket == number, ticket_log.c.to_status != func.coalesce(ticket_log.c.from_status, "")
    )
    return first_row(connection, steps.order_by(ticket_log.c.id.desc()).limit(1))


def live_tickets(connection: Connection, hazard: str, own: int | None) -> list[TicketFacts]:
    """The live tickets of a hazard, and the live ticket `own`, with the time of their last alert."""
    return _facts(connection, ticket.c.status.in_(sorted(LIVE)) & _of(hazard, own))


def ended_tickets(connection: Connection, hazard: str, own: int | None, since: int) -> list[TicketFacts]:
    """The tickets of a hazard that ended at or after `since`, and `own` whenever it ended."""
    recent = (ticket.c.closed_at >= since) | (ticket.c.id == own)
    return _facts(connection, ticket.c.status.in_(sorted(ENDED)) & _of(hazard, own) & recent)


def _of(hazard: str, own: int | None) -> Any:
    return (ticket.c.hazard == hazard) | (ticket.c.id == own)


def _facts(connection: Connection, wanted: Any) -> list[TicketFacts]:
    last_alert = select(func.max(alert.c.opened_at)).where(alert.c.ticket == ticket.c.id).scalar_subquery()
    columns = [ticket.c[name] for name in ("id", "status", "site", "hazard", "lng", "lat")]
    found = connection.execute(
        select(*columns, func.coalesce(last_alert, ticket.c.reported_at), ticket.c.closed_at).where(wanted)
    )
    return [TicketFacts._make(row) for row in found]
