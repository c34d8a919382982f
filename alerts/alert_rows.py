"""An alert's rows: finding an episode, opening it, keeping it up to date, closing it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, literal_column, select, text, tuple_, update
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from alerts.rows import first_row, one_row, rows
from alerts.tables import alert
from alerts.words import Row
from detectors.words import Detection, Severity

IS_OPEN = alert.c.state == literal_column("'open'")
"""Written as a literal, so that the database sees that the indexes over open alerts fit."""
_SAME = (
    alert.c.subject_kind == bindparam("kind"),
    alert.c.subject_id == bindparam("subject"),
    alert.c.rule == bindparam("of_rule"),
)
# built once: building a statement costs as much as executing it
_OPEN = select(alert).where(*_SAME, IS_OPEN)
_NEWEST = select(alert).where(*_SAME).order_by(alert.c.onset.desc()).limit(bindparam("most"))
_TICKET_BEFORE = (
    select(alert.c.ticket).where(*_SAME, alert.c.ticket.is_not(None)).order_by(alert.c.onset.desc()).limit(1)
)
_EPISODE = select(alert).where(*_SAME, alert.c.onset == bindparam("begun"))
_OF_ID = select(alert).where(alert.c.id == bindparam("number"))
_INSERT = insert(alert).returning(alert.c.id)
_WRITTEN = insert(alert)
_TAKEN_IDS = text("SELECT nextval(pg_get_serial_sequence('alert', 'id')) FROM generate_series(1, :count)")
_NEWEST_ID = select(func.coalesce(func.max(alert.c.id), 0))
_BLANK: Row = {
    column.name: column.default.arg if isinstance(column.default, ScalarElementColumnDefault) else None
    for column in alert.c
}
_UPDATE = update(alert).where(alert.c.id == bindparam("number")).returning(*alert.c)
_PLACED = update(alert).where(alert.c.id == bindparam("number"))
_ANY_OPEN = select(alert.c.id).where(alert.c.ticket == bindparam("of_ticket"), IS_OPEN)
_NEWEST_OPEN = _ANY_OPEN.order_by(alert.c.id.desc()).limit(1)


class AlertUnknown(LookupError):
    """No alert has this id."""


def open_alert(connection: Connection, detection: Detection) -> Row | None:
    """The open alert of the detection's subject and rule."""
    return first_row(connection, _OPEN, _same(detection))


def newest_episodes(connection: Connection, detection: Detection, most: int = 3) -> list[Row]:
    """The newest alerts of the detection's subject and rule, open or closed, the newest onset first."""
    return rows(connection, _NEWEST, {**_same(detection), "most": most})


def same_episode(connection: Connection, detection: Detection, newest: Sequence[Row]) -> Row | None:
    """The alert, open or closed, of the detection's subject, rule and onset; `newest` are its newest episodes."""
    known = next((each for each in newest if each["onset"] == detection.onset), None)
    if known or not newest or newest[-1]["onset"] < detection.onset:
        return known
    return first_row(connection, _EPISODE, {**_same(detection), "begun": detection.onset})


def read_alert(connection: Connection, number: int) -> Row:
    """The alert of an id. Raises AlertUnknown."""
    found = first_row(connection, _OF_ID, {"number": number})
    if found is None:
        raise AlertUnknown(f"no alert {number}")
    return found


def open_alerts_of(connection: Connection, ticket: int) -> list[Row]:
    """A ticket's open alerts, the worst first."""
    found = select(alert).where(alert.c.ticket == ticket, IS_OPEN)
    return rows(connection, found.order_by(alert.c.severity.desc(), alert.c.id))


def worst_alert(connection: Connection, ticket: int) -> Row | None:
    """What a ticket is about: its most severe open alert, else its most severe one; None when it has none."""
    order = ((alert.c.state == "open").desc(), alert.c.severity.desc(), alert.c.id)
    return first_row(connection, select(alert).where(alert.c.ticket == ticket).order_by(*order).limit(1))


def any_open(connection: Connection, ticket: int) -> bool:
    """Whether an alert of a ticket is open; the newest is looked at first, as what opened first often ends first."""
    return first_row(connection, _NEWEST_OPEN, {"of_ticket": ticket}) is not None


def tickets_of_members(connection: Connection, evidence: dict[str, Any]) -> tuple[int, ...]:
    """The tickets of the open alerts that a compound's evidence names."""
    named = [(each["rule"], each["device"]) for each in evidence.get("members", ())]
    if not named:
        return ()
    its = (alert.c.subject_kind == "device") & tuple_(alert.c.rule, alert.c.subject_id).in_(named)
    found = select(alert.c.ticket).where(its, IS_OPEN, alert.c.ticket.is_not(None)).distinct()
    return tuple(connection.execute(found.order_by(alert.c.ticket)).scalars())


def ticket_before(connection: Connection, row: Row) -> tuple[int, ...]:
    """The ticket of the newest episode of an alert's subject and rule that had one."""
    same = {"kind": row["subject_kind"], "subject": row["subject_id"], "of_rule": row["rule"]}
    found = first_row(connection, _TICKET_BEFORE, same)
    return (found["ticket"],) if found else ()


def insert_alert(connection: Connection, **values: Any) -> Row:
    """Write a new alert, which is then as given; the unique constraints refuse a second one of its episode."""
    number = connection.execute(_INSERT, values).scalar_one()
    return {**_BLANK, "evidence": {}, **values, "id": number}


def insert_alerts(connection: Connection, values: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Write new alerts in one go, as `insert_alert` each; all name the same columns."""
    numbers = _next_ids(connection, len(values))
    written = [{**each, "id": number} for each, number in zip(values, numbers, strict=True)]
    connection.execute(_WRITTEN, written)
    return [{**_BLANK, "evidence": {}, **each} for each in written]


def _next_ids(connection: Connection, count: int) -> Sequence[int]:
    """Ids that nobody else gets: with them known beforehand, many rows go in one round trip."""
    if connection.dialect.name == "postgresql":
        return connection.scalars(_TAKEN_IDS, {"count": count}).all()
    newest: int = connection.execute(_NEWEST_ID).scalar_one()
    return range(newest + 1, newest + count + 1)


def update_alert(connection: Connection, number: int, **values: Any) -> Row:
    """Change an alert and read it back."""
    return one_row(connection, _UPDATE, {"number": number, **values})


def put_on_ticket(connection: Connection, row: Row, ticket: int) -> Row:
    """Name an alert's ticket; the alert afterwards."""
    connection.execute(_PLACED, {"number": row["id"], "ticket": ticket})
    return {**row, "ticket": ticket}


def close_row(connection: Connection, number: int, how: str, now: int) -> Row:
    """Close an alert: recovered, by_hand, rule_withdrawn, retired or schedule_ended."""
    closed = {"state": "closed", "closed_how": how, "closed_at": now, "updated_at": now, "level": int(Severity.NONE)}
    return update_alert(connection, number, **closed, held=None, held_by=None)


def measured(detection: Detection) -> dict[str, Any]:
    """What a detection says of the severity that it has: value, limit and reasons belong together."""
    return {
        "level": int(detection.severity),
        "value": detection.value,
        "limit": detection.limit,
        "age": detection.age,
        "reason": detection.reason,
        "evidence": detection.evidence,
        "rules_version": detection.rules_version,
    }


def _same(detection: Detection) -> dict[str, str]:
    kind, code = detection.subject
    return {"kind": kind, "subject": code, "of_rule": detection.rule}
