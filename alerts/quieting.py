"""Shelves, silences and maintenance windows in the database: set by somebody for a reason, until an end.

A quiet keeps alerts that open while it holds from having a ticket; a ticket that is there already goes on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from alerts.alert_rows import AlertUnknown, read_alert
from alerts.changes import Happened, record_changes
from alerts.lifecycle import Role
from alerts.matching import Labels, matcher, matches
from alerts.one_writer import hold_desk
from alerts.quiet_decisions import Quiet, quiet_of
from alerts.quiet_limits import LIMITS, QUIET_ROLES, Asked, QuietLimits, QuietRefused, check_quiet
from alerts.quiet_tables import quiet
from alerts.rows import first_row, one_row, rows
from alerts.wording import one_line
from alerts.words import Row
from core.clock import MINUTE

_DOUBLE_TAP = MINUTE


def shelve(
    connection: Connection,
    alert: int,
    who: str,
    role: Role,
    ends_at: int,
    reason: str,
    now: int,
    *,
    one_shot: bool = False,
    life_safety: bool = False,
    limits: QuietLimits = LIMITS,
) -> Row:
    """Shelve an open alert's rule on its subject until `ends_at`, with `one_shot` at most until it clears; the shelf.

    What is a matter of life and safety must be shelved as such. Raises QuietRefused.
    """
    hold_desk(connection)
    try:
        row = read_alert(connection, alert)
    except AlertUnknown as unknown:
        raise QuietRefused("unknown_alert") from unknown
    if row["state"] != "open":
        raise QuietRefused("not_open")
    if row["life_safety"] and not life_safety:
        raise QuietRefused("life_safety_named")
    names = ("rule", "rule"), ("subject_kind", "subject_kind"), ("subject", "subject_id")
    matchers = tuple(matcher(label, "=", row[name]) for label, name in names)
    asked = Asked("shelf", matchers, now, ends_at, reason, life_safety, one_shot)
    return set_quiet(connection, asked, who, role, now, limits)


def set_quiet(
    connection: Connection, asked: Asked, who: str, role: Role, now: int, limits: QuietLimits = LIMITS
) -> Row:
    """Write a shelf, silence or window that somebody asked for; its row. Raises QuietRefused.

    The same again within a minute, a double click, is the one that holds already.
    """
    hold_desk(connection)
    asked = asked._replace(reason=one_line(asked.reason))
    check_quiet(asked, role, now, limits)
    values = {
        "kind": asked.kind,
        "matchers": [each.as_json() for each in asked.matchers],
        "one_shot": asked.one_shot and asked.kind == "shelf",
        "life_safety": asked.life_safety,
        "starts_at": asked.starts_at,
        "ends_at": asked.ends_at,
        "schedule": dict(asked.schedule),
        "owner": who,
        "reason": asked.reason,
        "created_at": now,
        "ended_why": "",
    }
    if known := _just_set(connection, values, now):
        return known
    made = one_row(connection, insert(quiet).returning(*quiet.c), values)
    record_changes(connection, now, [_happened(made, "set")])
    return made


def _just_set(connection: Connection, wanted: Mapping[str, Any], now: int) -> Row | None:
    its = (quiet.c.owner == wanted["owner"], quiet.c.created_at > now - _DOUBLE_TAP, quiet.c.ended_at.is_(None))
    same = ("kind", "matchers", "one_shot", "life_safety", "schedule", "reason")
    for each in rows(connection, select(quiet).where(*its)):
        ends = abs(each["ends_at"] - wanted["ends_at"]) < _DOUBLE_TAP
        if ends and all(each[name] == wanted[name] for name in same):
            return each
    return None


def end_quiet(connection: Connection, number: int, who: str, role: Role, now: int) -> Row:
    """End a quiet before its time; what it holds is released within a second. Raises QuietRefused.

    Everybody who may quiet may end what anybody quieted: hearing more is never refused.
    """
    hold_desk(connection)
    found = first_row(connection, select(quiet).where(quiet.c.id == number))
    if found is None:
        raise QuietRefused("unknown_quiet")
    if role not in QUIET_ROLES:
        raise QuietRefused("not_allowed")
    if found["ended_at"] is not None or found["ends_at"] <= now:
        raise QuietRefused("over")
    ended = _end(connection, number, who, now, "by_hand")
    record_changes(connection, now, [_happened(ended, "ended")])
    return ended


def active_quiets(connection: Connection, now: int) -> list[Quiet]:
    """What may hold an alert now; of windows also those outside of whose hours it is."""
    column = quiet.c
    wanted = (column.ends_at > now, column.starts_at <= now, column.ended_at.is_(None))
    return [quiet_of(row) for row in rows(connection, select(quiet).where(*wanted).order_by(column.id))]


def end_one_shots(connection: Connection, quiets: Sequence[Quiet], labels: Labels, who: str, now: int) -> list[int]:
    """End the one-shot shelves among `quiets` whose alert closed; their ids."""
    over = [each.id for each in quiets if each.one_shot and matches(each.matchers, labels)]
    for number in over:
        _end(connection, number, who, now, "cleared")
    return over


def list_quiets(connection: Connection, now: int, ended_since: int | None = None, limit: int = 200) -> list[Row]:
    """What holds or will hold, the first to end first; with `ended_since` also what ended since, the newest first."""
    column = quiet.c
    live = (column.ends_at > now) & column.ended_at.is_(None)
    if ended_since is None:
        return rows(connection, select(quiet).where(live).order_by(column.ends_at, column.id).limit(limit))
    recent = live | (column.ends_at > ended_since)
    return rows(connection, select(quiet).where(recent).order_by(column.id.desc()).limit(limit))


def _end(connection: Connection, number: int, who: str, now: int, why: str) -> Row:
    over = update(quiet).where(quiet.c.id == number).values(ended_at=now, ended_by=who, ended_why=why)
    return one_row(connection, over.returning(*quiet.c))


def _happened(row: Row, action: str) -> Happened:
    kept: Mapping[str, Any] = {name: row[name] for name in ("kind", "owner", "reason", "starts_at", "ends_at")}
    return Happened("quiet", row["id"], {"action": action, **kept})
