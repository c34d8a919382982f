"""Edits of the desk's tables, one row each: who changed what, when, from what to what; nothing ever changes a row."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from alerts.case_tables import desk_edit
from alerts.rows import rows
from alerts.words import Row

Values = dict[str, Any]


class Edit(NamedTuple):
    """One edit of one row, `what` (category, class) by its `code`; `before` None: it is new. `at` µs UTC."""

    id: int
    at: int
    who: str
    what: str
    code: str
    before: Values | None
    after: Values

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """By column what it was and is; of a new row all that it has.

        >>> Edit(1, 0, "root", "class", "C01", {"name": "甲", "retired": 0}, {"name": "乙", "retired": 0}).changed
        {'name': ('甲', '乙')}
        """
        was = self.before or {}
        return {name: (was.get(name), now) for name, now in self.after.items() if name not in was or was[name] != now}


def record_edit(
    connection: Connection, what: str, code: str, before: Values | None, after: Values, who: str, now: int
) -> None:
    """Write an edit down in its own transaction; one that changes nothing is none."""
    if before != after:
        row = {"at": now, "who": who, "what": what, "code": code, "before": before, "after": after}
        connection.execute(insert(desk_edit), row)


def edits(connection: Connection, limit: int, before: int | None = None) -> list[Edit]:
    """The edits, the newest first; `before` is the id of the last one that was seen."""
    found = select(desk_edit).order_by(desk_edit.c.id.desc()).limit(limit)
    return [_edit(row) for row in rows(connection, found if before is None else found.where(desk_edit.c.id < before))]


def _edit(row: Row) -> Edit:
    return Edit(**row)
