"""The figures by which dispatch is judged, as SQL over the views: 按期处置率 and its like, response times, ISA-18.2.

A period is the dashboard's time range, its start in and its end out. Drills never count. An alarm is an alert that
people were told of, at the moment it opened; figures an operator are divided by `${seats}`.
"""

from typing import Literal

SINCE = "($__unixEpochNanoFrom() / 1000)"
UNTIL = "($__unixEpochNanoTo() / 1000)"
"""The period in µs, by which indexes are found."""
_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000
_WINDOW = 10 * _MINUTE
FLOOD = 10
"""More alarms than this in ten minutes are a flood to one operator (ISA-18.2)."""
ALARMS_AN_HOUR, MOST_AN_HOUR = 6, 12
FLOOD_SHARE, TOP_SHARE, MOST_STANDING = 1.0, 5.0, 5
"""Targets of ISA-18.2 and EEMUA 191 an operator's seat: %, % and a count."""
PRIORITIES = {2: 80.0, 3: 15.0, 4: 5.0}
"""By severity what share of alarms it should have, %."""


def within(column: str) -> str:
    """The condition that a moment lies in the period."""
    return f"{column} >= {SINCE} AND {column} < {UNTIL}"


def on_time(where: str) -> str:
    """按期处置率, %: of the tickets whose verdict fell in the period those that were handled by their time."""
    return f"SELECT {_share('on_time')} AS value FROM grafana.ticket_due WHERE {within('counted_at_us')} AND {where}"


def on_time_by(column: Literal["grid", "team", "category"], where: str) -> str:
    """The same for each, the worst first, with how many counted and how many of them were late."""
    return (
        f"SELECT {column}, count(*) AS due, count(*) FILTER (WHERE NOT on_time) AS late, {_share('on_time')} AS rate "
        f"FROM grafana.ticket_due WHERE {column} IS NOT NULL AND {within('counted_at_us')} AND {where} "
        f"GROUP BY {column} ORDER BY rate, due DESC, {column} LIMIT 100"
    )


def registered_on_time(where: str) -> str:
    """按时立案率, %: of the tickets whose registering ended in the period those within its time."""
    return (
        f"SELECT {_share(_KEPT)} AS value FROM grafana.ticket_stage "
        f"WHERE stage = 'register' AND due_at IS NOT NULL AND {_ANSWERED} AND {within('ended_at_us')} AND {where}"
    )


def accurately_dispatched(where: str) -> str:
    """准确派遣率, %: of the tickets dispatched in the period those that were neither returned nor given to another."""
    return (
        f"SELECT {_share('NOT astray')} AS value FROM ("
        "SELECT d.ticket, EXISTS (SELECT FROM grafana.ticket_move b WHERE b.ticket = d.ticket "
        "AND b.action IN ('return', 'reassign')) AS astray "
        f"FROM grafana.ticket_move d WHERE d.action = 'dispatch' AND NOT d.drill AND {within('d.at_us')} AND {where} "
        "GROUP BY d.ticket) AS dispatched"
    )


def validly_reported(where: str) -> str:
    """有效上报率, %: of the reports by hand that ended in the period, merged ones aside, those that led to work."""
    return (
        f"SELECT {_share(_REAL)} AS value FROM grafana.ticket "
        "WHERE source NOT IN ('iot', 'storm', 'drill') AND status IN ('closed', 'void', 'false_alarm') "
        f"AND {within('closed_at_us')} AND {where}"
    )


def handled_with(what: Literal["reworks", "extensions"], where: str) -> str:
    """返工率 or 延期率, %: of the tickets handled in the period those that were reworked, or given more time."""
    return (
        f"SELECT {_share(f'{what} > 0')} AS value FROM grafana.ticket "
        f"WHERE NOT drill AND {within('handled_at_us')} AND {where}"
    )


def response_by(column: Literal["grid", "team"], where: str) -> str:
    """For each how long accepting, arriving and handling took that ended in the period: median and 90 % (seconds)."""
    figures = ", ".join(
        f"percentile_cont({share}) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE stage = '{stage}') AS {stage}_{name}"
        for stage in ("accept", "arrive", "handle")
        for share, name in ((0.5, "p50"), (0.9, "p90"))
    )
    return (
        f"SELECT {column}, count(DISTINCT ticket) AS tickets, {figures} FROM grafana.ticket_stage "
        f"WHERE {column} IS NOT NULL AND stage IN ('accept', 'arrive', 'handle') AND {_ANSWERED} "
        f"AND {within('ended_at_us')} AND {where} "
        f"GROUP BY {column} ORDER BY accept_p50 DESC NULLS LAST, {column} LIMIT 100"
    )


def alarms_an_hour(where: str) -> str:
    """Alarms an operator's hour over the period."""
    return (
        f"SELECT count(*) * {_HOUR}.0 / nullif({UNTIL} - {SINCE}, 0) / ${{seats}} AS value "
        f"FROM grafana.alert WHERE {_alarm(where)}"
    )


def flood_share(where: str) -> str:
    """Of the whole ten minutes in the period (by the clock) the share with a flood, %."""
    return (
        f"WITH ten AS (SELECT generate_series(({SINCE} + {_WINDOW - 1}) / {_WINDOW}, {UNTIL} / {_WINDOW} - 1) AS n), "
        f"told AS (SELECT opened_at_us / {_WINDOW} AS n, count(*) AS alarms FROM grafana.alert "
        f"WHERE {_alarm(where)} GROUP BY 1) "
        f"SELECT {_share(f'alarms > {FLOOD} * ${{seats}}')} AS value FROM ten LEFT JOIN told USING (n)"
    )


def alarms_over_time(where: str) -> str:
    """Alarms in each ten minutes, a line for each severity."""
    return (
        f"SELECT to_timestamp(opened_at_us / {_WINDOW} * {_WINDOW // 1_000_000}) AS time, severity::text AS metric, "
        f"count(*) AS alarms FROM grafana.alert WHERE {_alarm(where)} GROUP BY 1, severity ORDER BY 1, severity"
    )


def bad_actors(where: str) -> str:
    """The ten sources (a rule on a subject) with most alarms in the period, and the share of all that each has, %."""
    return (
        "SELECT rule, subject_id, site, count(*) AS alarms, 100.0 * count(*) / sum(count(*)) OVER () AS share "
        f"FROM grafana.alert WHERE {_alarm(where)} "
        "GROUP BY rule, subject_kind, subject_id, site ORDER BY alarms DESC, rule, subject_id LIMIT 10"
    )


def top_share(where: str) -> str:
    """The share of all alarms that the ten worst sources have together, %."""
    return (
        "SELECT 100.0 * sum(alarms) FILTER (WHERE place <= 10) / nullif(sum(alarms), 0) AS value FROM ("
        "SELECT count(*) AS alarms, row_number() OVER (ORDER BY count(*) DESC) AS place "
        f"FROM grafana.alert WHERE {_alarm(where)} GROUP BY rule, subject_kind, subject_id) AS sources"
    )


def standing(where: str) -> str:
    """Alarms that stood for more than a day at the end of the period."""
    return (
        f"SELECT count(*) AS value FROM grafana.alert WHERE paged AND opened_at_us < {UNTIL} - {_DAY} "
        f"AND (state = 'open' OR closed_at_us > {UNTIL}) AND {where}"
    )


def chattering(where: str) -> str:
    """Sources that opened three times within a minute, the last of them in the period."""
    return (
        "SELECT count(DISTINCT (rule, subject_kind, subject_id)) AS value FROM ("
        "SELECT rule, subject_kind, subject_id, opened_at_us, lag(opened_at_us, 2) OVER ("
        "PARTITION BY rule, subject_kind, subject_id ORDER BY opened_at_us) AS earlier FROM grafana.alert "
        f"WHERE paged AND opened_at_us >= {SINCE} - {_MINUTE} AND opened_at_us < {UNTIL} AND {where}) AS opened "
        f"WHERE opened_at_us >= {SINCE} AND opened_at_us - earlier <= {_MINUTE}"
    )


def priorities(where: str) -> str:
    """How the alarms of the period share out over the severities, and how they should, %."""
    wanted = ", ".join(f"({severity}, {share})" for severity, share in PRIORITIES.items())
    return (
        "SELECT w.severity, count(a.id) AS alarms, "
        "coalesce(100.0 * count(a.id) / nullif(sum(count(a.id)) OVER (), 0), 0) AS share, "
        f"w.wanted FROM (VALUES {wanted}) AS w (severity, wanted) LEFT JOIN ("
        f"SELECT id, severity FROM grafana.alert WHERE {_alarm(where)}) AS a ON a.severity = w.severity "
        "GROUP BY w.severity, w.wanted ORDER BY w.severity"
    )


_ANSWERED = "state IN ('done', 'overdue') AND seconds IS NOT NULL AND NOT drill"
_KEPT, _REAL = "state = 'done'", "status = 'closed'"


def _share(condition: str) -> str:
    return f"100.0 * count(*) FILTER (WHERE {condition}) / nullif(count(*), 0)"


def _alarm(where: str) -> str:
    return f"paged AND {within('opened_at_us')} AND {where}"
