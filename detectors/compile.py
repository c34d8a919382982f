"""Rules × registry → arrays: plans, and the checks of every series in CSR form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import SECOND
from detectors.columns import KINDS, PLAN, PROFILE
from detectors.kernel import FROZEN, LEVELS, RATE, THRESHOLD
from detectors.rule import Rule, Terms
from detectors.rules import RuleSet
from detectors.words import Severity
from devices.device_types import Metric
from devices.registry import Registry

RETIRED = "retired"


@dataclass(frozen=True)
class Plan:
    """A rule as it holds for some devices of one type."""

    rule: Rule
    terms: Terms
    metric: Metric


@dataclass(frozen=True)
class Compiled:
    """What the kernels need of rules and registry. `plan` and `owner` are over checks, ordered by series, then rule id.

    `columns` is PLAN over plans, `rule_of` a plan's place in `rule_ids`, `start` the CSR index over series,
    `profile` the row of `profiles` (PROFILE) of each series.
    """

    plans: list[Plan]
    columns: npt.NDArray[Any]
    rule_ids: list[str]
    rule_of: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    plan: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]
    profiles: npt.NDArray[Any]
    profile: npt.NDArray[np.uint16]

    @property
    def is_rate(self) -> npt.NDArray[np.bool_]:
        """Over checks: whether it is a rate."""
        return np.asarray(self.columns["kind"][self.plan] == RATE)

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """Each check's (series, rule) as one number, rising."""
        return self.owner.astype(np.int64) * max(len(self.rule_ids), 1) + self.rule_of[self.plan]


def compile_rules(rules: RuleSet, registry: Registry) -> Compiled:
    """The checks of these rules on the series of devices that aren't retired."""
    ids = sorted(rule.id for rule in rules.rules.values() if rule.kind in KINDS)
    town = _Town.of(registry)
    plans: list[Plan] = []
    rule_of: list[int] = []
    series, chosen = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for place, rule_id in enumerate(ids):
        for plan, members in _planned(rules.rules[rule_id], town):
            series.append(members)
            chosen.append(np.full(len(members), len(plans), np.int32))
            plans.append(plan)
            rule_of.append(place)
    owner, plan_of = np.concatenate(series), np.concatenate(chosen)
    order = np.lexsort((np.array([*rule_of, 0], np.int64)[plan_of], owner))
    start = np.zeros(len(registry.device) + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=len(registry.device)), out=start[1:])
    columns = _columns(plans)
    owner, plan_of = owner[order], plan_of[order]
    profiles, profile = _profiles(columns, start, owner, plan_of)
    return Compiled(plans, columns, ids, np.array(rule_of, np.int64), start, plan_of, owner, profiles, profile)


def _profiles(
    plans: npt.NDArray[Any],
    start: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int32],
    plan_of: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint16]]:
    """One profile for each set of plans that some series has; the last row, for those beyond 65,535, is never calm."""
    mark = np.random.default_rng(0).integers(0, 2**63, len(plans) + 1, np.uint64)
    marks = np.zeros(len(start) - 1, np.uint64)
    np.add.at(marks, owner, mark[plan_of])
    _, first, profile = np.unique(marks, return_index=True, return_inverse=True)
    first = first[: 2**16 - 1]
    profiles = np.zeros(len(first) + 1, PROFILE)
    profiles["lower"] = np.inf
    for row, series in enumerate(first.tolist()):
        profiles[row] = _profile(plans[plan_of[start[series] : start[series + 1]]])
    return profiles, np.minimum(profile, len(first)).astype(np.uint16)


def _profile(plans: npt.NDArray[Any]) -> tuple[float, float, float, int, int]:
    limits = plans[plans["kind"] == THRESHOLD]
    above = limits["sign"] > 0
    frozen = plans[plans["kind"] == FROZEN]
    return (
        max((-limits["limit"][~above, 0]).tolist(), default=-np.inf),
        min(limits["limit"][above, 0].tolist(), default=np.inf),
        frozen["rest"][0] if len(frozen) else np.nan,
        min(frozen["least"].tolist(), default=2**31 - 1),
        int((plans["kind"] == RATE).any()),
    )


@dataclass(frozen=True)
class _Town:
    """The registry as arrays over series; type -1 where a rule has nothing to look at."""

    registry: Registry
    types: list[str]
    type_of: npt.NDArray[np.int32]

    @classmethod
    def of(cls, registry: Registry) -> "_Town":
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


def _planned(rule: Rule, town: _Town) -> Iterator[tuple[Plan, npt.NDArray[np.int32]]]:
    """A rule's plans with the series that follow them: one a device type, one more for each site or device override."""
    special = {override.scope for override in rule.overrides if override.device_type is None}
    registry = town.registry
    for device_type in rule.device_types:
        members = town.members(device_type, rule.metric)
        if not len(members):
            continue
        metric = registry.types[device_type].metrics[rule.metric]
        groups = _groups(special, members, registry) if special else {}
        named = [number for numbers in groups.values() for number in numbers]
        shared = members[~np.isin(members, named)] if named else members
        parts = {("", ""): shared, **{scope: np.array(own, np.int32) for scope, own in groups.items()}}
        for (site, code), numbers in parts.items():
            terms = rule.terms(device_type, site, code)
            if terms.enabled and len(numbers):
                yield Plan(rule, terms, metric), numbers


def _groups(
    special: set[tuple[str, str]], members: npt.NDArray[np.int32], registry: Registry
) -> dict[tuple[str, str], list[int]]:
    """The series of devices that an override names, by (site, device); device "" where only the site is named."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number in members.tolist():
        device = int(registry.device[number])
        site, code = registry.site[device], registry.device_codes[device]
        alone = ("device", code) in special
        if alone or ("site", site) in special:
            groups.setdefault((site, code if alone else ""), []).append(number)
    return groups


def _columns(plans: list[Plan]) -> npt.NDArray[Any]:
    columns = np.zeros(len(plans), PLAN)
    for row, plan in zip(columns, plans, strict=True):
        rule, rest = plan.rule, plan.metric.rest
        row["limit"], row["floor"] = levels(plan)
        row["sign"] = 1.0 if rule.direction == "above" else -1.0
        row["ignore"] = np.nan if rule.ignore is None else rule.ignore
        row["rest"] = np.nan if rest is None else rest
        row["dwell"], row["window"], row["least"] = plan.terms.dwell, _window(plan), plan.metric.frozen_count
        row["kind"], row["over"] = KINDS[rule.kind], rule.over_range or 0
        row["life"] = rule.life_safety_from or LEVELS
    return columns


def _window(plan: Plan) -> int:
    if plan.rule.kind == "frozen" and not plan.terms.window:
        return (plan.metric.frozen_s or 0) * SECOND
    return plan.terms.window


def levels(plan: Plan) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Limits and floors by severity, direction-normalised, the lowest of each in column 0, NaN where there is none.

    Every level keeps the lowest one's distance between limit and recovery. An upper limit is violated when it is
    reached, a lower one only by less, one of a rule with `beyond` only by more: these are moved by the least possible
    step.
    """
    limit, floor = np.full(LEVELS, np.nan), np.full(LEVELS, np.nan)
    above = plan.rule.direction == "above" or plan.rule.kind != "threshold"
    sign = 1.0 if above else -1.0
    terms = plan.terms
    first = min(sign * value for value in terms.limits.values())
    band = max(first - sign * terms.recovery, 0.0)
    for severity in Severity:
        if severity in terms.limits:
            limit[severity] = _reached(sign * terms.limits[severity], above and not plan.rule.beyond)
            floor[severity] = _reached(sign * terms.limits[severity] - band, above)
    limit[0], floor[0] = np.nanmin(limit), np.nanmin(floor)
    return limit, floor


def _reached(value: float, above: bool) -> float:
    return value if above else float(np.nextafter(value, np.inf))
