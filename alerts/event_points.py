"""Changes of alerts, tickets and notices as points for charts: measurements `alert`, `ticket` and `notice`.

A point's tags and moment follow from the change row and from what never changes about its subject, so that the same
change makes the same point whenever it is read. Nothing here names a person. Drills are practice, and make none.

- `alert`: tags rule, hazard, severity, grid, village, site, device or gateway; fields id, action, state (1 open,
  0 closed), level, value, limit, open_s (seconds since it opened), ticket.
- `ticket`: tags category, hazard, severity, grid, village, site, team, status; fields id, number, action, made_s
  (seconds since it was reported), left_s (to its time, negative behind it), on_time (1 or 0, of one that is handled).
- `notice`: tags channel, outcome; fields id, ticket, attempts, request_s (seconds from when it was due to its request).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from alerts.changes import Change
from alerts.lifecycle import Status
from alerts.rows import rows
from alerts.tables import alert, notice, ticket
from alerts.words import Row
from core.clock import SECOND
from devices.tables import grid
from ingest.points import Point

_APART = 10_000
"""µs: what one transaction did has one moment, and so many points of equal tags find a µs each by the change's id."""
_HANDLED = (Status.HANDLED, Status.FALSE_ALARM)
_READ: Mapping[str, tuple[Table, tuple[str, ...]]] = {
    "alert": (alert, ("id", "rule", "hazard", "subject_kind", "subject_id", "site", "grid", "opened_at")),
    "ticket": (ticket, ("id", "category", "hazard", "site", "grid", "done_by", "reported_at", "drill")),
    "notice": (notice, ("id", "ticket", "channel", "due_at", "requested_at", "attempts")),
}
_REAL = {"value", "limit", "open_s", "made_s", "left_s", "request_s"}
"""Fields that are floats, however whole."""


def points_of(connection: Connection, changes: Sequence[Change]) -> list[Point]:
    """The points of these changes, in their order; other kinds of change make none."""
    about = {kind: _about(connection, kind, changes) for kind in _READ}
    villages = {row.code: row.village for row in connection.execute(select(grid.c.code, grid.c.village))}
    return [
        point
        for change in changes
        if (row := about.get(change.kind, {}).get(change.id_of)) is not None
        for point in _MADE_OF[change.kind](change, row, villages)
    ]


def _about(connection: Connection, kind: str, changes: Sequence[Change]) -> dict[int, Row]:
    table, names = _READ[kind]
    numbers = sorted({change.id_of for change in changes if change.kind == kind})
    asked = select(*(table.c[name] for name in names)).where(table.c.id.in_(numbers))
    return {row["id"]: row for row in rows(connection, asked)}


def _alert(change: Change, row: Row, villages: Mapping[str, str]) -> Iterator[Point]:
    what = change.what
    tags = {
        "rule": row["rule"],
        "hazard": row["hazard"],
        "severity": str(what["severity"]),
        "site": row["site"],
        **_place(row["grid"], villages),
        **({row["subject_kind"]: row["subject_id"]} if row["subject_kind"] in ("device", "gateway") else {}),
    }
    fields = {
        "id": change.id_of,
        "action": what["action"],
        "state": int(what["state"] == "open"),
        "level": what["level"],
        "value": what.get("value"),
        "limit": what.get("limit"),
        "open_s": (change.at - row["opened_at"]) / SECOND,
        "ticket": what["ticket"],
    }
    yield _point("alert", tags, fields, change)


def _ticket(change: Change, row: Row, villages: Mapping[str, str]) -> Iterator[Point]:
    if row["drill"] is not None:
        return
    what = {**row, **change.what}  # an older program told less of a change
    left = None if what["done_by"] is None else what["done_by"] - change.at
    tags = {
        "category": what["category"],
        "hazard": what["hazard"],
        "severity": str(what["severity"]),
        "site": what["site"],
        **_place(what["grid"], villages),
        "team": what["team"],
        "status": what["status"],
    }
    fields = {
        "id": change.id_of,
        "number": what["number"],
        "action": what["action"],
        "made_s": (change.at - row["reported_at"]) / SECOND,
        "left_s": None if left is None else left / SECOND,
        "on_time": int(left >= 0) if left is not None and what["status"] in _HANDLED else None,
    }
    yield _point("ticket", tags, fields, change)


def _notice(change: Change, row: Row, _villages: Mapping[str, str]) -> Iterator[Point]:
    asked = row["requested_at"]
    fields = {
        "id": change.id_of,
        "ticket": row["ticket"],
        "attempts": row["attempts"],
        "request_s": None if asked is None else (asked - row["due_at"]) / SECOND,
    }
    yield _point("notice", {"channel": row["channel"], "outcome": change.what["state"]}, fields, change)


_MADE_OF = {"alert": _alert, "ticket": _ticket, "notice": _notice}


def _place(code: str | None, villages: Mapping[str, str]) -> dict[str, str | None]:
    return {"grid": code, "village": villages.get(code or "")}


def _point(measurement: str, tags: Mapping[str, str | None], fields: Mapping[str, Any], change: Change) -> Point:
    told = {name: value for name, value in fields.items() if value is not None}
    for name in _REAL & told.keys():
        told[name] = float(told[name])
    return Point(measurement, {name: text for name, text in tags.items() if text}, told, change.at + change.id % _APART)
