"""The whole town on one page: the map, the worklist, alerts, readings, and gateways that are not heard."""

from collections.abc import Sequence
from typing import Literal

from grafana_foundation_sdk.models.dashboard import Dashboard, DataTransformerConfig, Threshold

from detectors.words import Severity
from grafana.annotations import annotation
from grafana.choices import PLACES, places, tagged, told
from grafana.kit import AnyPanel, Kit, Link, Row, new_dashboard
from grafana.panels import (
    COLORS,
    NONE_UNCOLORED,
    Column,
    Look,
    bars_by_severity,
    called,
    counted,
    curves,
    rows_of,
    severity_names,
    single,
    stacked,
    steps_from,
    texts,
)
from grafana.queries import SQL, InfluxQL
from grafana.town_map import town_map

HOURS_LEFT = "CASE WHEN unhandled THEN left_s / 3600 END AS left_h"
"""In SQL the hours until a ticket's time is over, none once it is handled. Grafana's own units speak English alone."""
NUMBER_WIDTH = 145
GRADES = (Severity.CRITICAL, Severity.ALARM, Severity.WARNING, Severity.NOTICE)


def town_dashboard(kit: Kit) -> Dashboard:
    """The dashboard."""
    rows = (
        Row(kit.words("town.now"), _now(kit)),
        Row(kit.words("town.place"), [town_map(kit), _worklist(kit)]),
        Row(kit.words("town.trend"), [_alerts_per_hour(kit), _readings_rate(kit), _dead_gateways(kit)]),
    )
    return new_dashboard(
        kit, "town", rows, places(kit), start="now-24h", annotations=[annotation(kit, "alert", PLACES)]
    )


def _now(kit: Kit) -> Sequence[AnyPanel]:
    words = kit.words
    narrowed = told(*PLACES)
    asked = [
        (
            words("town.open", severity=words(f"severity.{grade.name.lower()}")),
            f"SELECT count(*) AS value FROM grafana.alert WHERE state = 'open' AND level = {int(grade)} AND {narrowed}",
            COLORS[grade],
        )
        for grade in GRADES
    ]
    live = f"SELECT count(*) AS value FROM grafana.ticket WHERE live AND NOT drill AND {narrowed}"
    asked += [
        (words("town.tickets"), live, ""),
        (words("town.overdue"), f"{live} AND unhandled AND left_s < 0", "red"),
        (words("town.gateways"), _dead("count(*) AS value"), "red"),
    ]
    figures = [counted(title, sql, 3, steps_from(1, color) if color else ()) for title, sql, color in asked]
    return [*figures, _readings_now(kit)]


def _dead(columns: str) -> str:
    """SQL of gateways that were lost and not heard again; a gateway without a site is every place's."""
    narrowed = " AND ".join(f"(g.{part} IS NULL OR {told(f'g.{part}')})" for part in PLACES)
    return (
        f"SELECT {columns} FROM grafana.gateway g JOIN grafana.alert a "
        "ON a.subject_kind = 'gateway' AND a.subject_id = g.code AND a.rule = 'gateway.offline' AND a.state = 'open' "
        f"WHERE {narrowed}"
    )


def _counted(kit: Kit, minutes: int) -> InfluxQL:
    """Readings a second, a line for each device type: its metrics' values are counted and added up.

    It costs by series and parts of time: an hour in five minutes takes 0.3 s with 2,400 devices, a day would take 8 s.
    """
    narrowed = f"WHERE $timeFilter AND {tagged(*PLACES)} GROUP BY time({minutes}m) fill(0)"
    measured = {
        code: " + ".join(f'count("{metric}")' for metric in kind.metrics) for code, kind in sorted(kit.types.items())
    }
    each = ", ".join(f'(SELECT {values} AS "n" FROM "{code}" {narrowed})' for code, values in measured.items())
    per_second = f'SELECT sum("n") / {60 * minutes} AS "n" FROM {each}'
    return InfluxQL(f"{per_second} WHERE $timeFilter GROUP BY time({minutes}m) fill(none)", "$measurement")


def _readings_now(kit: Kit) -> AnyPanel:
    """All types' lines added up."""
    look = Look(title=kit.words("town.readings"), queries=[_counted(kit, 1)], span=3, height=4, decimals=1)
    panel = single(look, calc="mean", sparkline=True).time_from("10m").hide_time_override(True)
    add = {"mode": "reduceRow", "reduce": {"reducer": "sum"}, "alias": look.title, "replaceFields": True}
    join = {"byField": "Time", "mode": "outer"}
    panel.with_transformation(DataTransformerConfig(id_val="joinByField", options=join))
    return panel.with_transformation(DataTransformerConfig(id_val="calculateField", options=add))


def _readings_rate(kit: Kit) -> AnyPanel:
    look = Look(title=kit.words("town.readings_rate"), queries=[_counted(kit, 5)], span=8, decimals=1, minimum=0)
    panel = stacked(curves(look)).time_from("1h")
    return called(panel, {code: kit.words.either(kind.name_zh, kind.name_en) for code, kind in kit.types.items()})


def _worklist(kit: Kit) -> AnyPanel:
    words = kit.words
    title = "title" if kit.language == "zh" else "coalesce(nullif(title_en, ''), title)"
    place = "site_name" if kit.language == "zh" else "coalesce(nullif(site_name_en, ''), site_name)"
    sql = (
        f"SELECT number, severity, {HOURS_LEFT}, {title} AS title, {place} AS place, status, site FROM grafana.ticket "
        f"WHERE live AND NOT drill AND {told(*PLACES)} "
        "ORDER BY supervised DESC, left_h ASC NULLS LAST, severity DESC, number LIMIT 200"
    )
    to_ticket = Link(words("town.open_ticket"), kit.to_console("/tickets/${__data.fields.number}"), new=True)
    to_site = Link(words("town.open_site"), kit.to_dashboard("site", "var-site=${__data.fields.site}"))
    columns = [
        Column("number", words("column.number"), width=NUMBER_WIDTH, links=[to_ticket]),
        Column("severity", words("column.severity"), width=80, cell="color-text", mappings=severity_names(words)),
        Column("title", words("column.title"), links=[to_ticket]),
        Column("place", words("column.site"), links=[to_site]),
        Column("status", words("column.status"), width=90, mappings=texts(words.family("status"))),
        time_left(kit, "color-background"),
        Column("site", words("column.site"), hidden=True),
    ]
    look = Look(title=words("town.worklist"), queries=[SQL(sql)], span=10, height=20, empty=words("no_tickets"))
    return rows_of(look, columns)


def time_left(kit: Kit, cell: Literal["color-text", "color-background"]) -> Column:
    """The column of `HOURS_LEFT`."""
    unit = f"suffix: {kit.words('unit.hours')}"
    title = kit.words("column.left")
    return Column("left_h", title, unit, width=110, decimals=1, cell=cell, steps=haste(), mappings=[NONE_UNCOLORED])


def haste() -> list[Threshold]:
    """By hours left: red behind its time, orange in its last half hour, yellow in its last two hours."""
    bounds = ((None, "red"), (0.0, "orange"), (0.5, "yellow"), (2.0, "green"))
    return [Threshold(value=value, color=color) for value, color in bounds]


def _alerts_per_hour(kit: Kit) -> AnyPanel:
    words = kit.words
    asked = (
        'SELECT count("id") AS "alerts" FROM "alert" '
        "WHERE $timeFilter AND (\"action\" = 'opened' OR \"action\" = 'reopened') "
        f'AND {tagged(*PLACES)} GROUP BY time(1h), "severity" fill(0)'
    )
    look = Look(
        title=words("town.alerts_per_hour"), queries=[InfluxQL(asked, "$tag_severity")], span=8, decimals=0, minimum=0
    )
    return bars_by_severity(look, words, GRADES)


def _dead_gateways(kit: Kit) -> AnyPanel:
    words = kit.words
    sql = _dead("g.code, a.onset, g.silent_s / 3600 AS silent_h, g.grid") + " ORDER BY a.onset LIMIT 100"
    to_console = Link(words("town.open_gateways"), kit.to_console("/gateways"), new=True)
    columns = [
        Column("code", words("town.gateway"), links=[to_console]),
        Column("onset", words("column.since"), width=170),
        Column("silent_h", words("town.silent"), unit=f"suffix: {words('unit.hours')}", width=120, decimals=1),
        Column("grid", words("column.grid"), width=80),
    ]
    look = Look(title=words("town.dead"), queries=[SQL(sql)], span=8, empty=words("town.none_dead"))
    return rows_of(look, columns)
