"""The platform's dashboard asks /metrics only for what the platform tells there."""

import re
import sqlite3
from contextlib import closing
from importlib.resources import files

import pytest
import yaml

from core.metrics import KnownGauge, Metrics
from grafana.environment import WORST
from grafana.words import LANGUAGES, Language, Words
from shouwang.wiring import CONSUMERS
from tests.grafana.shipped import SHIPPED, panels, shipped

_METRIC = re.compile(r"shouwang_\w+")
_BY = re.compile(r"by \(([^)]*)\)")
TARGETS = [
    target
    for language, name in SHIPPED
    if language == "zh"
    for panel in panels(shipped(language, name))
    for target in panel.get("targets", [])
    if target["datasource"]["type"] == "prometheus"
]
EXPRESSIONS = sorted({target["expr"] for target in TARGETS})


def _exported() -> dict[str, set[str]]:
    """What a scrape names, with the labels each has, from metrics that were given every label and value once."""
    metrics = Metrics()
    for collector in list(metrics.registry._collector_to_names):
        if names := getattr(collector, "_labelnames", ()):
            collector.labels(*names)  # type: ignore[attr-defined]
        if isinstance(collector, KnownGauge):
            collector.set(0)
    families = list(metrics.registry.collect())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def test_it_asks_for_journal_lag_rejects_latency_notices_and_the_canary() -> None:
    asked = {metric for expression in EXPRESSIONS for metric in _METRIC.findall(expression)}
    assert {
        *("shouwang_journal_share", "shouwang_consumer_lag_records", "shouwang_rejects_total"),
        *("shouwang_hop_seconds_bucket", "shouwang_notices", "shouwang_canary_age_seconds"),
    } <= asked


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_is_one_the_platform_exports(expression: str) -> None:
    exported = _exported()
    asked = set(_METRIC.findall(expression))
    assert asked
    assert asked <= set(exported)
    labels = {label.strip() for group in _BY.findall(expression) for label in group.split(",")}
    for metric in asked:
        assert labels <= exported[metric]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_counter_is_read_as_a_rate_and_a_gauge_is_not(expression: str) -> None:
    counters = r"(rate|increase)\(shouwang_\w+_(total|bucket)\["
    assert ("rate(" in expression or "increase(" in expression) == bool(re.search(counters, expression))
    assert bool(re.search(r"_(total|bucket)\b", expression)) == bool(re.search(counters, expression))


def test_every_legend_names_a_label_that_its_query_keeps() -> None:
    for target in TARGETS:
        for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
            assert any(label in group.split(", ") for group in _BY.findall(target["expr"])), target


@pytest.mark.parametrize("language", LANGUAGES)
def test_reasons_are_said_as_the_console_says_them_and_every_consumer_has_a_name(language: Language) -> None:
    words = Words(language)
    told = yaml.safe_load((files("console") / "locales" / f"{language}.yaml").read_text("utf-8"))
    assert words.family("reject_reason") == told["reject_reason"]
    assert set(words.family("consumer")) == set(CONSUMERS)
    for title, names in (("rejects", "reject_reason"), ("lag", "consumer")):
        (panel,) = (
            each
            for each in panels(shipped(language, "platform"))
            if each["title"] == words(f"platform.{title}") and each["type"] == "timeseries"
        )
        shown = [value["value"] for each in panel["fieldConfig"]["overrides"] for value in each["properties"]]
        assert shown == list(words.family(names).values())


@pytest.mark.parametrize(("values", "limit", "worst"), [((81.0, 85.0), 80.0, 85.0), ((40.0, 12.0), 60.0, 12.0)])
def test_the_worst_is_the_farthest_beyond_its_limit(values: tuple[float, float], limit: float, worst: float) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE a (value REAL, limit_value REAL)")
        connection.executemany("INSERT INTO a VALUES (?, ?)", [(value, limit) for value in values])
        assert connection.execute(f"SELECT {WORST} FROM a").fetchone() == (worst,)
