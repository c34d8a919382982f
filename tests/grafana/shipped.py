"""The dashboards as they are shipped, and what tests look for in them."""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from grafana.generation import DASHBOARDS
from grafana.words import LANGUAGES

FOLDER = Path(str(files("grafana") / "dashboards"))
SHIPPED = [(language, name) for language in LANGUAGES for name in DASHBOARDS]
DEPRECATED = {"graph", "table-old", "singlestat", "grafana-singlestat-panel", "grafana-worldmap-panel"} | {
    "grafana-piechart-panel",
    "natel-discrete-panel",
    "gettingstarted",
    "alertlist-old",
    "pluginlist",
    "heatmap-new",
}
"""Panel types that Grafana dropped, migrates away from, or that need Angular."""

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?:\.[^:^}]+)?(?::[^}]+)?\}|\[\[(\w+)(?::\w+)?\]\]")
"""A variable as Grafana finds it in a text: $name, ${name.path:format}, [[name:format]]."""


@cache
def shipped(language: str, name: str) -> dict[str, Any]:
    """One dashboard's file; not to be changed."""
    text = (FOLDER / language / f"{name}.json").read_text(encoding="utf-8")
    return cast(dict[str, Any], json.loads(text))


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels but rows, also those within collapsed rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def variables_in(text: str) -> set[str]:
    """The names of the variables that a text asks for.

    >>> sorted(variables_in("${site:regex} $grid [[village]] $__interval"))
    ['__interval', 'grid', 'site', 'village']
    """
    return {found for match in _VARIABLE.findall(text) for found in match if found}


def strings(part: Any) -> Iterator[str]:
    """Every text within a part of a dashboard."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for each in part.values():
            yield from strings(each)
    elif isinstance(part, list):
        for each in part:
            yield from strings(each)


def query_text(target: dict[str, Any]) -> str:
    """What a target asks."""
    return str(target.get("query") or target.get("rawSql") or target["expr"])
