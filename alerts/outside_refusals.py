"""What came to nothing between us and other platforms: moves that they refused, tickets and moves that we refused."""

import json
from typing import Literal, NamedTuple

from sqlalchemy import Connection, select

from alerts.case_tables import outside_message
from alerts.rows import rows
from alerts.tables import ticket
from alerts.words import Row
from core.clock import DAY

RECENT = 7 * DAY
_REFUSED = 400


class Refused(NamedTuple):
    """One request: `way` is "out" for a move that we told, "in" for what the platform sent us.

    `number` is the ticket's, if it is one; `why` what the answer said.
    """

    way: Literal["in", "out"]
    system: str
    key: str
    number: str | None
    status: int
    why: str
    at: int


def refused_outside(connection: Connection, now: int, limit: int = 50) -> list[Refused]:
    """The refusals of the last seven days, the newest first."""
    message = outside_message.c
    its = (message.status >= _REFUSED, message.received_at > now - RECENT)
    joined = outside_message.outerjoin(ticket, ticket.c.id == message.ticket)
    query = select(outside_message, ticket.c.number).select_from(joined).where(*its)
    return [_refused(row) for row in rows(connection, query.order_by(message.id.desc()).limit(limit))]


def _refused(row: Row) -> Refused:
    out = row["system"].startswith(">")
    why = row["answer"] if out else _said(row["answer"])
    system = row["system"].removeprefix(">")
    return Refused("out" if out else "in", system, row["key"], row["number"], row["status"], why, row["received_at"])


def _said(answer: str) -> str:
    error = json.loads(answer).get("error", {})
    return " ".join(str(error[name]) for name in ("code", "detail") if error.get(name))
