"""Routes that a routing service told ahead, from stations and from the middle of grids to sites; kept in the database.

No alert waits for such a service: what it said yesterday is near enough, and without it a straight line stands.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, and_, bindparam, delete, func, select

from alerts.distances import Route
from alerts.escalation_tables import route
from alerts.one_writer import insert_or
from core.clock import DAY

End = tuple[str, str]
"""Where a way begins: (kind, code), kind "station" or "team"."""

BELIEVED = 7 * DAY
"""What a service said longer ago does not count any more."""
_BATCH = 500
_TO = select(route.c.from_kind, route.c.from_code, route.c.metres, route.c.seconds).where(
    route.c.from_kind.in_(bindparam("kinds", expanding=True)),
    route.c.from_code.in_(bindparam("codes", expanding=True)),
    route.c.site == bindparam("site"),
    route.c.asked_at > bindparam("since"),
)


def routes_to(connection: Connection, site: str | None, ends: Sequence[End], now: int) -> dict[End, Route]:
    """What is known at `now` of the ways from some stations and teams to a site."""
    if site is None or not ends:
        return {}
    kinds, codes = sorted({kind for kind, _ in ends}), sorted({code for _, code in ends})
    values = {"kinds": kinds, "codes": codes, "site": site, "since": now - BELIEVED}
    return {(row[0], row[1]): Route(row[2], row[3]) for row in connection.execute(_TO, values)}


def keep_routes(connection: Connection, found: Mapping[tuple[End, str], Route], service: str, now: int) -> None:
    """Write what a service said of the ways from ends to sites, over what was known."""
    rows = [
        {
            "from_kind": kind,
            "from_code": code,
            "site": site,
            "metres": told.metres,
            "seconds": told.seconds,
            "service": service,
            "asked_at": now,
        }
        for ((kind, code), site), told in found.items()
    ]
    for start in range(0, len(rows), _BATCH):
        statement = insert_or(connection, route).values(rows[start : start + _BATCH])
        fresh = {name: statement.excluded[name] for name in ("metres", "seconds", "service", "asked_at")}
        key = ["from_kind", "from_code", "site"]
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=fresh))


def forget_routes(connection: Connection, ends: Iterable[End] = (), sites: Iterable[str] = ()) -> int:
    """Drop the routes from ends and to sites that have moved or are gone; how many there were."""
    gone = 0
    for kind, code in ends:
        from_there = and_(route.c.from_kind == kind, route.c.from_code == code)
        gone += connection.execute(delete(route).where(from_there)).rowcount
    for site in sites:
        gone += connection.execute(delete(route).where(route.c.site == site)).rowcount
    return gone


def forget_older(connection: Connection, before: int) -> int:
    """Drop what was asked for before a moment (µs UTC); how many there were."""
    return connection.execute(delete(route).where(route.c.asked_at < before)).rowcount


def count_routes(connection: Connection) -> tuple[int, int | None]:
    """How many routes are known, and when the newest was asked for (µs UTC): what doctor and the page tell."""
    row = connection.execute(select(func.count(), func.max(route.c.asked_at)).select_from(route)).one()
    return row[0], row[1]
