"""What must hold of a rule's limits: they rise with the severity, can be reached, and recovery is on the good side."""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import NamedTuple

import msgspec

from detectors.rule import GRADED, Override, Rule, Terms, overridden
from detectors.words import Severity
from devices.device_types import DeviceType, Metric

Types = Mapping[str, DeviceType]
_COUNTS = frozenset({"flapping", "out_of_range", "noise"})
"""Kinds whose limits count or compare, so that they are never below."""
_MEASURES = frozenset({"threshold", "rate", "drift"})


class Problem(NamedTuple):
    """What is wrong with a rule's field, or with the field of one of its overrides."""

    rule: str
    path: tuple[str | int, ...]
    what: str
    override: Override | None = None


def limit_problems(rule: Rule, types: Types) -> Iterator[Problem]:
    """Everything that is wrong with a rule's limits and those of its overrides."""
    if not (rule.limits or rule.limits_from or rule.table):
        path = ("limits",) if rule.kind in GRADED else ("severity",)
        yield Problem(rule.id, path, f"a rule of kind {rule.kind} needs {path[0]}")
        return
    yield from _of_the_kind(rule)
    yield from _of_attributes(rule)
    yield from _of_the_table(rule)
    base = msgspec.structs.replace(rule, overrides=()).terms("", "", "")
    yield from _hold(base, rule, types, None)
    for override in rule.overrides:
        if override.limits is not None and rule.kind not in GRADED:
            yield Problem(rule.id, ("limits",), f"a rule of kind {rule.kind} has no limits", override)
        else:
            yield from _hold(overridden(base, override, rule.direction, rule.recovery_share), rule, types, override)


def _of_the_kind(rule: Rule) -> Iterator[Problem]:
    severities = {*rule.limits, *rule.limits_from, *rule.table}
    if rule.kind not in GRADED and (len(severities) > 1 or rule.limits_from):
        yield Problem(rule.id, ("limits",), f"a rule of kind {rule.kind} has one severity and no limits")
    if rule.kind in _COUNTS and rule.direction == "below":
        yield Problem(rule.id, ("direction",), f"a rule of kind {rule.kind} has limits above only")
    if rule.kind in _COUNTS and any(limit <= 0 for limit in rule.limits.values()):
        yield Problem(rule.id, ("limits",), "must be more than 0")
    if rule.over_range is not None and rule.over_range < max(severities):
        yield Problem(rule.id, ("over_range",), "must be the highest severity")
    if rule.recovery_share is not None:
        sound = rule.recovery_share <= 1 if rule.direction == "above" else rule.recovery_share >= 1
        if not sound or rule.recovery_share <= 0:
            good = "more than 0 and at most 100%" if rule.direction == "above" else "at least 100%"
            yield Problem(rule.id, ("recovery",), f"a share of a limit {rule.direction} must be {good}")


def _of_attributes(rule: Rule) -> Iterator[Problem]:
    """Limits from one attribute must rise whatever it says; a life-safety limit must not vanish without it."""
    sign = 1 if rule.direction == "above" else -1
    for lower, higher in combinations(sorted(rule.limits_from), 2):
        first, second = rule.limits_from[lower], rule.limits_from[higher]
        if first.attribute == second.attribute and sign * second.times <= sign * first.times:
            more = "more" if sign > 0 else "less"
            what = f"must be {more} times {second.attribute} than for {_name(lower)}"
            yield Problem(rule.id, ("limits", _name(higher), "times"), what)
    for severity, limit in rule.limits_from.items():
        if rule.is_life_safety(severity) and limit.default is None:
            what = f"needs a default: without {limit.attribute} a device's life-safety limit would be gone"
            yield Problem(rule.id, ("limits", _name(severity)), what)
    if rule.kind in GRADED and rule.limits_from and rule.kind not in _MEASURES | {"event_value"}:
        yield Problem(rule.id, ("limits",), f"of kind {rule.kind} are the same for every device: write numbers")


def _of_the_table(rule: Rule) -> Iterator[Problem]:
    """For each thing that an event says, limits rise with the severity."""
    if bool(rule.table) != bool(rule.by):
        missing = "by is missing: what of the event chooses the row?" if rule.table else "needs a table of limits"
        yield Problem(rule.id, ("table",) if rule.table else ("by",), missing)
    for row in sorted({row for limits in rule.table.values() for row in limits}):
        limits = {severity: rule.table[severity][row] for severity in rule.table if row in rule.table[severity]}
        if (wrong := _not_rising(limits, rule.direction)) is not None:
            yield Problem(rule.id, ("table", _name(wrong), row), _needs_rise(rule))


def _hold(terms: Terms, rule: Rule, types: Types, override: Override | None) -> Iterator[Problem]:
    """Limits rise with the severity and can be reached, and recovery is on the good side of the lowest one."""
    if not terms.limits:
        return  # each device's own
    sign = 1.0 if rule.direction == "above" else -1.0
    first = min(terms.limits, key=lambda severity: sign * terms.limits[severity])
    if (wrong := _not_rising(terms.limits, rule.direction)) is not None:
        yield Problem(rule.id, ("limits", _name(wrong)), _needs_rise(rule), override)
    elif sign * terms.recovery > sign * terms.limits[first]:
        what = f"{terms.recovery:g} is on the wrong side of the limit {terms.limits[first]:g}"
        yield Problem(rule.id, ("recovery",), what, override)
    for code in rule.device_types:
        metric = types[code].metrics.get(rule.metric) if code in types else None
        if metric is not None:
            yield from _reachable(terms, rule, types[code], metric, override)


def _reachable(
    terms: Terms, rule: Rule, kind: DeviceType, metric: Metric, override: Override | None
) -> Iterator[Problem]:
    low, high, what = metric.low, metric.high, "can measure"
    if rule.kind in ("rate", "drift") or rule.baseline:
        low, high, what = 0.0, metric.high - metric.low, "can change by"
    elif rule.kind != "threshold":
        return
    for severity, limit in terms.limits.items():
        if not low <= limit <= high:
            outside = f"{limit:g} is outside of what {kind.code} {what}, {low:g} to {high:g}"
            yield Problem(rule.id, ("limits", _name(severity)), outside, override)


def _not_rising(limits: Mapping[Severity, float], direction: str) -> Severity | None:
    """The first severity whose limit is no further out than that of a lower one."""
    sign = 1.0 if direction == "above" else -1.0
    for lower, higher in pairwise(sorted(limits)):
        if not (math.isfinite(limits[higher]) and sign * limits[lower] < sign * limits[higher]):
            return higher
    return None


def _needs_rise(rule: Rule) -> str:
    return f"a higher severity needs a {'higher' if rule.direction == 'above' else 'lower'} limit"


def _name(severity: Severity) -> str:
    return severity.name.lower()
