"""Queries are filled as Grafana does it, and an answer that a panel can't show is found out."""

from datetime import UTC, datetime
from typing import Any

import pytest

from core.clock import HOUR, MINUTE, SECOND
from tests.grafana.asking import Frame
from tests.grafana.filling import Choice, Range, filled_influxql, filled_sql, span_text
from tests.grafana.showing import problems

_HOUR = Range(1_790_000_000 * SECOND, 1_790_003_600 * SECOND)
_AT = datetime(2026, 9, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("choice", "asked"),
    [
        (Choice(["RD-1"]), "/^((RD-1))$/"),
        (Choice(["a/b", "c.d"]), r"/^((a\/b|c\.d))$/"),
        (Choice(["a.b"], multi=False), r"/^(a\.b)$/"),
        (Choice(["320507100"], multi=False), "/^(320507100)$/"),
        (Choice(["x"], everything=".*"), "/^(.*)$/"),
    ],
)
def test_what_is_chosen_goes_into_a_regular_expression(choice: Choice, asked: str) -> None:
    assert filled_influxql('"site" =~ /^($site)$/', {"site": choice}, _HOUR) == f'"site" =~ {asked}'


def test_a_single_value_outside_a_regular_expression_stays_as_it_is() -> None:
    assert filled_influxql('mean("$metric")', {"metric": Choice(["a.b"], multi=False)}, _HOUR) == 'mean("a.b")'


def test_the_window_and_the_interval_are_those_of_the_panel() -> None:
    filled = filled_influxql("$timeFilter GROUP BY time($__interval)", {}, _HOUR, "60s")
    assert filled == "time >= 1790000000000ms and time <= 1790003600000ms GROUP BY time(1m)"
    assert filled_influxql("$__interval_ms", {}, _HOUR) == "5000"


@pytest.mark.parametrize(("hours", "span"), [(1, "5s"), (6, "20s"), (24, "1m"), (7 * 24, "10m"), (90 * 24, "2h")])
def test_intervals_are_round(hours: int, span: str) -> None:
    assert span_text(Range(0, hours * HOUR).interval_ms()) == span


def test_sql_gets_its_macros_and_texts_as_literals() -> None:
    choices = {"site": Choice(["O'Neil", "x"]), "grid": Choice(["G.1", "G2"])}
    assert filled_sql("site IN (${site:sqlstring})", choices, _HOUR) == "site IN ('O''Neil','x')"
    assert filled_sql("grid ~ '^(${grid:regex})$'", choices, _HOUR) == r"grid ~ '^((G\.1|G2))$'"
    assert filled_sql("$__unixEpochNanoFrom() / 1000", {}, _HOUR) == "1790000000000000000 / 1000"
    assert filled_sql("$__timeGroup(at, '5m')", {}, Range(0, MINUTE)) == "floor(extract(epoch from at)/300)*300"


def test_a_macro_that_postgresql_s_source_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown macro __unixEpochFrom"):
        filled_sql("SELECT $__unixEpochFrom()", {}, _HOUR)


def _panel(kind: str, **more: Any) -> dict[str, Any]:
    return {"title": "a panel", "type": kind, "fieldConfig": {"defaults": {}, "overrides": []}, **more}


_PLACE = {"latitude": "lat", "longitude": "lng"}
_MARKERS = {"type": "markers", "location": _PLACE, "config": {"style": {"color": {"field": "worst"}}}}
_LINKED = {"defaults": {"links": [{"url": "/d/x?var-site=${__data.fields.site}"}]}, "overrides": []}


@pytest.mark.parametrize(
    ("panel", "fields"),
    [
        (_panel("timeseries"), {"Time": [_AT], "speed": ["fast"]}),
        (_panel("timeseries"), {"speed": [1.0]}),
        (_panel("stat"), {"value": [None]}),
        (_panel("state-timeline"), {"time": [_AT]}),
        (_panel("table"), {}),
        (_panel("table", fieldConfig=_LINKED), {"value": [1]}),
        (_panel("geomap", options={"layers": [_MARKERS]}), {"lat": ["31.4"], "lng": [120.4], "worst": [0]}),
        (_panel("geomap", options={"layers": [_MARKERS]}), {"lat": [120.4], "lng": [31.4], "worst": [0]}),
        (_panel("geomap", options={"layers": [_MARKERS]}), {"lat": [31.4], "lng": [120.4], "worst": [None]}),
    ],
)
def test_an_answer_that_a_panel_cannot_show_is_found_out(panel: dict[str, Any], fields: dict[str, list[Any]]) -> None:
    assert list(problems(panel, {"refId": "A"}, [Frame(fields, {})]))


def test_a_long_table_must_be_in_the_order_of_time() -> None:
    frame = Frame({"time": [_AT.replace(hour=2), _AT], "metric": ["a", "a"], "value": [1, 2]}, {})
    assert list(problems(_panel("timeseries"), {"refId": "A", "format": "time_series"}, [frame]))


def test_an_answer_that_it_can_show_is_not() -> None:
    frame = Frame({"lat": [31.4], "lng": [120.4], "worst": [0]}, {})
    assert not list(problems(_panel("geomap", options={"layers": [_MARKERS]}), {"refId": "A"}, [frame]))
