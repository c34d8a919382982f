"""The platform's dashboard asks /metrics only for what the platform tells there."""

import re

import pytest

from core.metrics import KnownGauge, Metrics
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
