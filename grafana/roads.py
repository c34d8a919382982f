"""Road sections: flow, speed, water depth, weight and congestion."""

from collections.abc import Sequence

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.annotations import annotation
from grafana.choices import PLACES, name_of, places, tagged, told
from grafana.kit import AnyPanel, Kit, Link, Row, new_dashboard
from grafana.limits import rule_steps
from grafana.panels import Column, Look, counted, curves, rows_of, severity_names, steps_from, texts, timeline
from grafana.queries import SQL, InfluxQL

CONGESTION, FLOOD = "traffic.congestion", "flood.road"
_TODAY = "extract(epoch FROM date_trunc('day', now(), 'Asia/Shanghai'))::bigint * 1000000"
HAZARDS = ("traffic", "flood", "overload")


def roads_dashboard(kit: Kit) -> Dashboard:
    """The dashboard."""
    rows = (Row(kit.words("roads.now"), _now(kit)), Row(kit.words("roads.curves"), _curves(kit)))
    return new_dashboard(
        kit, "roads", rows, places(kit, ["road"]), start="now-6h", annotations=[annotation(kit, "alert", PLACES)]
    )


def _now(kit: Kit) -> Sequence[AnyPanel]:
    words = kit.words
    asked = {
        "sections": f"SELECT count(*) AS value FROM grafana.site WHERE kind = 'road' AND {told('village', 'grid')}",
        "with_alerts": "SELECT count(*) AS value FROM grafana.site "
        f"WHERE kind = 'road' AND worst > 0 AND {told('village', 'grid')}",
        "congested": _open("traffic"),
        "flooded": _open("flood"),
        "overloaded": f"SELECT count(*) AS value FROM grafana.alert WHERE hazard = 'overload' AND onset_us >= {_TODAY} "
        f"AND {told(*PLACES)}",
    }
    spans = (4, 5, 5, 5, 5)
    figures = [
        counted(words(f"roads.{name}"), sql, span, () if name == "sections" else steps_from(1, "orange"))
        for span, (name, sql) in zip(spans, asked.items(), strict=True)
    ]
    return [*figures, _alerts(kit)]


def _open(hazard: str) -> str:
    narrowed = told("village", "grid", "site")
    return f"SELECT count(*) AS value FROM grafana.alert WHERE state = 'open' AND hazard = '{hazard}' AND {narrowed}"


def _alerts(kit: Kit) -> AnyPanel:
    words = kit.words
    hazards = ", ".join(f"'{hazard}'" for hazard in HAZARDS)
    name = name_of(kit, "s")
    sql = (
        f"SELECT a.level, {name} AS section, a.hazard, a.value, a.limit_value, a.onset, a.ticket_number, a.site "
        "FROM grafana.alert a JOIN grafana.site s ON s.code = a.site "
        f"WHERE a.state = 'open' AND a.hazard IN ({hazards}) AND {told('a.village', 'a.grid', 'a.site')} "
        "ORDER BY a.level DESC, a.onset DESC LIMIT 50"
    )
    to_site = Link(words("roads.open_site"), kit.to_dashboard("site", "var-site=${__data.fields.site}"))
    to_ticket = Link(words("open_in_console"), kit.to_console("/tickets/${__data.fields.ticket_number}"), new=True)
    columns = [
        Column("level", words("column.severity"), width=90, cell="color-text", mappings=severity_names(words)),
        Column("section", words("column.site"), links=[to_site]),
        Column("hazard", words("roads.what"), width=160, mappings=texts(words.family("hazard"))),
        Column("value", words("column.value"), width=90),
        Column("limit_value", words("column.limit"), width=90),
        Column("onset", words("column.since"), width=170),
        Column("ticket_number", words("column.number"), width=150, links=[to_ticket]),
        Column("site", "", hidden=True),
    ]
    look = Look(title=words("roads.alerts"), queries=[SQL(sql)], span=24, height=7, empty=words("no_alerts"))
    return rows_of(look, columns)


def _readings(what: str, measurement: str) -> InfluxQL:
    """`what` of a measurement over time, a line for each of the sections chosen."""
    narrowed = f'FROM "{measurement}" WHERE $timeFilter AND {tagged(*PLACES)}'
    return InfluxQL(f'SELECT {what} {narrowed} GROUP BY time($__interval), "site" fill(none)', "$tag_site")


def _curves(kit: Kit) -> Sequence[AnyPanel]:
    words = kit.words
    to_site = Link(words("roads.open_site"), kit.to_dashboard("site", "var-site=${__field.labels.site}"))
    pace = f"{kit.types['traffic'].interval_s}s"

    def look(name: str, queries: Sequence[InfluxQL], unit: str, rule: str = "", interval: str = pace) -> Look:
        return Look(
            title=words(f"roads.{name}"),
            queries=queries,
            unit=unit,
            decimals=1,
            minimum=0,
            interval=interval,
            steps=rule_steps(rule) if rule else (),
            links=[to_site],
        )

    speed = [_readings('mean("speed") AS "speed"', "traffic")]
    depth = [_readings('max("depth_cm") AS "depth"', "water_depth")]
    lorries = [
        InfluxQL(
            f'SELECT mean("{field}") AS "{field}" FROM "weighing" WHERE $timeFilter AND {tagged(*PLACES)} '
            'GROUP BY time($__interval), "site" fill(none)',
            f"$tag_site {words(f'roads.{text}')}",
        )
        for field, text in (("vehicles", "total"), ("overweight", "overweight"))
    ]
    return [
        timeline(look("congestion", speed, units.KilometersPerHour, CONGESTION)),
        curves(look("speed", speed, units.KilometersPerHour, CONGESTION), drawn=True, legend=["min", "mean"]),
        curves(look("flow", [_readings('mean("flow") AS "flow"', "traffic")], "suffix: veh/h"), legend=["max", "mean"]),
        curves(look("depth", depth, "suffix: cm", FLOOD), drawn=True, legend=["max"]),
        curves(look("lorries", lorries, "suffix: veh/h", interval=f"{kit.types['weighing'].interval_s}s")),
    ]
