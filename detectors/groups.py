"""Which series follow which plan: a rule's terms, the same for all devices that nothing tells apart."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.derived import Derived, inputs_of
from detectors.expression import Expression
from detectors.rule import Rule, Terms
from devices.device_types import Metric
from devices.registry import Registry

RETIRED = "retired"


@dataclass(frozen=True)
class Plan:
    """A rule as it holds for some devices of one type; `base` is the baseline that their attribute gives."""

    rule: Rule
    terms: Terms
    metric: Metric
    base: float | None = None


@dataclass(frozen=True)
class Town:
    """The registry as arrays over series; type -1 where a rule has nothing to look at."""

    registry: Registry
    types: list[str]
    type_of: npt.NDArray[np.int32]
    _having: dict[str, set[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, registry: Registry) -> "Town":
        types = list(registry.types)
        place = {code: index for index, code in enumerate(types)}
        pairs = zip(registry.type_code, registry.state, strict=True)
        of_device = [-1 if state == RETIRED else place.get(code, -1) for code, state in pairs]
        return cls(registry, types, np.array([*of_device, -1], np.int32)[registry.device])

    def members(self, device_type: str, metric: str) -> npt.NDArray[np.int32]:
        """The series numbers of a metric of a device type."""
        if metric not in self.registry.metrics or device_type not in self.types:
            return np.empty(0, np.int32)
        code = self.registry.metrics.index(metric)
        its = (self.registry.metric == code) & (self.type_of == self.types.index(device_type))
        return np.flatnonzero(its).astype(np.int32)

    @cached_property
    def _at(self) -> dict[str, list[int]]:
        """The devices of each site."""
        found: dict[str, list[int]] = {}
        for index, site in enumerate(self.registry.site):
            found.setdefault(site, []).append(index)
        return found

    def at(self, sites: Iterable[str]) -> set[int]:
        """The devices at these sites."""
        return {index for site in sites for index in self._at.get(site, ())}

    def having(self, attribute: str) -> set[int]:
        """The devices that have an attribute, or whose site has it."""
        if attribute not in self._having:
            registry = self.registry
            own = {registry.device_index[code] for code, known in registry.attributes.items() if attribute in known}
            places = [site for site, known in registry.site_attributes.items() if attribute in known]
            self._having[attribute] = own | self.at(places)
        return self._having[attribute]


def planned(rule: Rule, town: Town, derived: Derived) -> Iterator[tuple[Plan, npt.NDArray[np.int32]]]:
    """A rule's plans with the series that follow them, the derived ones made where the rule has an expression."""
    expression = Expression.parse(rule.expression) if rule.expression else None
    for device_type in rule.device_types:
        kind = town.registry.types.get(device_type)
        if kind is None:
            continue
        if expression is None:
            members = town.members(device_type, rule.metric)
            for plan, chosen in _plans(rule, town, device_type, kind.metrics.get(rule.metric), members):
                yield plan, members[chosen]
        else:
            inputs = inputs_of([town.members(device_type, metric) for metric in expression.metrics], town.registry)
            metric = Metric(rule.expression, rule.unit, rule.expression, rule.expression, -np.inf, np.inf, 3)
            for plan, chosen in _plans(rule, town, device_type, metric, inputs[:, 0]):
                yield plan, derived.add(expression, rule.max_age, inputs[chosen])


def _plans(
    rule: Rule, town: Town, device_type: str, metric: Metric | None, members: npt.NDArray[np.int32]
) -> Iterator[tuple[Plan, npt.NDArray[np.intp]]]:
    """The plans of series of one device type, each with the places of those that follow it."""
    if metric is None or not len(members):
        return
    devices = town.registry.device[members]
    apart = _told_apart(rule, town)
    alone = np.isin(devices, np.fromiter(apart, np.int64, len(apart))) if apart else np.zeros(len(members), np.bool_)
    common, shared = rule.terms(device_type, "", ""), np.flatnonzero(~alone)
    if common.enabled and len(shared):
        yield Plan(rule, common, metric), shared
    groups: dict[tuple[Any, ...], tuple[Plan, list[int]]] = {}
    known: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for place in np.flatnonzero(alone).tolist():
        key = _differing(rule, town.registry, int(devices[place]))
        if key not in known:
            plan = _plan(rule, town.registry, device_type, metric, int(devices[place]))
            known[key] = _content(plan)
            groups.setdefault(known[key], (plan, []))
        groups[known[key]][1].append(place)
    for plan, places in groups.values():
        if plan.terms.enabled:
            yield plan, np.array(places, np.intp)


def attributes_of_interest(rule: Rule) -> tuple[str, ...]:
    """The attributes by which a rule may differ from device to device."""
    own = {limit.attribute for limit in rule.limits_from.values()}
    by_override = {name for override in rule.overrides for name in override.attribute or ()}
    return tuple(sorted(own | by_override | ({rule.baseline} if rule.baseline else set())))


def _told_apart(rule: Rule, town: Town) -> set[int]:
    """The devices for which the rule may differ from what holds for all of their type."""
    registry = town.registry
    named = {registry.device_index[o.device] for o in rule.overrides if o.device in registry.device_index}
    found = named | town.at(o.site for o in rule.overrides if o.site is not None)
    return found.union(*(town.having(name) for name in attributes_of_interest(rule)))


def _differing(rule: Rule, registry: Registry, device: int) -> tuple[Any, ...]:
    """All of a device that the rule's terms depend on."""
    code, site = registry.device_codes[device], registry.site[device]
    scopes: Sequence[tuple[str, str]] = [override.scope for override in rule.overrides]
    names = attributes_of_interest(rule)
    attributes = registry.attributes_of(device) if names else {}
    return (
        code if ("device", code) in scopes else "",
        site if ("site", site) in scopes else "",
        *(str(attributes.get(name)) for name in names),
    )


def _plan(rule: Rule, registry: Registry, device_type: str, metric: Metric, device: int) -> Plan:
    attributes = registry.attributes_of(device)
    terms = rule.terms(device_type, registry.site[device], registry.device_codes[device], attributes)
    base = attributes.get(rule.baseline) if rule.baseline else None
    given = isinstance(base, int | float) and not isinstance(base, bool)
    return Plan(rule, terms, metric, float(base) if given and base is not None else None)


def _content(plan: Plan) -> tuple[Any, ...]:
    terms = plan.terms
    limits = tuple(sorted(terms.limits.items()))
    return limits, terms.recovery, terms.dwell, terms.dwell_off, terms.window, terms.enabled, plan.base
