"""The dispatcher's overview: the town's shapes, the open alerts by site, and the figures at the top."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, literal_column, select

from alerts.escalation_tables import drill_run
from alerts.lifecycle import UNACCEPTED
from alerts.tables import alert, notice, station, ticket
from console.stages import OPEN
from detectors.rules import RuleSet
from devices.tables import device, grid, site, village

IS_OPEN = alert.c.state == literal_column("'open'")
"""Written as a literal, so that SQLite sees that the partial index fits."""

IN_EARNEST = ticket.c.id.not_in(
    select(drill_run.c.ticket).where(drill_run.c.ended_at.is_(None), drill_run.c.ticket.is_not(None))
)
"""That a live ticket is not a drill's."""

UNPROVEN = ("accepted", "uncertain", "failed", "expired")
"""States of a notice of which nobody has proven that it reached a person."""


def town_shapes(connection: Connection) -> dict[str, Any]:
    """Grids as GeoJSON features, sites as `[code, kind, name, name_en, lng, lat, grid]`, stations; WGS84 degrees."""
    sites = connection.execute(
        select(site.c.code, site.c.kind, site.c.name, site.c.name_en, site.c.lng, site.c.lat, site.c.grid)
        .where(site.c.retired == 0)
        .order_by(site.c.code)
    )
    stations = connection.execute(
        select(station.c.code, station.c.name, station.c.name_en, station.c.lng, station.c.lat)
        .where(station.c.retired == 0)
        .order_by(station.c.code)
    )
    return {
        "grids": grid_shapes(connection),
        "sites": [list(row) for row in sites],
        "stations": [list(row) for row in stations],
    }


def grid_shapes(connection: Connection) -> list[dict[str, Any]]:
    """Grids as GeoJSON features with their code, name and village; WGS84 degrees."""
    grids = connection.execute(
        select(grid.c.code, grid.c.name, grid.c.name_en, grid.c.polygon, village.c.name, village.c.name_en)
        .join(village, grid.c.village == village.c.code)
        .where(grid.c.retired == 0)
        .order_by(grid.c.code)
    )
    return [_feature(*row) for row in grids]


def _feature(code: str, name: str, name_en: str, polygon: str, village_zh: str, village_en: str) -> dict[str, Any]:
    properties = {"code": code, "zh": name, "en": name_en or name, "village": [village_zh, village_en or village_zh]}
    return {"type": "Feature", "geometry": msgspec.json.decode(polygon), "properties": properties}


def open_alerts_by_site(connection: Connection) -> dict[str, list[tuple[int, str, int]]]:
    """For every site with open alerts, what it has: (present severity, hazard, how many)."""
    rows = connection.execute(
        select(alert.c.site, alert.c.level, alert.c.hazard, func.count())
        .where(IS_OPEN, alert.c.site.is_not(None))
        .group_by(alert.c.site, alert.c.level, alert.c.hazard)
    )
    places: dict[str, list[tuple[int, str, int]]] = {}
    for code, level, hazard, count in rows:
        places.setdefault(code, []).append((level, hazard, count))
    return places


def figures(connection: Connection, rules: RuleSet, live: Mapping[str, float], now: int) -> dict[str, float | None]:
    """The row of figures at the top; None where the console is not told."""
    open_rules = connection.execute(select(alert.c.rule, func.count()).where(IS_OPEN).group_by(alert.c.rule)).all()
    kinds: dict[str, int] = {}
    for rule, count in open_rules:
        kind = rules.rules[rule].kind if rule in rules.rules else "other"
        kinds[kind] = kinds.get(kind, 0) + count
    return {
        "readings_per_s": live.get("readings_per_s"),
        "in_service": _in_service(connection, now),
        "silent": kinds.get("silence", 0),
        "gateways_down": kinds.get("gateway", 0),
        "open_alerts": sum(kinds.values()),
        "open_tickets": connection.scalar(select(func.count()).where(ticket.c.status.in_(OPEN), IN_EARNEST)),
        "unproven": unproven(connection),
        "lag_ms": live.get("lag_ms"),
    }


def _in_service(connection: Connection, now: int) -> int:
    """Devices in service, those whose maintenance is over counted in."""
    states = select(device.c.state, func.count().label("number")).group_by(device.c.state)
    counts = {row.state: int(row.number) for row in connection.execute(states)}
    over = select(func.count()).where(device.c.state == "maintenance", device.c.state_until <= now)
    back = (connection.scalar(over) or 0) if counts.get("maintenance") else 0
    return counts.get("in_service", 0) + back


def unproven(connection: Connection) -> int:
    """Notices without proof of reaching a person, on tickets that nobody has accepted yet."""
    waiting = ticket.c.status.in_(UNACCEPTED)
    query = select(func.count()).select_from(ticket).join(notice, notice.c.ticket == ticket.c.id)
    return connection.scalar(query.where(waiting, IN_EARNEST, notice.c.state.in_(UNPROVEN))) or 0


def names_of(connection: Connection, table: Any, codes: Sequence[str | None]) -> dict[str, tuple[str, str]]:
    """Names (zh, en) by code from a table with `code`, `name` and perhaps `name_en`."""
    wanted = {code for code in codes if code}
    if not wanted:
        return {}
    english = table.c.name_en if "name_en" in table.c else table.c.name
    rows = connection.execute(select(table.c.code, table.c.name, english).where(table.c.code.in_(wanted)))
    return {code: (name, name_en or name) for code, name, name_en in rows}
