"""The event table: what happened to alerts, tickets and notices, in the order in which it became visible."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, func, insert, select

from alerts.event_tables import change, change_counter
from alerts.one_writer import insert_or

Kind = Literal["alert", "ticket", "notice", "quiet", "storm"]


class Happened(NamedTuple):
    """Something that changed and has no id yet: `what` holds plain JSON values for a page."""

    kind: Kind
    id_of: int
    what: dict[str, Any]


class Change(NamedTuple):
    """A row of the event table; `at` in µs UTC."""

    id: int
    at: int
    kind: str
    id_of: int
    what: dict[str, Any]


def record_changes(connection: Connection, at: int, happened: Sequence[Happened]) -> int:
    """Give ids to what happened and write it; the last id, 0 when there was nothing.

    Call it as the last thing of the transaction: the counter's row stays locked until the commit, so ids become
    visible in their order and a page that has seen n misses nothing when it asks for what came after n.
    """
    if not happened:
        return 0
    taken = insert_or(connection, change_counter).values(one=1, last=len(happened))
    taken = taken.on_conflict_do_update(
        index_elements=["one"], set_={"last": change_counter.c.last + len(happened)}
    ).returning(change_counter.c.last)
    last: int = connection.execute(taken).scalar_one()
    first = last - len(happened) + 1
    rows = [{"id": first + place, "at": at, **each._asdict()} for place, each in enumerate(happened)]
    connection.execute(insert(change), rows)
    return last


def changes_after(connection: Connection, seen: int, limit: int) -> list[Change]:
    """Up to `limit` changes with an id above `seen`, in order."""
    found = connection.execute(select(change).where(change.c.id > seen).order_by(change.c.id).limit(limit))
    return [Change(row.id, row.at, row.kind, row.id_of, row.what) for row in found]


def last_change(connection: Connection) -> int:
    """The newest id, 0 when nothing ever happened: where a page begins that has just read everything."""
    last: int = connection.execute(select(func.coalesce(func.max(change.c.id), 0))).scalar_one()
    return last
