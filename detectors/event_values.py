"""Whether an event violates a rule: by being said, or by the number that it brings."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from detectors.rule import Rule, Terms
from detectors.words import Severity

_SAID = ("active", "online")


class Judged(NamedTuple):
    """The severity that an event reaches, 0 for the end of an episode; value, limit and what else belongs to it."""

    level: int
    value: float | None
    limit: float | None
    more: dict[str, Any]


def judge(rule: Rule, terms: Terms, attributes: Mapping[str, Any]) -> Judged | None:
    """What an event's attributes mean to a rule of kind event or event_value; None when they say nothing to it.

    A momentary event below every limit neither begins nor ends anything; one that says "active" with such a number
    ends the episode.
    """
    says = attributes.get("active", True) is not False
    if rule.kind == "event":
        return _plainly(int(rule.severity()) if says else 0)
    if not says:
        return _plainly(0)
    value = number(attributes.get(rule.value))
    limits = limits_of(rule, terms, attributes)
    if value is None or not limits:
        return None
    reached = [severity for severity, limit in limits.items() if violates(rule, value, limit)]
    if not reached:
        return _plainly(0) if "active" in attributes else None
    level = max(reached)
    named = {severity.name.lower(): limit for severity, limit in sorted(limits.items())}
    said = {name: each for name, each in attributes.items() if name not in _SAID and _is_plain(each)}
    return Judged(int(level), value, limits[level], {"said": said, "unit": rule.unit, "limits": named})


def limits_of(rule: Rule, terms: Terms, attributes: Mapping[str, Any]) -> dict[Severity, float]:
    """The limits for an event: what the table has for its `by`, over those that hold for the device.

    >>> from types import SimpleNamespace
    >>> rule = SimpleNamespace(by="axles", table={Severity.WARNING: {"2": 18.0, "3": 25.0}})
    >>> limits_of(rule, Terms({}, 0.0, 0, 0), {"axles": 3})
    {<Severity.WARNING: 2>: 25.0}
    """
    row = key(attributes.get(rule.by)) if rule.by else ""
    return {**terms.limits, **{severity: table[row] for severity, table in rule.table.items() if row in table}}


def violates(rule: Rule, value: float, limit: float) -> bool:
    """Whether a value is on the bad side of a limit, as the rule's direction and `beyond` say."""
    if rule.direction == "below":
        return value < limit
    return value > limit if rule.beyond else value >= limit


def number(value: object) -> float | None:
    """A finite number; None for anything else.

    >>> number(3), number("3"), number(True), number(float("nan"))
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def key(value: object) -> str:
    """What an event says by which its limit is found, as a rule spells it.

    >>> key(3), key(3.0), key("3"), key(None)
    ('3', '3', '3', '')
    """
    if isinstance(value, str):
        return value
    found = number(value)
    return "" if found is None else f"{found:.12g}"


def _plainly(level: int) -> Judged:
    return Judged(level, None, None, {})


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)
