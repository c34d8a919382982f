"""Rules × registry → arrays: plans, and the checks of every series in CSR form."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import SECOND
from detectors.columns import KINDS, PLAN, PROFILE
from detectors.derived import Derived
from detectors.groups import RETIRED, Plan, Town, planned
from detectors.measures import FROZEN, LEVELS, NOISE, PARTS, RATE, THRESHOLD, WEEK
from detectors.rules import RuleSet
from detectors.schedule import week_of
from devices.registry import Registry
from ingest.words import Quality

_FEEDS = 62
__all__ = ["RETIRED", "Compiled", "Plan", "compile_rules", "levels"]


@dataclass(frozen=True)
class Compiled:
    """What the kernels need of rules and registry. `plan` and `owner` are over checks, ordered by series, then rule id.

    `columns` is PLAN over plans, `rule_of` a plan's place in `rule_ids`, `start` the CSR index over series, the derived
    ones behind the registry's; `profile` the row of `profiles` (PROFILE) of each series; `hours` the weeks of plans.
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
    hours: npt.NDArray[np.uint8]
    derived: Derived

    @property
    def has_window(self) -> npt.NDArray[np.bool_]:
        """Over checks: whether it remembers readings within a span."""
        return np.asarray(_windowed(self.columns)[self.plan])

    @property
    def has_memo(self) -> npt.NDArray[np.bool_]:
        """Over checks: whether it remembers anything but its state."""
        return np.asarray(_remembering(self.columns)[self.plan])

    @cached_property
    def anchor(self) -> npt.NDArray[np.int32]:
        """Over checks: the registered series by which a check is known; of a derived one the first of its inputs."""
        return self.derived.anchor(self.owner)

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """Each check's (anchor, rule) as one number."""
        return self.anchor.astype(np.int64) * max(len(self.rule_ids), 1) + self.rule_of[self.plan]


def _windowed(columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray((columns["kind"] == RATE) | (columns["needed"] > 0) | (columns["count"] > 0))


def _remembering(columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    own = (columns["learn"] > 0) | (columns["dwell_off"] > 0) | (columns["kind"] == NOISE)
    return np.asarray(own | _windowed(columns))


def compile_rules(rules: RuleSet, registry: Registry) -> Compiled:
    """The checks of these rules on the series of devices that aren't retired."""
    chosen = {rule.id: rule for rule in rules.rules.values() if rule.kind in KINDS}
    ids, town, derived = sorted(chosen), Town.of(registry), Derived.none(registry)
    plans: list[Plan] = []
    rule_of: list[int] = []
    series, of_plan = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for place, rule_id in enumerate(ids):
        for plan, members in planned(chosen[rule_id], town, derived):
            series.append(members)
            of_plan.append(np.full(len(members), len(plans), np.int32))
            plans.append(plan)
            rule_of.append(place)
    owner, plan_of = np.concatenate(series), np.concatenate(of_plan)
    order = np.lexsort((np.array([*rule_of, 0], np.int64)[plan_of], owner))
    count = len(registry.device) + derived.count
    start = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=count), out=start[1:])
    columns, hours = _columns(plans)
    owner, plan_of = owner[order], plan_of[order]
    profiles, profile = _profiles(columns, start, owner, plan_of, derived.inputs)
    placed = np.array(rule_of, np.int64)
    return Compiled(plans, columns, ids, placed, start, plan_of, owner, profiles, profile, hours, derived)


def _profiles(
    plans: npt.NDArray[Any],
    start: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int32],
    plan_of: npt.NDArray[np.int32],
    feeding: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint16]]:
    """One profile for each set of plans that makes one; the last row, for those beyond 65,535, is never calm.

    The series `feeding` derived ones are like those without that have other plans.
    """
    mark = np.random.default_rng(0).integers(0, 2**63, len(plans) + 2, np.uint64)
    marks = np.zeros(len(start) - 1, np.uint64)
    place = np.arange(len(owner)) - start[owner]
    np.add.at(marks, owner, mark[_alike(plans)[plan_of]] * (2 * place + 1).astype(np.uint64))
    marks[feeding] += mark[-1]
    _, first, profile = np.unique(marks, return_index=True, return_inverse=True)
    first = first[: 2**16 - 1]
    profiles = np.zeros(len(first) + 1, PROFILE)
    profiles["lower"], profiles["keen"], profiles["rate"], profiles["noise"] = np.inf, -1, -1, -1
    fed = np.zeros(len(marks), np.bool_)
    fed[feeding] = True
    for row, series in enumerate(first.tolist()):
        its = plan_of[start[series] : start[series + 1]]
        _describe(profiles[row], plans[its], its, bool(fed[series]))
    return profiles, np.minimum(profile, len(first)).astype(np.uint16)


def _alike(plans: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """A number for each plan, the same for those that make no difference to a profile."""
    keen = _windowed(plans) | (plans["learn"] > 0) | (plans["kind"] == NOISE)
    its_own = np.isin(plans["kind"], (RATE, NOISE)) & (plans["mask"] == 0) & (plans["hours"] < 0)
    frozen = plans["kind"] == FROZEN
    parts = (
        plans["kind"],
        plans["sign"],
        np.where(keen, 0.0, plans["limit"][:, 0]),
        np.where(frozen, plans["rest"], 0.0),
        np.where(frozen, plans["least"], 0),
        _windowed(plans),
        _remembering(plans),
        np.where(its_own, np.arange(len(plans)), -1),
    )
    rows = np.column_stack([keen, *parts]).astype(np.float64)
    _, number = np.unique(rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel(), return_inverse=True)
    return np.asarray(number)


def _describe(profile: Any, plans: npt.NDArray[Any], numbers: npt.NDArray[np.int32], feeds: bool) -> None:
    """Fill the row of PROFILE of series with these plans, whose places among all are `numbers`."""
    keen = _windowed(plans) | (plans["learn"] > 0) | (plans["kind"] == NOISE)
    limits = plans[(plans["kind"] == THRESHOLD) & ~keen]
    above = limits["sign"] > 0
    frozen = plans[plans["kind"] == FROZEN]
    profile["lower"] = max((-limits["limit"][~above, 0]).tolist(), default=-np.inf)
    profile["upper"] = min(limits["limit"][above, 0].tolist(), default=np.inf)
    profile["rest"] = frozen["rest"][0] if len(frozen) else np.nan
    profile["least"] = min(frozen["least"].tolist(), default=2**31 - 1)
    if len(plans) >= _FEEDS:
        return
    plain = (plans["mask"] == 0) & (plans["hours"] < 0)
    for name, kind, row, has in (
        ("rate", RATE, "rate_window", _windowed(plans)),
        ("noise", NOISE, "noise_memo", _remembering(plans)),
    ):
        for place in np.flatnonzero(plain & (plans["kind"] == kind))[:1].tolist():
            profile[name], profile[row], keen[place] = numbers[place], has[:place].sum(), False
    profile["keen"] = sum(1 << place for place in np.flatnonzero(keen).tolist()) | feeds << _FEEDS


def _columns(plans: list[Plan]) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """PLAN over plans, and the distinct weeks to which their `hours` point (at least one row)."""
    weeks: dict[tuple[str, ...], int] = {}
    rows = []
    for plan in plans:
        rule, rest = plan.rule, plan.metric.rest
        limit, floor = _levels(plan)
        row = {
            "limit": limit,
            "floor": floor,
            "sign": 1.0 if rule.direction == "above" else -1.0,
            "ignore": np.nan if rule.ignore is None else rule.ignore,
            "rest": np.nan if rest is None else rest,
            "dwell": plan.terms.dwell,
            "dwell_off": plan.terms.dwell_off,
            "window": window_of(plan),
            "base": np.nan if plan.base is None else plan.base,
            "resolution": 10.0**-plan.metric.decimals,
            "least": plan.metric.frozen_count,
            "learn": max(rule.baseline_readings, 1) if rule.baseline else 0,
            "needed": parts_needed(plan),
            "count": min(rule.count, PARTS),
            "hours": weeks.setdefault(rule.hours, len(weeks)) if rule.hours else -1,
            "mask": mask_of(rule.not_when),
            "kind": KINDS[rule.kind],
            "over": rule.over_range or 0,
            "life": rule.life_safety_from or LEVELS,
            "latch": rule.latch,
            "anomaly": rule.anomaly,
        }
        rows.append(tuple(map(row.__getitem__, PLAN.names or ())))
    columns = np.array(rows, PLAN)
    hours = np.ones((max(len(weeks), 1), WEEK), np.uint8)
    for spans, number in weeks.items():
        hours[number] = week_of(spans)
    return columns, hours


def mask_of(names: tuple[str, ...]) -> int:
    """The quality flags of these names.

    >>> mask_of(("aged", "clock_off"))
    36
    """
    return sum(int(Quality[name.upper()]) for name in set(names))


def parts_needed(plan: Plan) -> int:
    """How many parts of a mean's span must have data, 0 for no mean."""
    return max(1, int(np.ceil(plan.rule.coverage * PARTS / 100))) if plan.rule.mean else 0


def window_of(plan: Plan) -> int:
    """The span over which the rule looks back, µs: of a mean the mean's."""
    if plan.rule.kind == "frozen" and not plan.terms.window:
        return (plan.metric.frozen_s or 0) * SECOND
    return plan.rule.mean or plan.terms.window


def levels(plan: Plan) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Limits and floors by severity, direction-normalised, the lowest of each in column 0, NaN where there is none.

    Every level keeps the lowest one's distance between limit and recovery. An upper limit is violated when it is
    reached, a lower one only by less, one of a rule with `beyond` only by more: these are moved by the least possible
    step.
    """
    limit, floor = _levels(plan)
    return np.array(limit), np.array(floor)


def _levels(plan: Plan) -> tuple[tuple[float, ...], tuple[float, ...]]:
    above = plan.rule.direction == "above" or plan.rule.kind != "threshold"
    sign, terms = 1.0 if above else -1.0, plan.terms
    band = max(min(sign * value for value in terms.limits.values()) - sign * terms.recovery, 0.0)
    limit, floor = [math.nan] * LEVELS, [math.nan] * LEVELS
    for severity, value in terms.limits.items():
        limit[severity] = _reached(sign * value, above and not plan.rule.beyond)
        floor[severity] = _reached(sign * value - band, above)
    limit[0], floor[0] = (min(level[severity] for severity in terms.limits) for level in (limit, floor))
    return tuple(limit), tuple(floor)


def _reached(value: float, above: bool) -> float:
    return value if above else math.nextafter(value, math.inf)
