"""Which series follow which plan: a rule's terms, the same for all devices that nothing tells apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.derived import Derived, inputs_of
from detectors.expression import Expression
from detectors.rule import Attributes, FromAttribute, Rule, Terms
from devices.device_types import Metric
from devices.registry import Registry

RETIRED = "retired"
_NONE: dict[str, Any] = {}


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
    registry, common = town.registry, rule.terms(device_type, "", "", metric=metric)
    differences = Differences.of(rule, registry)
    shared: list[int] = []
    groups: dict[tuple[Any, ...], tuple[Plan, list[int]]] = {}
    known: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for place, device in enumerate(registry.device[members].tolist() if differences.possible else ()):
        key = differences.key(device)
        if key is None:
            shared.append(place)
            continue
        if key not in known:
            plan = _plan(rule, registry, device_type, metric, device)
            known[key] = _content(plan)
            groups.setdefault(known[key], (plan, []))
        groups[known[key]][1].append(place)
    together = np.array(shared, np.intp) if differences.possible else np.arange(len(members))
    if common.enabled and len(together):
        yield Plan(rule, common, metric), together
    for plan, places in groups.values():
        if plan.terms.enabled:
            yield plan, np.array(places, np.intp)


@dataclass(frozen=True)
class Differences:
    """By what a rule may differ from device to device: overrides of devices and sites, and attributes."""

    registry: Registry
    devices: frozenset[str]
    sites: frozenset[str]
    attributes: tuple[str, ...]

    @classmethod
    def of(cls, rule: Rule, registry: Registry) -> "Differences":
        """Those of a rule."""
        devices = frozenset(override.device for override in rule.overrides if override.device is not None)
        sites = frozenset(override.site for override in rule.overrides if override.site is not None)
        return cls(registry, devices, sites, attributes_of_interest(rule))

    @property
    def possible(self) -> bool:
        """Whether there are any."""
        return bool(self.devices or self.sites or self.attributes)

    def key(self, device: int) -> tuple[str, ...] | None:
        """All of a device that the rule's terms depend on; None when nothing tells it from its type."""
        registry = self.registry
        code, site = registry.device_codes[device], registry.site[device]
        named = code if code in self.devices else "", site if site in self.sites else ""
        own, its = registry.attributes.get(code, _NONE), registry.site_attributes.get(site, _NONE)
        values = [repr(own[name] if name in own else its.get(name)) for name in self.attributes]
        apart = any(named) or any(name in own or name in its for name in self.attributes)
        return (*named, *values) if apart else None


def attributes_of_interest(rule: Rule) -> tuple[str, ...]:
    """The attributes by which a rule may differ from device to device."""
    own = {limit.attribute for limit in rule.limits_from.values()}
    by_override = {name for override in rule.overrides for name in override.attribute or ()}
    return tuple(sorted(own | by_override | ({rule.baseline} if rule.baseline else set())))


def _plan(rule: Rule, registry: Registry, device_type: str, metric: Metric, device: int) -> Plan:
    attributes = registry.attributes_of(device)
    terms = rule.terms(device_type, registry.site[device], registry.device_codes[device], attributes, metric)
    return Plan(rule, terms, metric, baseline_given(rule, attributes, metric))


def baseline_given(rule: Rule, attributes: Attributes, metric: Metric | None) -> float | None:
    """The baseline that a device's attribute gives; None without one, or where the sensor can't ever say it."""
    base = FromAttribute(rule.baseline).given(attributes) if rule.baseline else None
    if base is None or (metric is not None and not metric.low <= base <= metric.high):
        return None
    return base


def _content(plan: Plan) -> tuple[Any, ...]:
    terms = plan.terms
    limits = tuple(sorted(terms.limits.items()))
    return limits, terms.recovery, terms.dwell, terms.dwell_off, terms.window, terms.enabled, plan.base
