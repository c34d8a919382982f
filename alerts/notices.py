"""Notices: the outbox rows that go with an alert's or ticket's transaction, and the states that they pass."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from alerts.changes import Happened, record_changes
from alerts.facts import Facts, RuleText, gather_facts
from alerts.one_writer import insert_or
from alerts.quiet_hours import quiet_until, readable
from alerts.tables import contact, notice, person
from alerts.words import Recipient, Row
from core.clock import MINUTE
from detectors.words import Severity

TRANSITIONS: dict[str, frozenset[str]] = {
    "queued": frozenset({"sending", "expired", "failed"}),
    "sending": frozenset({"queued", "accepted", "failed", "uncertain", "expired", "acknowledged"}),
    "uncertain": frozenset({"queued", "accepted", "delivered", "failed", "expired", "acknowledged"}),
    "accepted": frozenset({"delivered", "acknowledged", "failed"}),
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
    quiet_hours: str = "",
) -> int:
    """Queue a notice for each recipient in the caller's transaction; how many were new.

    The same ticket as dispatched then, cause, alert, severity, count of re-openings, recipient and channel make the
    same notice: it is queued once, however often that is asked for. `occasion` tells apart what can happen to a ticket
    again (a rework). `due_at` may lie ahead (the morning digest). What is neither critical nor life-safety waits for
    the end of a person's quiet hours; `quiet_hours` are the town's, for whoever has none of their own. A notice is as
    urgent as its ticket, though what it tells of may be less so.
    """
    if not recipients:
        return 0
    facts = gather_facts(connection, ticket_row, alert_row, cause, rule)
    life_safety = facts.life_safety or ticket_row["life_safety"]
    severity = max(facts.severity, ticket_row["severity"])
    urgent = life_safety or severity >= Severity.CRITICAL
    mobiles = _mobiles(connection, recipients) if facts.severity >= Severity.CRITICAL else {}
    quiet = {} if urgent else quiet_hours_of(connection, recipients, quiet_hours)
    common = {
        "ticket": ticket_row["id"],
        "alert": alert_row["id"] if alert_row else None,
        "cause": cause,
        "life_safety": life_safety,
        "severity": severity,
    }
    made_at = max(now, ticket_row["dispatched_at"] or 0)
    key = f"{ticket_row['id']}:{cause}:{_subject_key(ticket_row, alert_row)}:{occasion}"
    body = msgspec.to_builtins(facts)
    if quiet_hours and not urgent:
        body["quiet_hours"] = quiet_hours  # whatever is told instead waits for their end too
    queued = [
        {
            **common,
            **notice_times(
                severity, made_at, quiet_until(quiet.get(to.code, "") if to.kind == "person" else "", due_at)
            ),
            "body": {**body, "mobiles": mobiles.get((to.kind, to.code, to.step), [])},
            **_to(to, key),
        }
        for to in recipients
    ]
    return _insert(connection, queued)


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


def changed(notices: Collection[int], state: str, reason: str) -> list[Happened]:
    """What pages are to hear of notices."""
    return [Happened("notice", number, {"state": state, "reason": reason}) for number in notices]


def tell(connection: Connection, notices: Collection[int], state: str, reason: str, now: int) -> None:
    """Let pages know; the last thing of a transaction."""
    record_changes(connection, now, changed(notices, state, reason))


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


def notice_times(severity: int, made_at: int, due_at: int) -> dict[str, int]:
    """When a notice is due, first tried, and too old to be sent (µs UTC).

    `made_at` is never before what made the notice, so that a clock that was set back makes nothing moot.
    """
    good_for = _CRITICAL_GOOD_FOR if severity >= Severity.CRITICAL else _GOOD_FOR
    return {"due_at": due_at, "not_after": due_at + good_for, "next_try_at": due_at, "created_at": made_at}


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


def insert_notices(connection: Connection, common: Mapping[str, Any], recipients: Sequence[Recipient], key: str) -> int:
    """Queue the same for each recipient; how many were new. `key` tells what it is about."""
    return _insert(connection, [{**common, **_to(to, key)} for to in recipients])


def _insert(connection: Connection, queued: list[dict[str, Any]]) -> int:
    """Queue what is not queued yet; how many were new."""
    if not queued:
        return 0
    return connection.execute(_added(connection.dialect.name), queued).rowcount


@cache
def _added(dialect: str) -> Any:
    """Built once, as every ticket queues some."""
    statement = insert_or(dialect, notice).on_conflict_do_nothing(index_elements=["key"])
    return statement.execution_options(preserve_rowcount=True)


def quiet_hours_of(connection: Connection, recipients: Sequence[Recipient], towns: str) -> dict[str, str]:
    """The quiet hours of those people among the recipients that have any; `towns` for whoever has none of their own."""
    people = [to.code for to in recipients if to.kind == "person"]
    if not people:
        return {}
    found = connection.execute(select(person.c.code, person.c.quiet_hours).where(person.c.code.in_(people)))
    return {row.code: hours for row in found if (hours := readable(row.quiet_hours) or towns)}


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
