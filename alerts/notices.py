"""Notices: the outbox rows that go with an alert's or ticket's transaction, and the states that they pass."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, update

from alerts.changes import Happened, record_changes
from alerts.facts import Facts, RuleText, gather_facts
from alerts.lifecycle import ENDED
from alerts.one_writer import insert_or
from alerts.rows import rows
from alerts.tables import contact, notice, person, ticket
from alerts.words import Recipient, Row
from core.clock import MINUTE
from detectors.words import Severity

TRANSITIONS: dict[str, frozenset[str]] = {
    "queued": frozenset({"sending", "expired", "failed"}),
    "sending": frozenset({"queued", "accepted", "failed", "uncertain", "expired", "acknowledged"}),
    "uncertain": frozenset({"queued", "accepted", "failed", "expired", "acknowledged"}),
    "accepted": frozenset({"delivered", "acknowledged"}),
    "delivered": frozenset({"acknowledged"}),
    "acknowledged": frozenset(),
    "failed": frozenset(),
    "expired": frozenset(),
}
"""From which state a notice may come to which; nothing else ever changes a state."""

_GOOD_FOR = 15 * MINUTE
_CRITICAL_GOOD_FOR = 60 * MINUTE


def enqueue(
    connection: Connection,
    ticket_row: Row,
    alert_row: Row | None,
    recipients: Sequence[Recipient],
    cause: str,
    now: int,
    due_at: int,
    *,
    rule: RuleText | None = None,
    occasion: int = 0,
) -> int:
    """Queue a notice for each recipient in the caller's transaction; how many were new.

    The same ticket as dispatched then, cause, alert, severity, count of re-openings, recipient and channel make the
    same notice: it is queued once, however often that is asked for. `occasion` tells apart what can happen to a ticket
    again (a rework). `due_at` may lie ahead (the morning digest).
    """
    if not recipients:
        return 0
    facts = gather_facts(connection, ticket_row, alert_row, cause, rule)
    mobiles = _mobiles(connection, recipients) if facts.severity >= Severity.CRITICAL else {}
    common = {
        "ticket": ticket_row["id"],
        "alert": alert_row["id"] if alert_row else None,
        "cause": cause,
        "life_safety": facts.life_safety,
        "severity": facts.severity,
        **_times(facts.severity, now, due_at),
    }
    key = f"{ticket_row['id']}:{cause}:{_subject_key(ticket_row, alert_row)}:{occasion}"
    bodies = (msgspec.structs.replace(facts, mobiles=mobiles.get((to.kind, to.code, to.step), [])) for to in recipients)
    queued = zip(recipients, bodies, strict=True)
    return _insert(connection, [{**common, "body": msgspec.to_builtins(body), **_to(to, key)} for to, body in queued])


def escalate_unproven(connection: Connection, row: Row, now: int) -> int:
    """Tell the recipients of the ticket's next step what a lost notice should have said; how many were new."""
    assignment = connection.scalar(select(ticket.c.assignment).where(ticket.c.id == row["ticket"]))
    following = next_step(recipients_of(connection, assignment or {}), row["step"])
    told = {name: row[name] for name in ("ticket", "alert", "life_safety", "severity")}
    body = {**row["body"], "cause": "uncertain", "mobiles": []}
    about = row["key"].rsplit(":", 3)[0]  # one for all the recipients of a step
    key = f"uncertain:{about.removeprefix('uncertain:')}"
    common = {**told, "cause": "uncertain", "body": body, **_times(row["severity"], now, now)}
    return _insert(connection, [{**common, **_to(to, key)} for to in following])


def recipients_of(connection: Connection, assignment: Row) -> list[Recipient]:
    """Whom a stored assignment chose, over all its steps, at the addresses that they have now.

    A person's second and further channels are a step later each; a team's and a station's are told together.
    """
    found: list[Recipient] = []
    for chosen in assignment.get("candidates", ()):
        if not chosen["chosen"]:
            continue
        owned = and_(contact.c.owner_kind == chosen["kind"], contact.c.owner == chosen["code"])
        for place, row in enumerate(connection.execute(select(contact).where(owned).order_by(contact.c.id))):
            step = (chosen["step"] or 0) + (place if chosen["kind"] == "person" else 0)
            found.append(Recipient(chosen["kind"], chosen["code"], row.channel, row.address, step))
    return found


def next_step(recipients: Iterable[Recipient], step: int) -> list[Recipient]:
    """The recipients of the first step after `step`; empty when there is none."""
    later = [to for to in recipients if to.step > step]
    first = min((to.step for to in later), default=0)
    return [to for to in later if to.step == first]


def acknowledge(connection: Connection, ticket: int, who: str, now: int) -> int:
    """A person has acted on a ticket: what was sent to them, their team or their station is read; how many were.

    Proof enough for an uncertain notice too.
    """
    theirs = (notice.c.recipient_kind == "person") & (notice.c.recipient == who)
    member = connection.execute(select(person.c.team, person.c.station).where(person.c.code == who)).first()
    groups = (("team", member.team), ("station", member.station)) if member else ()
    addressed = [and_(notice.c.recipient_kind == kind, notice.c.recipient == code) for kind, code in groups if code]
    where = and_(notice.c.ticket == ticket, or_(theirs, *addressed))
    return len(change_state(connection, where, "acknowledged", acknowledged_at=now, claimed_by=None))


def expire(connection: Connection, now: int) -> list[int]:
    """What is not to be sent any more is expired and shown with its reason, never sent; the ids."""
    expired = {
        number: reason
        for reason, which in _moot(now).items()
        for number in change_state(connection, which, "expired", sources={"queued"}, error=reason)
    }
    record_changes(connection, now, [_changed(number, "expired", why) for number, why in expired.items()])
    return list(expired)


def moot(now: int) -> ColumnElement[bool]:
    """Notices that are not to be sent any more, should they still wait."""
    return or_(*_moot(now).values())


def _moot(now: int) -> dict[str, ColumnElement[bool]]:
    return {"not_sent_in_time": notice.c.not_after <= now, **_overtaken()}


@cache
def _overtaken() -> dict[str, ColumnElement[bool]]:
    """What happened since makes a notice moot; made once, as every sender asks ten times a second."""
    its_ticket = exists().where(ticket.c.id == notice.c.ticket)
    return {
        "ticket_over": its_ticket.where(ticket.c.status.in_(sorted(ENDED))),
        "dispatched_anew": its_ticket.where(ticket.c.dispatched_at > notice.c.created_at),
        "superseded": _told_sooner(),
    }


def _told_sooner() -> ColumnElement[bool]:
    """A later notice of the same ticket went, or goes, to the same recipient before this one is due."""
    later = notice.alias("later")
    same = (later.c[name] == notice.c[name] for name in ("ticket", "recipient_kind", "recipient", "channel"))
    return exists().where(*same, later.c.id > notice.c.id, later.c.due_at < notice.c.due_at)


def refuse_unknown(connection: Connection, channels: Collection[str], now: int) -> int:
    """Fail what waits for a channel that is not in `channels`; a life-safety notice goes to the next step at once.

    How many failed. `channels` are all that are configured; call it every few seconds, in a transaction of its own.
    """
    unknown = and_(notice.c.state == "queued", notice.c.channel.not_in(list(channels)))
    failed: list[int] = []
    while waiting := rows(connection, select(notice).where(unknown).order_by(notice.c.id)):
        failed += change_state(connection, unknown, "failed", sources={"queued"}, error="no_such_channel")
        for row in waiting:
            escalate_failed(connection, row, now)
    record_changes(connection, now, [_changed(number, "failed", "no_such_channel") for number in failed])
    return len(failed)


def escalate_failed(connection: Connection, row: Row, now: int) -> int:
    """Where life is at stake the next step is told at once that a notice failed; how many were new."""
    return escalate_unproven(connection, row, now) if row["life_safety"] else 0


def tell(connection: Connection, notices: Collection[int], state: str, reason: str, now: int) -> None:
    """Let pages know; the last thing of a transaction."""
    record_changes(connection, now, [_changed(number, state, reason) for number in notices])


def _changed(number: int, state: str, reason: str) -> Happened:
    return Happened("notice", number, {"state": state, "reason": reason})


def change_state(
    connection: Connection, where: ColumnElement[bool], to: str, *, sources: Iterable[str] = (), **values: Any
) -> list[int]:
    """Move the notices that `where` selects, and whose state allows it, to a state; the ids that moved.

    `sources` narrows the states that may move.
    """
    allowed = {state for state, targets in TRANSITIONS.items() if to in targets}
    allowed &= set(sources) or allowed
    moving = and_(where, notice.c.state.in_(sorted(allowed)))
    if connection.dialect.name == "postgresql":
        # two that move the same rows, each in an order of its own, would wait for each other for ever
        connection.execute(select(notice.c.id).where(moving).order_by(notice.c.id).with_for_update())
    moved = update(notice).where(moving).values(state=to, **values)
    return list(connection.scalars(moved.returning(notice.c.id)))


def facts_of(row: Row) -> Facts:
    """The facts of a notice row."""
    return msgspec.convert(row["body"], Facts)


def _subject_key(ticket_row: Row, alert_row: Row | None) -> str:
    sent = ticket_row["dispatched_at"] or 0  # a ticket that was returned and is dispatched again is news
    if alert_row is None:
        return f"-:{ticket_row['severity']}:0:{sent}"
    return f"{alert_row['id']}:{alert_row['severity']}:{alert_row['reopened']}:{sent}"


def _times(severity: int, now: int, due_at: int) -> dict[str, int]:
    good_for = _CRITICAL_GOOD_FOR if severity >= Severity.CRITICAL else _GOOD_FOR
    return {"due_at": due_at, "not_after": due_at + good_for, "next_try_at": due_at, "created_at": now}


def _to(to: Recipient, key: str) -> dict[str, Any]:
    return {
        "key": f"{key}:{to.kind}:{to.code}:{to.channel}",
        "step": to.step,
        "channel": to.channel,
        "recipient_kind": to.kind,
        "recipient": to.code,
        "address": to.address,
        "state": "queued",
    }


def _insert(connection: Connection, queued: list[dict[str, Any]]) -> int:
    """Queue what is not queued yet; how many were new."""
    if not queued:
        return 0
    added = insert_or(connection, notice).on_conflict_do_nothing(index_elements=["key"]).returning(notice.c.id)
    return len(connection.execute(added, queued).all())


def _mobiles(connection: Connection, recipients: Sequence[Recipient]) -> dict[tuple[str, str, int], list[str]]:
    """The numbers of the people told in a step, by their team and station in that step: whom a group can mention."""
    steps = {to.code: to.step for to in recipients if to.kind == "person"}
    columns = (person.c.code, person.c.phone, person.c.team, person.c.station)
    numbers: dict[tuple[str, str, int], list[str]] = {}
    for row in connection.execute(select(*columns).where(person.c.code.in_(list(steps)), person.c.phone != "")):
        for kind, code in (("team", row.team), ("station", row.station)):
            if code:
                numbers.setdefault((kind, code, steps[row.code]), []).append(row.phone)
    return numbers
