"""What each type of panel can show, and what of an answer it can't."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.grafana.asking import Frame

MAY_BE_EMPTY = frozenset[str]()
"""Titles of panels that nothing of the two minutes needs to show."""
_FIELD = re.compile(r"\$\{__data\.fields\.(\w+)")
Panel = Mapping[str, Any]


def problems(panel: Panel, target: Mapping[str, Any], found: list[Frame]) -> Iterator[str]:
    """What of an answer the panel can't show."""
    if not any(frame.rows for frame in found):
        if panel["title"] not in MAY_BE_EMPTY and not ("repeat" in panel and target["refId"] != "A"):
            yield "no rows"
        return
    for frame in found:
        yield from _SHOWN[panel["type"]](panel, frame)
        if target.get("format") == "time_series":
            moments = frame.fields["time"]
            if list(moments) != sorted(moments):
                yield "a long table that time does not order"
    fields = {name for frame in found for name in (*frame.fields, *frame.labels)}
    for asked in _linked(panel):
        if asked not in fields:
            yield f"a link needs the field {asked}"


def _linked(panel: Panel) -> set[str]:
    """The fields that its data links need."""
    overridden = [part for override in panel["fieldConfig"]["overrides"] for part in override["properties"]]
    links = [link for part in overridden if part["id"] == "links" for link in part["value"]]
    links += panel["fieldConfig"]["defaults"].get("links", [])
    return {name for link in links for name in _FIELD.findall(link["url"])}


def _lines(_panel: Panel, frame: Frame) -> Iterator[str]:
    if len(frame.named("time")) != 1:
        yield f"{frame.named('time')} are its times"
    if not frame.named("number"):
        yield "no numbers"


def _figures(_panel: Panel, frame: Frame) -> Iterator[str]:
    if not frame.named("number"):
        yield "no numbers"


def _spans(_panel: Panel, frame: Frame) -> Iterator[str]:
    if len(frame.named("time")) != 1:
        yield f"{frame.named('time')} are its times"
    if not frame.named("number") and not frame.named("string"):
        yield "no states"


def _table(panel: Panel, frame: Frame) -> Iterator[str]:
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["id"] == "byName" and override["matcher"]["options"] not in frame.fields:
            yield f"there is no column {override['matcher']['options']}"


def _map(panel: Panel, frame: Frame) -> Iterator[str]:
    yield from _table(panel, frame)
    needed = []
    for layer in panel["options"]["layers"]:
        if layer["type"] == "markers":
            needed += [layer["location"]["latitude"], layer["location"]["longitude"]]
            needed.append(layer["config"]["style"]["color"]["field"])
    for name in needed:
        if name not in frame.named("number"):
            yield f"no numbers {name}"
    for name, low, high in ((needed[0], 31.3, 31.6), (needed[1], 120.3, 120.6)):
        if not all(low < float(value) < high for value in frame.fields[name]):
            yield f"a {name} outside the town"


_SHOWN: Mapping[str, Callable[[Panel, Frame], Iterator[str]]] = {
    "timeseries": _lines,
    "stat": _figures,
    "gauge": _figures,
    "bargauge": _figures,
    "barchart": _figures,
    "piechart": _figures,
    "heatmap": _lines,
    "statetimeline": _spans,
    "state-timeline": _spans,
    "status-history": _spans,
    "table": _table,
    "geomap": _map,
}
