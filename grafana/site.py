"""One site or enterprise: every metric with its limits, the times of its alerts, its tickets, its devices' health."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, DataTransformerConfig, DynamicConfigValue

from detectors.words import Severity
from grafana.annotations import annotation
from grafana.choices import grids, name_of, sites, tagged, told, villages
from grafana.indicators import SINCE, UNTIL
from grafana.kit import AnyPanel, Kit, Link, Row, chosen, new_dashboard
from grafana.limits import rule_steps
from grafana.panels import (
    COLORS,
    Column,
    Look,
    counted,
    curves,
    rows_of,
    severity_names,
    single,
    steps_from,
    steps_of,
    texts,
    timeline,
)
from grafana.queries import SQL, InfluxQL
from grafana.town import HOURS_LEFT, NUMBER_WIDTH, time_left

BATTERY = "device.battery"
_HERE = "site = ${site:sqlstring}"
"""The one site that is chosen."""


def site_dashboard(kit: Kit) -> Dashboard:
    """The dashboard."""
    words = kit.words
    rows = (
        Row(words("site.now"), _now(kit)),
        Row(words("site.alerts_row"), [_spans(kit), _tickets(kit)]),
        Row(words("site.metrics"), [_metric(kit)]),
        Row(words("site.health"), [_devices(kit), _batteries(kit)]),
    )
    variables = [villages(kit), grids(kit), sites(kit, multi=False), _device(kit), _metrics(kit)]
    return new_dashboard(
        kit,
        "site",
        rows,
        variables,
        start="now-6h",
        annotations=[annotation(kit, "alert", ["site"]), annotation(kit, "ticket", ["site"])],
    )


def _device(kit: Kit) -> QueryVariable:
    return chosen(kit, "device", f"SELECT code AS __value, code AS __text FROM grafana.device WHERE {_HERE} ORDER BY 1")


def _metrics(kit: Kit) -> QueryVariable:
    """The metrics of the devices chosen, by their names and units in the catalogue."""
    names = {
        metric.code: " ".join((kit.words.either(metric.name_zh, metric.name_en), metric.unit)).strip()
        for kind in kit.types.values()
        for metric in kind.metrics.values()
    }
    known = ", ".join(f"('{code}', '{name}')" for code, name in sorted(names.items()))
    listed = (
        "SELECT m.metric AS __value, coalesce(n.name, m.metric) AS __text "
        f"FROM (SELECT DISTINCT metric FROM grafana.series WHERE {_HERE} AND {told('device')}) AS m "
        f"LEFT JOIN (VALUES {known}) AS n (metric, name) USING (metric) ORDER BY m.metric = 'battery', 1"
    )
    return chosen(kit, "metric", listed).all_value("")


def _now(kit: Kit) -> Sequence[AnyPanel]:
    words = kit.words
    site = "FROM grafana.site WHERE code = ${site:sqlstring}"
    sick = (
        "SELECT count(DISTINCT subject_id) AS value FROM grafana.alert "
        f"WHERE {_HERE} AND state = 'open' AND hazard = 'device' AND subject_kind = 'device'"
    )
    here = [Link(words("site.open_here"), kit.to_console("/sites/${site:percentencode}"), new=True)]
    worst = Look(
        title=words("site.worst"),
        queries=[SQL(f"SELECT worst {site}")],
        span=6,
        height=4,
        steps=steps_of({each: float(each) for each in Severity if each}),
        mappings=severity_names(words),
        links=here,
    )
    in_service = f"SELECT count(*) AS value FROM grafana.device WHERE {_HERE} AND state = 'in_service'"
    asked = {
        "open_alerts": (f"SELECT open_alerts {site}", "orange", 4),
        "live_tickets": (f"SELECT live_tickets {site}", "orange", 4),
        "devices": (in_service, "", 5),
        "sick": (sick, "yellow", 5),
    }
    return [
        single(worst),
        *(
            counted(words(f"site.{name}"), sql, span, steps_from(1, color) if color else ())
            for name, (sql, color, span) in asked.items()
        ),
    ]


def _spans(kit: Kit) -> AnyPanel:
    """A bar from each alert's opening to its end; a frame for each name, so that a gap in one is none in the others.

    Without an alert one bar says so: nothing at all would be shown as a fault.
    """
    whose = "CASE a.subject_kind WHEN 'device' THEN ' ' || a.subject_id ELSE '' END"
    name = f"coalesce({name_of(kit, 'r')}, a.rule) || {whose}"
    sql = (
        f"WITH its AS (SELECT {name} AS name, "
        "a.severity, a.opened_at, a.closed_at, a.closed_at_us "
        "FROM grafana.alert a LEFT JOIN grafana.rule r ON r.code = a.rule "
        f"WHERE a.{_HERE} AND a.opened_at_us <= {UNTIL} AND coalesce(a.closed_at_us, {UNTIL}) >= {SINCE}) "
        "SELECT greatest(opened_at, $__timeFrom()::timestamptz) AS time, name, severity FROM its UNION ALL "
        "SELECT least(closed_at, $__timeTo()::timestamptz), name, "
        f"CASE WHEN coalesce(closed_at_us, {UNTIL} + 1) > {UNTIL} THEN severity END FROM its UNION ALL "
        f"SELECT moment, '{kit.words('site.no_alert')}', {int(Severity.NONE)} "
        "FROM (VALUES ($__timeFrom()::timestamptz), ($__timeTo()::timestamptz)) AS ends (moment) "
        "WHERE NOT EXISTS (SELECT FROM its) ORDER BY name, time"
    )
    look = Look(
        title=kit.words("site.spans"),
        queries=[SQL(sql)],
        mappings=severity_names(kit.words),  # thresholds would be written into the bars instead of names
    )
    parted = {"fields": ["name"], "keepFields": False, "naming": {"asLabels": True}}
    panel = timeline(look).display_name("${__field.labels.name}")
    return panel.with_transformation(DataTransformerConfig(id_val="partitionByValues", options=parted))


def _tickets(kit: Kit) -> AnyPanel:
    words = kit.words
    title = "title" if kit.language == "zh" else "coalesce(nullif(title_en, ''), title)"
    sql = (
        f"SELECT number, severity, {HOURS_LEFT}, {title} AS title, status, reported_at FROM grafana.ticket "
        f"WHERE {_HERE} AND NOT drill AND (live OR reported_at_us BETWEEN {SINCE} AND {UNTIL}) "
        "ORDER BY live DESC, left_h ASC NULLS LAST, reported_at DESC LIMIT 100"
    )
    to_ticket = Link(words("site.open_ticket"), kit.to_console("/tickets/${__data.fields.number}"), new=True)
    columns = [
        Column("number", words("column.number"), width=NUMBER_WIDTH, links=[to_ticket]),
        Column("severity", words("column.severity"), width=80, cell="color-text", mappings=severity_names(words)),
        Column("title", words("column.title"), links=[to_ticket]),
        Column("status", words("column.status"), width=90, mappings=texts(words.family("status"))),
        time_left(kit, "color-text"),
        Column("reported_at", words("site.reported"), width=160),
    ]
    return rows_of(Look(title=words("site.tickets"), queries=[SQL(sql)], empty=words("no_tickets")), columns)


def _metric(kit: Kit) -> AnyPanel:
    """A panel for each metric chosen: a curve for each device, and the limits that hold for these devices today."""
    words = kit.words
    values = (
        'SELECT mean("${metric}") AS "value" FROM /.*/ '
        f'WHERE $timeFilter AND "kind" =~ /./ AND {tagged("site", "device")} '
        'GROUP BY time($__interval), "device" fill(none)'
    )
    grades = " ".join(f"WHEN {int(each)} THEN '{words(f'severity.{each.name.lower()}')}'" for each in Severity if each)
    name = f"CASE severity {grades} END || ' ' || {name_of(kit)} || ' ' || \"limit\""
    chosen_ones = f"metric = ${{metric:sqlstring}} AND {_HERE} AND {told('device')}"
    limits = (
        f'WITH its AS (SELECT DISTINCT {name} AS metric, "limit" AS value '
        f"FROM grafana.device_limit WHERE {chosen_ones}) "
        "SELECT $__timeFrom()::timestamptz AS time, metric, value FROM its "
        "UNION ALL SELECT $__timeTo()::timestamptz, metric, value FROM its ORDER BY time, metric"
    )
    look = Look(
        title=words("site.metric"),
        queries=[InfluxQL(values, "$tag_device"), SQL(limits, "time_series")],
        interval="30s",
    )
    panel = curves(look, legend=["lastNotNull", "min", "max"]).repeat("metric").repeat_direction("h").max_per_row(2)
    for each in Severity:
        if each:
            panel.override_by_regexp(f"/^{words(f'severity.{each.name.lower()}')} /", drawn_limit(COLORS[each]))
    return panel


def drawn_limit(color: str) -> list[DynamicConfigValue]:
    """How a limit looks: a dashed line in its severity's colour."""
    given: dict[str, object] = {
        "color": {"mode": "fixed", "fixedColor": color},
        "custom.lineStyle": {"fill": "dash", "dash": [10, 10]},
        "custom.fillOpacity": 0,
        "custom.showPoints": "never",
    }
    return [DynamicConfigValue(id_val=name, value=value) for name, value in given.items()]


def _devices(kit: Kit) -> AnyPanel:
    words = kit.words
    sql = (
        f"SELECT d.code, d.type, d.state, coalesce({name_of(kit, 'r')}, h.rule) AS problem, h.onset, d.gateway "
        "FROM grafana.device d LEFT JOIN LATERAL (SELECT a.rule, a.onset FROM grafana.alert a "
        "WHERE a.subject_kind = 'device' AND a.subject_id = d.code AND a.state = 'open' AND a.hazard = 'device' "
        "ORDER BY a.level DESC, a.onset LIMIT 1) h ON true LEFT JOIN grafana.rule r ON r.code = h.rule "
        f"WHERE d.{_HERE} ORDER BY h.onset NULLS LAST, d.code"
    )
    kinds = {code: words.either(kind.name_zh, kind.name_en) for code, kind in kit.types.items()}
    to_device = Link(words("site.open_device"), kit.to_console("/devices/${__data.fields.code}"), new=True)
    columns = [
        Column("code", words("column.device"), links=[to_device]),
        Column("type", words("site.type"), mappings=texts(kinds)),
        Column("state", words("column.state"), width=110, mappings=texts(words.family("device_state"))),
        Column("problem", words("site.problem")),
        Column("onset", words("column.since"), width=160),
        Column("gateway", words("site.gateway"), width=110),
    ]
    return rows_of(Look(title=words("site.device_table"), queries=[SQL(sql)], span=15), columns)


def _batteries(kit: Kit) -> AnyPanel:
    words = kit.words
    asked = (
        'SELECT last("battery") AS "battery" FROM /.*/ '
        f'WHERE $timeFilter AND "kind" =~ /./ AND {tagged("site", "device")} GROUP BY "device"'
    )
    columns = [
        Column("Time", words("column.newest"), unit="time:YYYY-MM-DD HH:mm:ss", width=165),
        Column("device", words("column.device")),
        Column("battery", words("column.battery"), unit=units.Percent, cell="color-text", steps=rule_steps(BATTERY)),
    ]
    return rows_of(Look(title=words("site.batteries"), queries=[InfluxQL(asked, shape="table")], span=9), columns)
