"""Environment: noise by the class of the area, by day and night; dust, fine particles, cooking fume, emission."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.models.common import LineInterpolation
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue

from detectors.words import Severity
from grafana.choices import PLACES, name_of, places, tagged, told
from grafana.indicators import within
from grafana.kit import AnyPanel, Kit, Link, Row, chosen, new_dashboard
from grafana.limits import rule, rule_steps
from grafana.panels import COLORS, Column, Look, bars, counted, curves, rows_of, steps_from
from grafana.queries import SQL, InfluxQL
from grafana.site import drawn_limit

HAZARDS = ("noise", "dust", "fume", "emission")
BY_DAY = "noise.level"
_OUTLETS = ("outlet_air", "outlet_water")
_BEGIN, _, _END = rule(BY_DAY).hours[0].partition("-")
"""The standard's day."""


def environment_dashboard(kit: Kit) -> Dashboard:
    """The dashboard."""
    words = kit.words
    rows = (
        Row(words("environment.now"), [*(_open(kit, hazard) for hazard in HAZARDS), _exceeded(kit)]),
        Row(words("environment.noise"), [_noise(kit), _building_noise(kit)]),
        Row(words("environment.dust"), _dust(kit)),
        Row(words("environment.emission"), [_emission(kit)]),
    )
    variables = [*places(kit), _classes(kit), _meters(kit), _pollutants(kit)]
    return new_dashboard(kit, "environment", rows, variables, start="now-24h", refresh="1m")


def _classes(kit: Kit) -> QueryVariable:
    listed = "SELECT DISTINCT class AS __value, class AS __text FROM grafana.noise_meter"
    return chosen(kit, "noise_class", f"{listed} WHERE {told(*PLACES)} ORDER BY 1", multi=False, everything=False)


def _meters(kit: Kit) -> QueryVariable:
    """The meters of the class chosen: readings carry no class."""
    where = f"class = ${{noise_class:sqlstring}} AND {told(*PLACES)}"
    listed = f"SELECT device AS __value, device AS __text FROM grafana.noise_meter WHERE {where} ORDER BY 1"
    return chosen(kit, "meter", listed, hidden=True).all_value("")


def _pollutants(kit: Kit) -> QueryVariable:
    """What outlets measure that a permit limits, by its name in the catalogue."""
    metrics = [metric for outlet in _OUTLETS for metric in kit.types[outlet].metrics.values()]
    known = ", ".join(f"('{each.code}', '{kit.words.either(each.name_zh, each.name_en)}')" for each in metrics)
    listed = (
        "SELECT n.metric AS __value, n.name AS __text "
        f"FROM (VALUES {known}) AS n (metric, name) WHERE EXISTS (SELECT FROM grafana.series s "
        f"JOIN grafana.rule r ON r.metric = s.metric AND r.hazard = 'emission' WHERE s.metric = n.metric) ORDER BY 2"
    )
    return chosen(kit, "pollutant", listed).all_value("")


def _open(kit: Kit, hazard: str) -> AnyPanel:
    open_ones = f"SELECT count(*) AS value FROM grafana.alert WHERE state = 'open' AND hazard = '{hazard}'"
    title = kit.words(f"environment.open_{hazard}")
    return counted(title, f"{open_ones} AND {told(*PLACES)}", 6, steps_from(1, "orange"))


WORST = "CASE WHEN max(a.value) < min(a.limit_value) THEN min(a.value) ELSE max(a.value) END"
"""In SQL the value farthest beyond the limit: of a lower limit the least."""


def _exceeded(kit: Kit) -> AnyPanel:
    """Where limits were exceeded in the time range, and by which rule: the noise standard has one for day and night."""
    words = kit.words
    hazards = ", ".join(f"'{hazard}'" for hazard in HAZARDS)
    sql = (
        f"SELECT {name_of(kit, 's')} AS place, coalesce({name_of(kit, 'r')}, a.rule) AS rule, count(*) AS times, "
        f"{WORST} AS worst, min(a.limit_value) AS limit_value, max(a.opened_at) AS last, a.site "
        "FROM grafana.alert a JOIN grafana.site s ON s.code = a.site LEFT JOIN grafana.rule r ON r.code = a.rule "
        f"WHERE a.hazard IN ({hazards}) AND {within('a.opened_at_us')} AND {told('a.village', 'a.grid', 'a.site')} "
        "GROUP BY 1, 2, a.site ORDER BY times DESC, place LIMIT 50"
    )
    to_site = Link(words("environment.open_site"), kit.to_dashboard("site", "var-site=${__data.fields.site}"))
    columns = [
        Column("place", words("column.site"), links=[to_site]),
        Column("rule", words("environment.rule")),
        Column("times", words("environment.times"), width=90),
        Column("worst", words("environment.worst"), width=100),
        Column("limit_value", words("column.limit"), width=90),
        Column("last", words("environment.last"), width=170),
        Column("site", "", hidden=True),
    ]
    about = words("environment.exceeded_about")
    look = Look(
        title=words("environment.exceeded"),
        about=about,
        queries=[SQL(sql)],
        span=24,
        height=7,
        empty=words("environment.none_exceeded"),
    )
    return rows_of(look, columns)


def _noise(kit: Kit) -> AnyPanel:
    """The meters of one class over ten minutes each, and the limit of the hour."""
    words = kit.words
    level = (
        'SELECT mean("laeq") AS "laeq" FROM "noise" '
        f'WHERE $timeFilter AND "device" =~ /^($meter)$/ AND {tagged(*PLACES)} '
        'GROUP BY time($__interval), "site", "device" fill(none)'
    )
    limit = (
        "WITH hours AS (SELECT generate_series(date_trunc('hour', $__timeFrom()::timestamptz), "
        "$__timeTo()::timestamptz, '1 hour') AS time UNION SELECT $__timeTo()::timestamptz), "
        "limits AS (SELECT min(by_day) AS by_day, min(by_night) AS by_night "
        "FROM grafana.noise_meter WHERE class = ${noise_class:sqlstring}) "
        f"SELECT time, '{words('column.limit')}' AS metric, CASE WHEN (time AT TIME ZONE 'Asia/Shanghai')::time "
        f">= '{_BEGIN}' AND (time AT TIME ZONE 'Asia/Shanghai')::time < '{_END}' "
        "THEN by_day ELSE by_night END AS value FROM hours, limits ORDER BY time"
    )
    look = Look(
        title=words("environment.noise_class"),
        about=words("environment.noise_about"),
        queries=[InfluxQL(level, "$tag_site $tag_device"), SQL(limit, "time_series")],
        unit="suffix: dB(A)",
        decimals=1,
        interval="10m",
    )
    stepped = DynamicConfigValue(id_val="custom.lineInterpolation", value=LineInterpolation.STEP_AFTER)
    panel = curves(look, legend=["mean", "max"])
    return panel.override_by_name(words("column.limit"), [*drawn_limit(COLORS[Severity.WARNING]), stepped])


def _mean(field: str, measurement: str, span: str) -> InfluxQL:
    """Means of a field over spans, a line for each site chosen."""
    return InfluxQL(
        f'SELECT mean("{field}") AS "{field}" FROM {measurement} WHERE $timeFilter AND {tagged(*PLACES)} '
        f'GROUP BY time({span}), "site" fill(none)',
        "$tag_site",
    )


def _line(kit: Kit, name: str, query: InfluxQL, judged: str, unit: str) -> AnyPanel:
    """Curves against the limit of a rule."""
    to_site = Link(kit.words("environment.open_site"), kit.to_dashboard("site", "var-site=${__field.labels.site}"))
    look = Look(
        title=kit.words(f"environment.{name}"),
        queries=[query],
        unit=f"suffix: {unit}",
        decimals=2 if unit == "mg/m³" else 1,
        minimum=0,
        steps=rule_steps(judged),
        links=[to_site],
    )
    return curves(look, drawn=True, legend=["max", "mean"])


def _building_noise(kit: Kit) -> AnyPanel:
    query = _mean("laeq", '"construction"', "10m")
    return _line(kit, "building_noise", query, "construction.noise_day", "dB(A)")


def _dust(kit: Kit) -> Sequence[AnyPanel]:
    return [
        _line(kit, "pm10", _mean("pm10", "/^(construction|dust)$/", "1h"), "dust.pm10", "µg/m³"),
        _line(kit, "tsp", _mean("tsp", '"construction"', "15m"), "dust.tsp", "µg/m³"),
        _fine(kit),
        _line(kit, "fume", _mean("fume", '"fume"', "10m"), "fume.concentration", "mg/m³"),
    ]


def _fine(kit: Kit) -> AnyPanel:
    """The mean of the last 24 hours, whatever the dashboard's range: as the standard judges it."""
    asked = (
        f'SELECT mean("pm25") AS "pm25" FROM /^(construction|dust)$/ WHERE $timeFilter AND {tagged(*PLACES)} '
        'GROUP BY "site"'
    )
    look = Look(
        title=kit.words("environment.pm25"),
        queries=[InfluxQL(asked, "$tag_site", "table")],
        unit="suffix: µg/m³",
        decimals=1,
        minimum=0,
        steps=rule_steps("dust.pm25"),
    )
    return bars(look).time_from("24h")


def _emission(kit: Kit) -> AnyPanel:
    """A panel for each pollutant chosen: hourly means of each outlet, and the limits of their permits."""
    words = kit.words
    values = (
        'SELECT mean("${pollutant}") AS "value" FROM /^outlet_(air|water)$/ '
        f'WHERE $timeFilter AND {tagged(*PLACES)} GROUP BY time(1h), "site", "device" fill(none)'
    )
    limits = (
        f"WITH its AS (SELECT DISTINCT device || ' {words('column.limit')}' AS metric, \"limit\" AS value "
        "FROM grafana.device_limit WHERE metric = ${pollutant:sqlstring} AND rule LIKE 'emission.%' "
        f"AND severity = {int(Severity.ALARM)} AND {told(*PLACES)}) "
        "SELECT $__timeFrom()::timestamptz AS time, metric, value FROM its "
        "UNION ALL SELECT $__timeTo()::timestamptz, metric, value FROM its ORDER BY time, metric"
    )
    look = Look(
        title=words("environment.pollutant"),
        about=words("environment.emission_about"),
        queries=[InfluxQL(values, "$tag_site $tag_device"), SQL(limits, "time_series")],
        interval="1h",
    )
    panel = curves(look, legend=["max", "mean"], points=True).repeat("pollutant").repeat_direction("h").max_per_row(2)
    return panel.override_by_regexp(f"/ {words('column.limit')}$/", drawn_limit(COLORS[Severity.ALARM]))
