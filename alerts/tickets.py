"""A ticket's rows: its number, itself, and its append-only log."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from alerts.case_tables import ticket_category
from alerts.lifecycle import ARROWS, Status
from alerts.one_writer import insert_or
from alerts.rows import first_row, one_row
from alerts.tables import ticket, ticket_log, ticket_number
from alerts.words import PLATFORM, Row
from core.clock import local

_ACCEPTANCE = select(ticket_category.c.acceptance).where(ticket_category.c.name == bindparam("its_category"))
_INSERTED = insert(ticket).values(acceptance=func.coalesce(_ACCEPTANCE.scalar_subquery(), "first")).returning(*ticket.c)
# built once: building a statement costs as much as executing it
_OF_ID = select(ticket).where(ticket.c.id == bindparam("its_id"))
_UPDATED = (
    update(ticket)
    .where(ticket.c.id == bindparam("its_id"), ticket.c.status == bindparam("its_status"))
    .returning(*ticket.c)
)
_LOGGED = insert(ticket_log)


class TicketUnknown(LookupError):
    """No ticket has this id."""


def next_number(connection: Connection, now: int) -> str:
    """The next ticket number of the local date, YYYYMMDD-NNNN; without gaps, as it goes back with the transaction."""
    today = local(now).strftime("%Y%m%d")
    last: int = connection.execute(_taken(connection.dialect.name), {"date": today, "last": 1}).scalar_one()
    return f"{today}-{last:04d}"


@cache
def _taken(dialect: str) -> Any:
    taken = insert_or(dialect, ticket_number)
    taken = taken.on_conflict_do_update(index_elements=["date"], set_={"last": ticket_number.c.last + 1})
    return taken.returning(ticket_number.c.last)


def insert_ticket(connection: Connection, now: int, **values: Any) -> Row:
    """Write a new ticket under the next number and read it back; who must accept it is its category's to say.

    One that begins as registered was verified and registered at the same moment.
    """
    admitted = {"verified_at": now, "registered_at": now} if values["status"] == Status.REGISTERED else {}
    row = {"number": next_number(connection, now), "reported_at": now, "updated_at": now, **admitted, **values}
    return one_row(connection, _INSERTED, row | {"its_category": values["category"]})


def read_ticket(connection: Connection, number: int) -> Row:
    """The ticket of an id. Raises TicketUnknown."""
    found = first_row(connection, _OF_ID, {"its_id": number})
    if found is None:
        raise TicketUnknown(f"no ticket {number}")
    return found


def update_ticket(connection: Connection, before: Row, now: int, **values: Any) -> Row | None:
    """Change a ticket that still has the status of `before`, and read it back; None when somebody was faster.

    Raises ValueError for a status to which no move of the table leads.
    """
    to = values.get("status", before["status"])
    if to != before["status"] and (before["status"], to) not in ARROWS:
        raise ValueError(f"no move leads from {before['status']} to {to}")
    same = {"its_id": before["id"], "its_status": before["status"]}
    return first_row(connection, _UPDATED, {**same, "updated_at": now, **values})


class Logged(NamedTuple):
    """One line of a ticket's log: `reason` is the named reason of a decision, `opinion` what a person wrote."""

    action: str
    from_status: str | None
    to_status: str
    reason: str
    details: dict[str, Any]
    who: str = PLATFORM
    opinion: str = ""


def write_logs(connection: Connection, ticket_id: int, at: int, lines: Sequence[Logged]) -> None:
    """Append several lines to a ticket's log in one go."""
    connection.execute(_LOGGED, [{"ticket": ticket_id, "at": at, **line._asdict()} for line in lines])


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
    connection.execute(_LOGGED, row)


def note(connection: Connection, about: Row, at: int, action: str, reason: str, **details: Any) -> None:
    """Append something that happened to a ticket without moving it."""
    write_log(connection, about, at, action, reason, about["status"], details=details)


def was_noted(connection: Connection, number: int, action: str) -> bool:
    """Whether a ticket's log has a row of an action."""
    its = select(ticket_log.c.id).where(ticket_log.c.ticket == number, ticket_log.c.action == action).limit(1)
    return connection.execute(its).first() is not None


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
