"""Tells another platform what becomes of the tickets that it handed in: each move once, in order, signed.

The append-only log is the outbox, so nothing that was committed is missed; what was told is kept beside what came in.
"""

from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy import ColumnElement, Engine, String, and_, cast, func, literal, or_, select, update

from alerts.case_tables import outside_message
from alerts.channels import Outcome
from alerts.channels.signed_webhook import IDEMPOTENCY_KEY, SIGNATURE, TIMESTAMP, judge, sign
from alerts.channels.transport import FAILED_REQUEST, json_body, outcome_of_failure
from alerts.lifecycle import ACTION_WORDS
from alerts.one_writer import insert_or
from alerts.outside_messages import who_of
from alerts.rows import first_row
from alerts.tables import ticket, ticket_log
from alerts.words import Row
from core.clock import DAY, MILLISECOND, MINUTE, SECOND
from core.database import reading, writing

TRIED = 7 * DAY
"""How long a move is tried that the platform does not take."""

_LOOK = SECOND
_OURS = MINUTE  # a try that is so old has no end any more: its process is gone
_WAITS = (5 * SECOND, 30 * SECOND, 2 * MINUTE, 5 * MINUTE)
_UNORDERED = 1000  # rows; so many log rows may be committed behind one with a higher number
_UNDER_WAY = 0


class MoveTeller:
    """One worker for one platform; several may share a database. It never has more than one request under way."""

    def __init__(self, engine: Engine, system: str, url: str, secret: bytes, client: httpx.Client) -> None:
        self._engine = engine
        self._system = system
        self._url = url
        self._secret = secret
        self._client = client
        self._outbox = f">{system}"
        self._floor = 0
        self._look_at = 0
        self._failures = 0
        self._claimed_at: int | None = None

    def step(self, now: int) -> int:
        """Tell the oldest move that was not told yet, if it is time; how many requests were made (0 or 1)."""
        if now < self._look_at:
            return 0
        row = self._next(now)
        if row is None:
            self._look_at = now + _LOOK
            return 0
        outcome = self._request(row, now)
        self._record(row, outcome, now)
        return 1

    def _next(self, now: int) -> Row | None:
        """Claim the oldest that is left; None too while another process has it under way, so that the order stays."""
        with reading(self._engine) as connection:
            found = first_row(connection, self._left(now))
            newest = connection.scalar(select(func.max(ticket_log.c.id))) or 0
        if found is None:
            self._floor = max(self._floor, newest - _UNORDERED)
            return None
        tried = found["tried_at"]
        if tried is not None and now - tried < _OURS and tried != self._claimed_at:
            return None
        if not self._claim(found, now):
            return None
        self._claimed_at = now
        return found

    def _left(self, now: int) -> Any:
        key = literal("log-") + cast(ticket_log.c.id, String)
        told = and_(outside_message.c.system == self._outbox, outside_message.c.key == key)
        its: ColumnElement[bool] = and_(
            ticket.c.source_system == self._system,
            ticket.c.outside_number.is_not(None),
            ticket_log.c.id > self._floor,
            ticket_log.c.at > now - TRIED,
            ticket_log.c.action.in_(sorted(ACTION_WORDS)),
            ticket_log.c.who != who_of(self._system),
        )
        left = or_(outside_message.c.id.is_(None), outside_message.c.status == _UNDER_WAY)
        columns = (ticket.c.number, ticket.c.outside_number, outside_message.c.received_at.label("tried_at"))
        joined = ticket_log.join(ticket, ticket.c.id == ticket_log.c.ticket).outerjoin(outside_message, told)
        return select(ticket_log, *columns).select_from(joined).where(its, left).order_by(ticket_log.c.id).limit(1)

    def _claim(self, row: Row, now: int) -> bool:
        common = {"ticket": row["ticket"], "status": _UNDER_WAY, "answer": ""}
        with writing(self._engine) as connection:
            if row["tried_at"] is None:
                new = insert_or(connection, outside_message).values(**self._key(row), received_at=now, **common)
                taken = new.on_conflict_do_nothing().returning(outside_message.c.id)
                return connection.scalar(taken) is not None
            same = and_(self._its(row), outside_message.c.received_at == row["tried_at"])
            return connection.execute(update(outside_message).where(same).values(received_at=now)).rowcount == 1

    def _request(self, row: Row, now: int) -> Outcome:
        body, timestamp = json_body(self._said(row)), str(now // SECOND)
        headers = {
            "Content-Type": "application/json",
            IDEMPOTENCY_KEY: f"move-{row['id']}",
            TIMESTAMP: timestamp,
            SIGNATURE: f"sha256={sign(self._secret, timestamp, body)}",
        }
        try:
            return judge(self._client.post(self._url, content=body, headers=headers), now)
        except FAILED_REQUEST as error:
            return outcome_of_failure(error)

    def _said(self, row: Row) -> dict[str, Any]:
        return {
            "move": row["id"],
            "number": row["outside_number"],
            "ticket": row["number"],
            "action": row["action"],
            "from": row["from_status"],
            "to": row["to_status"],
            "who": row["who"],
            "opinion": row["opinion"],
            "reason": row["reason"],
            "at": row["at"] // MILLISECOND,
            **_came_with(row["details"]),
        }

    def _record(self, row: Row, outcome: Outcome, now: int) -> None:
        """An end is kept; whatever may still succeed is tried again: the platform drops repeats by their key."""
        if outcome.state in ("retry", "uncertain"):
            wait = _WAITS[min(self._failures, len(_WAITS) - 1)]
            self._failures += 1
            self._look_at = now + max(wait, outcome.retry_after)
            status, answer = _UNDER_WAY, outcome.detail
        else:
            self._failures = 0
            status, answer = int(outcome.code) if outcome.code.isdigit() else 400, outcome.detail or "taken"
        with writing(self._engine) as connection:
            mine = and_(self._its(row), outside_message.c.status == _UNDER_WAY)  # what ended meanwhile stays ended
            connection.execute(update(outside_message).where(mine).values(status=status, answer=answer))

    def _key(self, row: Row) -> dict[str, str]:
        return {"system": self._outbox, "key": f"log-{row['id']}"}

    def _its(self, row: Row) -> ColumnElement[bool]:
        key = self._key(row)
        return and_(outside_message.c.system == key["system"], outside_message.c.key == key["key"])


def _came_with(details: Mapping[str, Any]) -> dict[str, Any]:
    """A false alarm's cause, until when (ms UTC), and the number of the ticket that another goes on in."""
    until = next((details[name] for name in ("until", "reply_by", "to") if details.get(name)), None)
    told = {
        "cause": details.get("cause"),
        "until": until and until // MILLISECOND,
        "into": details.get("number") if "into" in details else None,
    }
    return {name: value for name, value in told.items() if value}
