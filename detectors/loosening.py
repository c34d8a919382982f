"""Which changes let a rule alarm later or less: pure comparisons, on the cautious side wherever devices differ."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from detectors.rule import SCOPES, Override, Rule, Terms, overridden
from detectors.words import Severity

_SHORTER = frozenset({"threshold", "rate", "flapping"})
"""Kinds that count or rise within their window: a shorter one sees less."""
_LONGER = frozenset({"frozen", "drift"})
"""Kinds for which something must last for their window."""


def loosens(rule: Rule, change: Override, attributes: Mapping[str, Any] | None = None) -> list[str]:
    """The fields by which the rule alarms later or less where `change` holds; empty when it is nowhere looser.

    `change` replaces the override of its scope that the rule may have already, so leaving out what that one tightened
    loosens too. Beneath it every override of a less specific scope is thought of, as nobody knows here which devices
    stand there. `attributes` of the device spare the caution about limits that each device has of its own.

    >>> from detectors.rules import load_packs
    >>> rule = load_packs().rules["gas.leak"]
    >>> loosens(rule, Override(site="S1", dwell=3_600_000_000, enabled=False))
    ['dwell', 'enabled']
    >>> loosens(rule, Override(site="S1", dwell=0))
    []
    """
    fields: dict[str, None] = {}
    for before, after in _cases(rule, change, attributes or {}):
        fields |= dict.fromkeys(loosened(rule, before, after))
    if attributes is None:
        fields |= dict.fromkeys(f"limits.{level.name.lower()}" for level in rule.limits_from if level in _named(change))
    return sorted(fields)


def life_safety_refused(rule: Rule, change: Override, attributes: Mapping[str, Any] | None = None) -> list[str]:
    """The loosened fields that touch a matter of life and safety: with any of them the change is out of the question.

    What the severities have in common (dwell, recovery, window, being in force) is one as soon as any severity is.
    """
    if not any(rule.is_life_safety(level) for level in severities(rule, change)):
        return []
    spared = {f"limits.{level.name.lower()}" for level in Severity if level and not rule.is_life_safety(level)}
    return [field for field in loosens(rule, change, attributes) if field not in spared]


def counted_on(rule: Rule, rules: Mapping[str, Rule]) -> Rule:
    """The rule, with every severity a matter of life and safety where a compound that is one counts it as a member.

    >>> from detectors.rules import load_packs
    >>> packs = load_packs().rules
    >>> life_safety_refused(counted_on(packs["warehouse.temperature"], packs), Override(site="S1", enabled=False))
    ['enabled']
    """
    compounds = (each for each in rules.values() if each.kind == "compound" and each.life_safety_from is not None)
    bound = any(rule.id in each.members for each in compounds)
    return replace(rule, life_safety_from=Severity.NOTICE) if bound else rule


def severities(rule: Rule, change: Override) -> set[Severity]:
    """Every severity that the rule can have, also by one of its overrides."""
    found = {*rule.limits, *rule.limits_from, *rule.table, *_named(change)}
    for override in rule.overrides:
        found |= _named(override)
    return found | ({rule.over_range} if rule.over_range else set())


def loosened(rule: Rule, before: Terms, after: Terms) -> Iterator[str]:
    """The fields in which one device's terms become looser. A number that is none counts as looser.

    >>> from detectors.rules import load_packs
    >>> rule, terms = load_packs().rules["gas.leak"], Terms({Severity.ALARM: 25.0}, 20.0, 0, 0)
    >>> list(loosened(rule, terms, Terms({Severity.ALARM: 30.0}, 20.0, 0, 0)))
    ['limits.alarm']
    """
    if not before.enabled:
        return
    if not after.enabled:
        yield "enabled"
    sign = 1.0 if rule.direction == "above" else -1.0
    for level, limit in before.limits.items():
        if level not in after.limits or not sign * after.limits[level] <= sign * limit:
            yield f"limits.{level.name.lower()}"
    if before.limits and not sign * after.recovery <= sign * before.recovery:
        yield "recovery"
    if not after.dwell <= before.dwell:
        yield "dwell"
    if not after.dwell_off >= before.dwell_off:
        yield "dwell_off"
    if _sees_less(rule.kind, before.window, after.window):
        yield "window"


def _sees_less(kind: str, before: int, after: int) -> bool:
    if kind in _SHORTER:
        return after < before
    return after > before if kind in _LONGER and before else after != before


def _cases(rule: Rule, change: Override, attributes: Mapping[str, Any]) -> Iterator[tuple[Terms, Terms]]:
    """Terms before and after the change for every ground that it may stand on: of each field every value that it may
    have there, as each is set by the rule or by one override."""
    ground = replace(rule.terms("", "", "", attributes), enabled=True)
    place, share = SCOPES.index(change.scope[0]), rule.recovery_share
    weaker = (each for each in rule.overrides if SCOPES.index(each.scope[0]) < place)
    same = [each for each in rule.overrides if each.scope == change.scope]
    for each in (ground, *(overridden(ground, override, rule.direction, share) for override in weaker)):
        before = each
        for override in same:
            before = overridden(before, override, rule.direction, share)
        yield before, overridden(each, change, rule.direction, share)


def _named(override: Override) -> set[Severity]:
    return set(override.limits or {})
