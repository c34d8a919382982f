"""Live positions of those who agreed to share them: only the newest of each is kept, and none for longer than a day."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from alerts.escalation_tables import position
from alerts.one_writer import insert_or
from alerts.responders import LivePosition
from core.clock import DAY, MINUTE

KEPT = DAY
_AHEAD = 5 * MINUTE
_OF = select(position.c.person, *(position.c[name] for name in LivePosition._fields)).where(
    position.c.person.in_(bindparam("people", expanding=True))
)


def report_position(connection: Connection, person: str, where: LivePosition, now: int) -> str:
    """Keep where a person is: "kept", or why not: "ahead_of_time", "too_old", "implausible", "older_than_known".

    A phone's clock may be some minutes ahead; its time then is `now`. Others' positions older than a day go with it.
    """
    if refusal := _refusal(where, now):
        return refusal
    connection.execute(delete(position).where(position.c.at < now - KEPT))
    known = connection.scalar(select(position.c.at).where(position.c.person == person))
    if known is not None and known > where.at:
        return "older_than_known"
    values = {**where._asdict(), "at": min(where.at, now), "received_at": now}
    row = insert_or(connection, position).values(person=person, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["person"], set_=values))
    return "kept"


def forget_position(connection: Connection, person: str) -> None:
    """Drop a person's position: the consent was withdrawn, or the shift is over."""
    connection.execute(delete(position).where(position.c.person == person))


def positions_of(connection: Connection, people: Sequence[str]) -> dict[str, LivePosition]:
    """The last known positions of people, however old."""
    found = connection.execute(_OF, {"people": people})
    return {row[0]: LivePosition(*row[1:]) for row in found}


def _refusal(where: LivePosition, now: int) -> str:
    if where.at > now + _AHEAD:
        return "ahead_of_time"
    if where.at < now - KEPT:
        return "too_old"
    if not (-180 <= where.lng <= 180 and -90 <= where.lat <= 90) or (where.lng, where.lat) == (0, 0):
        return "implausible"
    return ""
