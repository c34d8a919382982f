"""The labels of an alert, and what it takes to match them.

A label that is missing matches nothing, not even "!=", nor counts as equal on both sides: nothing is ever quieted by
what nobody knows of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from alerts.town_view import TownView
from alerts.words import Row, Words
from detectors.rule import Rule
from detectors.words import Severity

Labels = Mapping[str, str]
Operator = Literal["=", "!=", "in"]

LABELS: dict[str, Words] = {
    "rule": Words("规则", "Rule"),
    "kind": Words("规则类型", "Kind of rule"),
    "hazard": Words("隐患类别", "Hazard"),
    "category": Words("案件类别", "Category"),
    "severity": Words("等级", "Severity"),
    "subject_kind": Words("对象类型", "Kind of subject"),
    "subject": Words("对象", "Subject"),
    "device_type": Words("设备类型", "Device type"),
    "site": Words("点位", "Site"),
    "site_kind": Words("点位类型", "Kind of site"),
    "grid": Words("网格", "Grid"),
    "village": Words("村（社区）", "Village"),
    "gateway": Words("网关", "Gateway"),
}
"""Every label that an alert may have."""
OPERATORS: tuple[Operator, ...] = ("=", "!=", "in")
PLACES = frozenset({"subject", "site"})
"""Labels that name a device or a site."""


class Matcher(NamedTuple):
    """One condition on one label; `values` has one entry but for "in".

    >>> Matcher("site", "!=", ("S1",)).holds({"site": "S2"}), Matcher("site", "!=", ("S1",)).holds({})
    (True, False)
    """

    label: str
    op: Operator
    values: tuple[str, ...]

    def holds(self, labels: Labels) -> bool:
        """Whether the label is there and is as the condition wants it."""
        found = labels.get(self.label)
        return bool(found) and (found not in self.values if self.op == "!=" else found in self.values)

    def as_json(self) -> dict[str, Any]:
        """As it is stored: {"label", "op", "value"}."""
        return {"label": self.label, "op": self.op, "value": list(self.values) if self.op == "in" else self.values[0]}


def matcher(label: str, op: Operator, *values: str) -> Matcher:
    """A matcher, written short.

    >>> matcher("hazard", "in", "gas", "smoke").as_json()
    {'label': 'hazard', 'op': 'in', 'value': ['gas', 'smoke']}
    """
    return Matcher(label, op, values)


def stored_matchers(stored: Sequence[Mapping[str, Any]]) -> tuple[Matcher, ...]:
    """The matchers of a database row."""
    return tuple(
        Matcher(each["label"], each["op"], (each["value"],) if isinstance(each["value"], str) else (*each["value"],))
        for each in stored
    )


def matches(matchers: Sequence[Matcher], labels: Labels) -> bool:
    """Whether all matchers hold; no matcher at all matches nothing."""
    return bool(matchers) and all(each.holds(labels) for each in matchers)


def same(labels: Labels, others: Labels, names: Sequence[str]) -> bool:
    """Whether both sides have all these labels and the same values in them.

    >>> same({"site": "S1"}, {"site": "S1"}, ["site"]), same({}, {}, ["site"])
    (True, False)
    """
    return all(labels.get(name) and labels.get(name) == others.get(name) for name in names)


def labels_of(alert: Row, town: TownView, rules: Mapping[str, Rule]) -> Labels:
    """An alert's labels; what the town or the rules don't know of it is missing.

    What an alert of an unknown rule is filed under is no knowledge, so it has neither hazard nor category.
    """
    rule = rules.get(alert["rule"])
    known = alert["hazard"] != "unknown"
    kind, subject = alert["subject_kind"], alert["subject_id"]
    device = town.devices.get(subject) if kind == "device" else None
    gateway = device.gateway if device else subject if kind == "gateway" else None
    site, grid = town.sites.get(alert["site"] or ""), town.grids.get(alert["grid"] or "")
    found = {
        "rule": alert["rule"],
        "kind": rule.kind if rule else None,
        "hazard": alert["hazard"] if known else None,
        "category": alert["category"] if known else None,
        "severity": Severity(alert["severity"]).name.lower(),
        "subject_kind": kind,
        "subject": subject,
        "device_type": device.type if device else None,
        "site": alert["site"],
        "site_kind": site.kind if site else None,
        "grid": alert["grid"],
        "village": grid.village if grid else None,
        "gateway": gateway,
    }
    return {name: value for name, value in found.items() if value}
