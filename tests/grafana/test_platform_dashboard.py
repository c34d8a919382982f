"""The platform's dashboard: the file is what the code makes, and it asks only for metrics that the platform has."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from core.metrics import Metrics
from grafana.platform import ROWS, write_dashboards

_PACKAGE = files("grafana")
_METRIC = re.compile(r"shouwang_\w+")
_BY = re.compile(r"by \(([^)]*)\)")


def _expressions() -> list[str]:
    return [query.expression for row in ROWS for chart in row.charts for query in chart.queries]


def _exported() -> dict[str, set[str]]:
    """What a scrape names, with the labels each has, from metrics that were given every label once."""
    metrics = Metrics()
    for collector in list(metrics.registry._collector_to_names):
        if names := getattr(collector, "_labelnames", ()):
            collector.labels(*names)  # type: ignore[attr-defined]
    families = list(metrics.registry.collect())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def _shipped() -> dict[str, Any]:
    text = (_PACKAGE / "dashboards" / "platform.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_the_shipped_file_is_what_the_code_makes(tmp_path: Path) -> None:
    for made in write_dashboards(tmp_path):
        shipped = _PACKAGE / "dashboards" / made.name
        assert shipped.read_text(encoding="utf-8") == made.read_text(encoding="utf-8"), (
            "write it anew, see CONTRIBUTING.md"
        )


@pytest.mark.parametrize("expression", _expressions())
def test_every_metric_and_label_is_one_the_platform_exports(expression: str) -> None:
    exported = _exported()
    asked = set(_METRIC.findall(expression))
    assert asked
    assert asked <= set(exported)
    labels = {label.strip() for group in _BY.findall(expression) for label in group.split(",")}
    for metric in asked:
        assert labels <= exported[metric]


@pytest.mark.parametrize("expression", _expressions())
def test_a_counter_is_read_as_a_rate_and_a_gauge_is_not(expression: str) -> None:
    counters = r"(rate|increase)\(shouwang_\w+_(total|bucket)\["
    assert ("rate(" in expression or "increase(" in expression) == bool(re.search(counters, expression))
    assert bool(re.search(r"_(total|bucket)\b", expression)) == bool(re.search(counters, expression))


def test_every_legend_names_a_label_that_its_query_keeps() -> None:
    for row in ROWS:
        for query in (query for chart in row.charts for query in chart.queries):
            for label in re.findall(r"{{(\w+)}}", query.legend):
                assert any(label in group.split(", ") for group in _BY.findall(query.expression)), query


def test_panels_fill_the_width_without_overlapping() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _shipped()["panels"]:
        where = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(where["x"], where["x"] + where["w"])
            for y in range(where["y"], where["y"] + where["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert {x for x, _ in taken} == set(range(24))


def test_titles_are_in_both_languages() -> None:
    titles = [row.title for row in ROWS] + [chart.title for row in ROWS for chart in row.charts]
    for title in titles:
        chinese, english = title.split(" · ")
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        assert english.isascii()
