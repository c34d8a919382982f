"""How far into the journal a consumer's effects in the database reach; read and written with those effects."""

from sqlalchemy import Connection, insert, select, update

from core.journal import START, Offset
from ingest.tables import applied


def read_applied(connection: Connection, consumer: str) -> Offset:
    """The offset of the last record whose effects are in the database, START when there is none."""
    row = connection.execute(select(applied).where(applied.c.consumer == consumer)).one_or_none()
    return Offset(row.partition, row.n) if row else START


def write_applied(connection: Connection, consumer: str, offset: Offset) -> None:
    """Move the consumer's offset, in the caller's transaction."""
    place = {"partition": offset.partition, "n": offset.n}
    moved = connection.execute(update(applied).where(applied.c.consumer == consumer).values(place))
    if not moved.rowcount:
        connection.execute(insert(applied).values(place | {"consumer": consumer}))
