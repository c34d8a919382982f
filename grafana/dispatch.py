"""Dispatch: what is due, how it was kept, how long it took, and how many alarms an operator had to bear."""

from collections.abc import Sequence
from typing import Literal

from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import indicators
from grafana.choices import grids, name_of, told, villages
from grafana.kit import AnyPanel, Kit, Link, Row, chosen, new_dashboard
from grafana.panels import (
    Column,
    Look,
    Steps,
    bars_by_severity,
    counted,
    rows_of,
    severity_names,
    single,
    steps_from,
    threshold_steps,
)
from grafana.queries import SQL

WHERE = told("village", "grid")
_MOST_SEATS = 8


def dispatch_dashboard(kit: Kit) -> Dashboard:
    """The dashboard; its figures are of the last week by default, and dear enough to be asked every five minutes."""
    words = kit.words
    rows = (
        Row(words("dispatch.now"), _now(kit)),
        Row(words("dispatch.indicators"), _indicators(kit)),
        Row(words("dispatch.kept"), [_kept_by(kit, "team"), _kept_by(kit, "grid")]),
        Row(words("dispatch.response"), [_response(kit, "team"), _response(kit, "grid")]),
        Row(words("dispatch.alarms"), _alarms(kit)),
        Row(words("dispatch.sources"), [_over_time(kit), _actors(kit), _priorities(kit)]),
    )
    variables = [villages(kit), grids(kit), _seats(kit)]
    return new_dashboard(kit, "dispatch", rows, variables, start="now-7d", refresh="5m")


def _seats(kit: Kit) -> QueryVariable:
    listed = f"SELECT n::text AS __value, n::text AS __text FROM generate_series(1, {_MOST_SEATS}) AS n ORDER BY n"
    return chosen(kit, "seats", listed, multi=False, everything=False)


def _now(kit: Kit) -> Sequence[AnyPanel]:
    live = f"SELECT count(*) AS value FROM grafana.ticket WHERE live AND NOT drill AND {WHERE}"
    asked = {
        "live": (live, ()),
        "overdue": (f"{live} AND unhandled AND status <> 'suspended' AND left_s < 0", steps_from(1, "red")),
        "soon": (f"{live} AND unhandled AND left_s BETWEEN 0 AND 3600", steps_from(1, "orange")),
        "unaccepted": (f"{live} AND status = 'dispatched'", steps_from(1, "yellow")),
        "supervised": (f"{live} AND supervised", steps_from(1, "orange")),
        "suspended": (f"{live} AND status = 'suspended'", ()),
    }
    return [counted(kit.words(f"dispatch.{name}"), sql, 4, steps) for name, (sql, steps) in asked.items()]


def _indicators(kit: Kit) -> Sequence[AnyPanel]:
    """Shares of what counts; each panel says what is left out."""
    asked = {
        "on_time": (indicators.on_time(WHERE), _at_least(85, 95)),
        "registered": (indicators.registered_on_time(WHERE), _at_least(85, 95)),
        "accurate": (indicators.accurately_dispatched(WHERE), _at_least(85, 95)),
        "valid": (indicators.validly_reported(WHERE), _at_least(70, 90)),
        "reworked": (indicators.handled_with("reworks", WHERE), _at_most(5, 10)),
        "extended": (indicators.handled_with("extensions", WHERE), _at_most(10, 20)),
    }
    return [_figure(kit, name, sql, steps, units.Percent, 4) for name, (sql, steps) in asked.items()]


def _figure(
    kit: Kit, name: str, sql: str, steps: Steps, unit: str = units.Short, span: int = 4, decimals: int = 1
) -> AnyPanel:
    look = Look(
        title=kit.words(f"dispatch.{name}"),
        about=kit.words(f"dispatch.{name}_about"),
        queries=[SQL(sql)],
        span=span,
        height=4,
        unit=unit,
        decimals=decimals,
        steps=steps,
        empty="–",
    )
    return single(look)


def _at_least(poor: float, good: float) -> Steps:
    """Red below what is poor, green from what is good."""
    return threshold_steps((None, "red"), (poor, "yellow"), (good, "green"))


def _at_most(good: float, poor: float) -> Steps:
    """Green up to what is good, red from what is poor."""
    return threshold_steps((None, "green"), (good, "yellow"), (poor, "red"))


def _named(kit: Kit, column: str, sql: str, told: str = "i.*") -> str:
    """The rows of an indicator with the name of their team or grid; teams have one name."""
    name = "coalesce(n.name, i.team)" if column == "team" else f"coalesce({name_of(kit, 'n')}, i.grid)"
    return f"SELECT {name} AS name, {told} FROM ({sql}) AS i LEFT JOIN grafana.{column} n ON n.code = i.{column}"


def _kept_by(kit: Kit, column: Literal["grid", "team"]) -> AnyPanel:
    words = kit.words
    sql = indicators.on_time_by(column, WHERE)
    columns = [
        Column("name", words(f"dispatch.{column}")),
        Column(column, "", hidden=True),
        Column("due", words("dispatch.due"), width=90),
        Column("late", words("dispatch.late"), width=90),
        Column("rate", words("dispatch.rate"), unit=units.Percent, cell="color-background", steps=_at_least(85, 95)),
    ]
    ordered = f"{_named(kit, column, sql)} ORDER BY i.rate, i.due DESC, i.{column}"
    look = Look(
        title=words(f"dispatch.kept_by_{column}"),
        about=words("dispatch.on_time_about"),
        queries=[SQL(ordered)],
        empty=words("no_tickets"),
    )
    return rows_of(look, columns)


def _response(kit: Kit, column: Literal["grid", "team"]) -> AnyPanel:
    words = kit.words
    sql = indicators.response_by(column, WHERE)
    figures = [
        Column(f"{stage}_{share}", f"{words(f'dispatch.{stage}')} {words(f'dispatch.{share}')}", width=105, decimals=1)
        for stage in ("accept", "arrive", "handle")
        for share in ("p50", "p90")
    ]
    minutes = ", ".join(f"i.{each.name} / 60 AS {each.name}" for each in figures)
    columns = [
        Column("name", words(f"dispatch.{column}")),
        Column(column, "", hidden=True),
        Column("tickets", words("dispatch.tickets"), width=80),
        *figures,
    ]
    told = f"i.{column}, i.tickets, {minutes}"
    ordered = f"{_named(kit, column, sql, told)} ORDER BY i.accept_p50 DESC NULLS LAST, i.{column}"
    look = Look(
        title=words(f"dispatch.response_by_{column}"),
        about=words("dispatch.response_about"),
        queries=[SQL(ordered)],
        empty=words("no_tickets"),
    )
    return rows_of(look, columns)


def _alarms(kit: Kit) -> Sequence[AnyPanel]:
    """ISA-18.2's figures against its targets."""
    per_hour = _at_most(indicators.ALARMS_AN_HOUR, indicators.MOST_AN_HOUR)
    asked = {
        "an_hour": (indicators.alarms_an_hour(WHERE), per_hour, units.Short, 1),
        "flood": (indicators.flood_share(WHERE), steps_from(indicators.FLOOD_SHARE, "red"), units.Percent, 1),
        "chattering": (indicators.chattering(WHERE), steps_from(1, "red"), units.Short, 0),
        "standing": (indicators.standing(WHERE), steps_from(indicators.MOST_STANDING, "red"), units.Short, 0),
        "top": (indicators.top_share(WHERE), steps_from(indicators.TOP_SHARE, "orange"), units.Percent, 1),
    }
    spans = (5, 5, 5, 5, 4)
    return [
        _figure(kit, name, sql, steps, unit, span, decimals)
        for span, (name, (sql, steps, unit, decimals)) in zip(spans, asked.items(), strict=True)
    ]


def _over_time(kit: Kit) -> AnyPanel:
    words = kit.words
    look = Look(
        title=words("dispatch.over_time"),
        queries=[SQL(indicators.alarms_over_time(WHERE), "time_series")],
        span=24,
        decimals=0,
        minimum=0,
    )
    return bars_by_severity(look, words)


def _actors(kit: Kit) -> AnyPanel:
    words = kit.words
    name = f"coalesce({name_of(kit, 'r')}, i.rule)"
    sql = (
        f"SELECT {name} AS name, i.* FROM ({indicators.bad_actors(WHERE)}) AS i "
        "LEFT JOIN grafana.rule r ON r.code = i.rule ORDER BY i.alarms DESC, i.rule, i.subject_id"
    )
    to_site = Link(words("dispatch.open_site"), kit.to_dashboard("site", "var-site=${__data.fields.site}"))
    columns = [
        Column("name", words("dispatch.rule")),
        Column("rule", "", hidden=True),
        Column("subject_id", words("dispatch.subject"), links=[to_site]),
        Column("site", "", hidden=True),
        Column("alarms", words("dispatch.count"), width=90),
        Column(
            "share", words("dispatch.share"), unit=units.Percent, width=110, cell="color-text", steps=_at_most(1, 5)
        ),
    ]
    look = Look(
        title=words("dispatch.actors"),
        about=words("dispatch.top_about"),
        queries=[SQL(sql)],
        span=15,
        empty=words("no_alerts"),
    )
    return rows_of(look, columns)


def _priorities(kit: Kit) -> AnyPanel:
    words = kit.words
    columns = [
        Column("severity", words("column.severity"), cell="color-text", mappings=severity_names(words)),
        Column("alarms", words("dispatch.count"), width=90, decimals=0),
        Column("share", words("dispatch.share"), unit=units.Percent),
        Column("wanted", words("dispatch.wanted"), unit=units.Percent),
    ]
    sql = SQL(indicators.priorities(WHERE))
    look = Look(
        title=words("dispatch.priorities"), about=words("dispatch.priorities_about"), queries=[sql], span=9, decimals=1
    )
    return rows_of(look, columns)
