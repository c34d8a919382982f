"""What must hold of rules beyond the spelling of each field; every problem is found at once."""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from detectors.rule import GRADED, Rule, Terms, overridden
from detectors.words import Severity
from devices.device_types import DeviceType

CATEGORIES = (
    "治安稳定",
    "城市管理",
    "安全生产",
    "社情民意",
    "环境保护",
    "网格党建",
    "公共服务",
    "应急指挥",
    "三官一律",
)
HAZARDS = (
    *("gas", "toxic", "smoke", "electrical", "ebike", "lift", "fire_water", "warehouse", "flood", "canal", "manhole"),
    *("structure", "noise", "dust", "fume", "emission", "overload", "traffic", "device", "platform"),
)
FAULTS = {
    "platform": ("journal_quota", "readings_dropped", "store_behind", "disk_low", "canary_missed", "broker_drops"),
    "gateway_fault": ("clock", "flooding", "shut_out"),
}
"""By kind of rule what the platform says of itself or of a gateway."""

Types = Mapping[str, DeviceType]


def problems_of(rules: Mapping[str, Rule], types: Types) -> Iterator[tuple[str, str]]:
    """(rule id, ".field: what") for everything that is wrong."""
    for rule in rules.values():
        for check in _CHECKS:
            yield from ((rule.id, what) for what in check(rule, types))
    yield from _alone(rules)


def _vocabulary(rule: Rule, _types: Types) -> Iterator[str]:
    if rule.category not in CATEGORIES:
        yield f".category: {rule.category!r} is none of {', '.join(CATEGORIES)}"
    if rule.hazard not in HAZARDS:
        yield f".hazard: {rule.hazard!r} is none of {', '.join(HAZARDS)}"
    if rule.effective_from and rule.effective_to and rule.effective_from > rule.effective_to:
        yield ".effective_to: lies before effective_from"


def _subject_matter(rule: Rule, types: Types) -> Iterator[str]:
    """The metric or event must be one of every device type's, in the same unit."""
    needs_metric = rule.kind in GRADED or rule.kind == "frozen"
    if needs_metric != bool(rule.metric):
        yield f".metric: a rule of kind {rule.kind} {'needs one' if needs_metric else 'has none'}"
    needs_event = rule.kind == "event" or rule.kind in FAULTS
    if needs_event != bool(rule.event):
        yield f".event: a rule of kind {rule.kind} {'needs one' if needs_event else 'has none'}"
    if rule.kind in FAULTS:
        yield from _of_a_fault(rule)
        return
    if not rule.device_types:
        yield ".device_types: no device type fits"
    for code in rule.device_types:
        if code not in types:
            yield f".device_types: there is no device type {code}"
        elif rule.event and rule.event not in types[code].events:
            yield f".event: {code} has no event {rule.event}"
        elif rule.metric:
            yield from _metric_fits(rule, types[code])


def _of_a_fault(rule: Rule) -> Iterator[str]:
    known = FAULTS[rule.kind]
    if rule.device_types:
        yield f".device_types: a rule of kind {rule.kind} has none"
    if rule.event and rule.event not in known:
        yield f".event: {rule.event!r} is none of {', '.join(known)}"


def _metric_fits(rule: Rule, device_type: DeviceType) -> Iterator[str]:
    metric = device_type.metrics.get(rule.metric)
    if metric is None:
        yield f".metric: {device_type.code} has no metric {rule.metric}"
    elif rule.kind in ("threshold", "rate") and metric.unit != rule.unit:
        yield f".unit: {rule.unit!r}, but {device_type.code} measures {rule.metric} in {metric.unit!r}"
    elif rule.kind == "threshold" and not all(metric.low <= limit <= metric.high for limit in rule.limits.values()):
        yield f".limits: outside of what {device_type.code} can measure, {metric.low} to {metric.high}"
    elif rule.kind == "frozen" and metric.frozen_s is None:
        yield f".metric: {device_type.code} doesn't say from when {rule.metric} is frozen"


def _spans(rule: Rule, _types: Types) -> Iterator[str]:
    if rule.kind == "rate" and rule.window <= 0:
        yield ".window: a rule of kind rate needs one"
    if rule.kind not in ("rate", "frozen") and rule.window:
        yield f".window: a rule of kind {rule.kind} has none"
    if rule.beyond and (rule.kind != "threshold" or rule.direction == "below"):
        yield ".beyond: only a threshold above which a value must lie has it"
    if rule.over_range is not None and rule.kind != "threshold":
        yield f".over_range: a rule of kind {rule.kind} has none"
    if rule.over_range is not None and rule.over_range < max(rule.limits, default=Severity.NONE):
        yield ".over_range: must be the highest severity"


def _limits(rule: Rule, _types: Types) -> Iterator[str]:
    yield from _terms_hold(Terms(rule.limits, rule.recovery, rule.dwell, rule.window), rule, "")
    if not rule.limits:
        return
    base = Terms(rule.limits, rule.recovery, rule.dwell, rule.window)
    for override in rule.overrides:
        where = ".overrides({}={})".format(*override.scope)
        yield from _terms_hold(overridden(base, override, rule.direction), rule, where)
        if override.limits is not None and rule.kind not in GRADED:
            yield f"{where}.limits: a rule of kind {rule.kind} has no limits"


def _terms_hold(terms: Terms, rule: Rule, where: str) -> Iterator[str]:
    """Limits rise with the severity, and recovery is on the good side of the lowest one."""
    if not terms.limits:
        yield f"{where}.limits: at least one severity is needed"
        return
    if not all(math.isfinite(limit) for limit in (*terms.limits.values(), terms.recovery)):
        yield f"{where}.limits: must be finite"
        return
    sign = 1.0 if rule.direction == "above" else -1.0
    ordered = [sign * terms.limits[severity] for severity in sorted(terms.limits)]
    if any(later <= earlier for earlier, later in pairwise(ordered)):
        yield f"{where}.limits: a higher severity needs a {'higher' if sign > 0 else 'lower'} limit"
    elif sign * terms.recovery > ordered[0]:
        yield f"{where}.recovery: {terms.recovery} is on the wrong side of the limit {sign * ordered[0]}"
    if rule.kind not in GRADED and len(ordered) > 1:
        yield f"{where}.limits: a rule of kind {rule.kind} has one severity"


def _alone(rules: Mapping[str, Rule]) -> Iterator[tuple[str, str]]:
    """A device has one silence rule, a gateway one gateway rule."""
    taken: dict[tuple[str, str], str] = {}
    for rule in rules.values():
        if rule.kind not in ("silence", "gateway"):
            continue
        for code in rule.device_types if rule.kind == "silence" else ("",):
            other = taken.setdefault((rule.kind, code), rule.id)
            if other != rule.id:
                yield rule.id, f".kind: {other} is a rule of kind {rule.kind}{' for ' * bool(code)}{code} already"


_CHECKS: tuple[Callable[[Rule, Types], Iterator[str]], ...] = (_vocabulary, _subject_matter, _spans, _limits)
