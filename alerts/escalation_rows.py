"""The rows of escalation: every live ticket's next step, kept true in the transaction that changes the ticket."""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, cast, func, select

from alerts.escalation import Done, DueStep, Next, Progress, Snapshot, decide_next, snapshot
from alerts.escalation_tables import escalation, escalation_run
from alerts.lifecycle import LIVE
from alerts.one_writer import insert_or
from alerts.rows import rows
from alerts.settings import DeskSettings
from alerts.tables import ticket
from alerts.words import Row

_AT_ONCE = 500
_upserts: dict[str, Any] = {}  # by dialect: making one takes as long as carrying it out
_FACTS = (
    *("id", "number", "status", "source", "severity", "life_safety", "accept_by", "arrive_by", "done_by"),
    *("reported_at", "dispatched_at", "accepted_at", "on_scene_at", "handled_at", "checked_at"),
    *("supervised_at", "replied_at", "reply_by", "resume_at", "suspended_from"),
)


def schedule(connection: Connection, numbers: Collection[int], now: int, settings: DeskSettings) -> None:
    """Write what is due next for tickets that changed; call it when they are as they stay in this transaction.

    A ticket that ended before it ever had a next step gets no row.
    """
    for some in _chunks(sorted(numbers)):
        before = standing(connection, some)
        done = progress(connection, some) if before else {}
        written = []
        for each in rows(connection, facts().where(ticket.c.id.in_(some))):
            known = before.get(each["id"])
            if known is None and each["status"] not in LIVE:
                continue
            ran = done.get(each["id"], {})
            own = snapshot(each, Snapshot.from_json(known["policy"]) if known else None, now, settings.escalation, ran)
            step = decide_next(each, own, ran, settings.calendar)
            written.append(_row(each["id"], own, step, now))
        if written:
            _write(connection, written)


@cache
def facts() -> Select[Any]:
    """The columns of tickets that decide; `told_at` is when their people are told."""
    told_at = cast(ticket.c.assignment["due_at"].as_string(), BigInteger).label("told_at")
    return select(*(ticket.c[name] for name in _FACTS), told_at)


def standing(connection: Connection, numbers: Sequence[int]) -> dict[int, Row]:
    """The rows of tickets, by ticket."""
    found = rows(connection, select(escalation).where(escalation.c.ticket.in_(numbers)))
    return {each["ticket"]: each for each in found}


def progress(connection: Connection, numbers: Sequence[int]) -> dict[int, Done]:
    """How far each stage of each ticket has come."""
    run = escalation_run.c
    keys = (run.ticket, run.stage, run.began_at, run.step)
    reached = select(*keys, func.max(run.due_at)).where(run.ticket.in_(numbers)).group_by(*keys).order_by(run.step)
    found: dict[int, dict[tuple[str, int], Progress]] = {}
    for number, stage, began_at, step, due_at in connection.execute(reached):
        found.setdefault(number, {})[stage, began_at] = Progress(step, due_at)
    return dict(found)


def due_tickets(connection: Connection, now: int, limit: int) -> list[int]:
    """The tickets with a step due, the longest due first."""
    due = select(escalation.c.ticket).where(escalation.c.state == "scheduled", escalation.c.next_at <= now)
    return list(connection.scalars(due.order_by(escalation.c.next_at, escalation.c.ticket).limit(limit)))


def due_among(connection: Connection, numbers: Sequence[int], now: int) -> list[int]:
    """Those of some tickets that have a step due."""
    due = (escalation.c.state == "scheduled") & (escalation.c.next_at <= now)
    return list(connection.scalars(select(escalation.c.ticket).where(escalation.c.ticket.in_(numbers), due)))


def write_run(connection: Connection, number: int, step: DueStep, did: str, told: int, reason: str, now: int) -> None:
    """Append what was done; the same step twice is refused by the database."""
    place = {"stage": step.stage, "began_at": step.began_at, "step": step.step, "due_at": step.due_at}
    connection.execute(
        escalation_run.insert(), {"ticket": number, **place, "ran_at": now, "did": did, "told": told, "reason": reason}
    )


def _row(number: int, own: Snapshot, step: Next, now: int) -> dict[str, Any]:
    return {"ticket": number, **step._asdict(), "policy": own.as_json(), "updated_at": now}


def _write(connection: Connection, written: list[dict[str, Any]]) -> None:
    known = _upserts.get(connection.dialect.name)
    if known is None:
        row = insert_or(connection, escalation)
        changed = {name: row.excluded[name] for name in written[0] if name != "ticket"}
        known = row.on_conflict_do_update(index_elements=["ticket"], set_=changed)
        _upserts[connection.dialect.name] = known
    connection.execute(known, written)


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[at : at + _AT_ONCE] for at in range(0, len(numbers), _AT_ONCE))
