"""What must hold of rules beyond the spelling of each field; every problem is found at once."""

from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from core.clock import DAY, MINUTE
from detectors.expression import Expression
from detectors.rule import MEASURED, Rule
from detectors.rule_fields import near
from detectors.rule_limits import Problem, Types, limit_problems
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
    *("structure", "noise", "dust", "fume", "emission", "overload", "traffic"),
    *("power", "device", "platform", "unusual"),
)
FAULTS = {
    "platform": (
        *("journal_quota", "readings_dropped", "store_behind", "disk_low", "canary_missed", "broker_drops"),
        *("rules_refused", "escalation_unsure"),
    ),
    "gateway_fault": ("clock", "flooding", "shut_out"),
    "unusual": ("readings", "fleet"),
}
"""By kind of rule what the platform says of itself or of a gateway, or its models of normal of a device."""

SUBJECTLESS: frozenset[str] = frozenset({*FAULTS, "compound"})
"""Kinds that are about no device of a type."""
_EVENTS = frozenset({"event", "event_value", *FAULTS})
_JUDGED = frozenset({"threshold", "rate"})
_ONE_WAY = ("mean", "count", "baseline")
_ONLY: Mapping[str, frozenset[str]] = {
    "expression": _JUDGED,
    "ignore": _JUDGED,
    "over_range": frozenset({"threshold"}),
    "beyond": frozenset({"threshold", "event_value"}),
    **dict.fromkeys(_ONE_WAY, frozenset({"threshold"})),
    "window": frozenset({"threshold", "rate", "frozen", "noise", "drift", "flapping"}),
    "dwell_off": MEASURED - {"drift"},
    "not_when": MEASURED - {"drift"},
    "dwell": MEASURED - {"drift"} | {"silence", "gateway"},
    "hours": MEASURED - {"drift"} | {"event", "event_value"},
    "latch": MEASURED - {"drift"} | {"event", "event_value"},
    "anomaly": frozenset({"threshold", "rate", "event_value", "compound"}),
    **dict.fromkeys(("value", "by", "table"), frozenset({"event_value"})),
    **dict.fromkeys(("members", "within"), frozenset({"compound"})),
}
"""Fields that only rules of some kinds have."""
_BESIDES = {
    "max_age": "expression",
    "coverage": "mean",
    "baseline_readings": "baseline",
    "distinct": "members",
    "at_least": "members",
}
"""Fields that say more about another one, which must be there."""
_SPANS = {"dwell": DAY, "dwell_off": DAY, "window": DAY, "mean": 7 * DAY, "max_age": DAY, "within": 7 * DAY}
"""By span the longest that can be meant, µs."""
MOST_COUNTED = 24
"""The most readings that `count` may ask for."""
_DEFAULTS = {each.name: each.default for each in msgspec.structs.fields(Rule) if not each.required}


def problems_of(rules: Mapping[str, Rule], types: Types, broken: Collection[str] = ()) -> Iterator[Problem]:
    """Everything that is wrong. `broken` are rules that could not be read: nobody is blamed for naming them."""
    for rule in rules.values():
        for check in _CHECKS:
            yield from check(rule, types)
        yield from _compound(rule, rules, broken)
    yield from _alone(rules)


def _given(rule: Rule, name: str) -> bool:
    value = getattr(rule, name)
    return bool(value != _DEFAULTS[name] and value not in ({}, ()))


def _vocabulary(rule: Rule, _types: Types) -> Iterator[Problem]:
    for name, known in (("category", CATEGORIES), ("hazard", HAZARDS)):
        value = getattr(rule, name)
        if value not in known:
            yield Problem(rule.id, (name,), f"{value!r} is none of {', '.join(known)}{near(value, known)}")
    if rule.effective_from and rule.effective_to and rule.effective_from > rule.effective_to:
        yield Problem(rule.id, ("effective_to",), "lies before effective_from")
    for name in ("title_zh", "title_en", "advice_zh", "advice_en"):
        if not getattr(rule, name):
            yield Problem(rule.id, (name,), "is empty")


def _fields(rule: Rule, _types: Types) -> Iterator[Problem]:
    """No field that means nothing to the rule's kind."""
    for name, kinds in _ONLY.items():
        if _given(rule, name) and rule.kind not in kinds:
            yield Problem(rule.id, (name,), f"a rule of kind {rule.kind} has none: only {', '.join(sorted(kinds))}")
    for name, other in _BESIDES.items():
        if _given(rule, name) and not _given(rule, other):
            yield Problem(rule.id, (name,), f"has no meaning without {other}")
    if rule.beyond and rule.direction == "below":
        yield Problem(rule.id, ("beyond",), "only a limit above which a value must lie has it")
    if rule.anomaly and rule.life_safety_from is not None:
        yield Problem(rule.id, ("anomaly",), "a life-safety rule is never held back because its sensor is sick")
    if rule.not_when and rule.life_safety_from is not None:
        yield Problem(
            rule.id, ("not_when",), "a life-safety rule leaves no reading out: late or doubtful, it may be true"
        )


def _ways(rule: Rule, _types: Types) -> Iterator[Problem]:
    """One way of judging a value, and what that way needs."""
    ways = [name for name in _ONE_WAY if _given(rule, name)]
    if len(ways) > 1:
        yield Problem(rule.id, (ways[1],), f"excludes {ways[0]}: a value is judged in one way")
    if rule.count and not 2 <= rule.count <= MOST_COUNTED:
        yield Problem(rule.id, ("count",), f"must be 2 to {MOST_COUNTED}, is {rule.count}")
    if rule.count and not rule.window:
        yield Problem(rule.id, ("count",), "needs a window: so many readings within which span?")
    if rule.kind == "threshold" and rule.window and not rule.count:
        yield Problem(rule.id, ("window",), "a threshold has one only with count")
    if not 0 < rule.coverage <= 100:
        yield Problem(rule.id, ("coverage",), f"is a percentage, more than 0 and at most 100, is {rule.coverage:g}")
    if not 1 <= rule.baseline_readings <= 1000:
        yield Problem(rule.id, ("baseline_readings",), f"must be 1 to 1000, is {rule.baseline_readings}")
    if rule.baseline and rule.direction == "below":
        yield Problem(rule.id, ("direction",), "a distance from the baseline has limits above it only")
    if rule.expression and not rule.max_age:
        yield Problem(rule.id, ("max_age",), "is missing: how much older may one metric's value be than another's?")


def _spans(rule: Rule, _types: Types) -> Iterator[Problem]:
    if rule.kind in ("rate", "drift", "flapping") and not rule.window:
        yield Problem(rule.id, ("window",), f"a rule of kind {rule.kind} needs one")
    for name, longest in _SPANS.items():
        if getattr(rule, name) > longest:
            yield Problem(rule.id, (name,), f"is longer than {longest // DAY}d")
    if rule.mean and rule.mean < MINUTE:
        yield Problem(rule.id, ("mean",), "is shorter than 1min")
    for override in rule.overrides:
        for name in ("dwell", "dwell_off", "window"):
            value = getattr(override, name)
            if value is not None and value > _SPANS[name]:
                yield Problem(rule.id, (name,), f"is longer than {_SPANS[name] // DAY}d", override)
            if value is not None and name in _ONLY and rule.kind not in _ONLY[name]:
                yield Problem(rule.id, (name,), f"a rule of kind {rule.kind} has none", override)
        if override.window is not None and rule.kind == "threshold" and not rule.count:
            yield Problem(rule.id, ("window",), "a threshold has one only with count", override)


def _subject_matter(rule: Rule, types: Types) -> Iterator[Problem]:
    """What is judged must be there in every device type."""
    if rule.kind in MEASURED and not rule.metric and not rule.expression:
        yield Problem(rule.id, ("metric",), f"a rule of kind {rule.kind} needs one")
    if rule.metric and rule.kind not in MEASURED:
        yield Problem(rule.id, ("metric",), f"a rule of kind {rule.kind} has none")
    if rule.metric and rule.expression:
        yield Problem(rule.id, ("expression",), "excludes metric: write the metric into the expression")
    if (rule.kind in _EVENTS) != bool(rule.event):
        needs = "needs one" if rule.kind in _EVENTS else "has none"
        yield Problem(rule.id, ("event",), f"a rule of kind {rule.kind} {needs}")
    if rule.kind in SUBJECTLESS:
        yield from _of_no_device(rule)
        return
    if not rule.device_types:
        yield Problem(rule.id, ("device_types",), f"no device type fits{_nearest(rule, types)}")
    for place, code in enumerate(rule.device_types):
        if code not in types:
            yield Problem(rule.id, ("device_types", place), f"there is no device type {code}{near(code, types)}")
        else:
            yield from _fits(rule, types[code])


def _nearest(rule: Rule, types: Types) -> str:
    if rule.event:
        return near(rule.event, {event for kind in types.values() for event in kind.events})
    known = {metric for kind in types.values() for metric in kind.metrics}
    asked = Expression.parse(rule.expression).metrics if rule.expression else (rule.metric,)
    return "".join(near(metric, known) for metric in asked if metric not in known)


def _of_no_device(rule: Rule) -> Iterator[Problem]:
    if rule.device_types:
        yield Problem(rule.id, ("device_types",), f"a rule of kind {rule.kind} has none")
    known = FAULTS.get(rule.kind, ())
    if rule.event and rule.kind in FAULTS and rule.event not in known:
        what = f"{rule.event!r} is none of {', '.join(known)}{near(rule.event, known)}"
        yield Problem(rule.id, ("event",), what)


def _fits(rule: Rule, kind: DeviceType) -> Iterator[Problem]:
    if rule.event and rule.event not in kind.events:
        what = f"{kind.code} has no event {rule.event}{near(rule.event, kind.events)}"
        yield Problem(rule.id, ("event",), what)
    elif rule.event and rule.kind == "event_value":
        yield from _event_attributes(rule, kind)
    if rule.expression:
        for code in Expression.parse(rule.expression).metrics:
            if code not in kind.metrics:
                what = f"{kind.code} has no metric {code}{near(code, kind.metrics)}"
                yield Problem(rule.id, ("expression",), what)
    elif rule.metric:
        yield from _metric(rule, kind)


def _metric(rule: Rule, kind: DeviceType) -> Iterator[Problem]:
    metric = kind.metrics.get(rule.metric)
    if metric is None:
        what = f"{kind.code} has no metric {rule.metric}{near(rule.metric, kind.metrics)}"
        yield Problem(rule.id, ("metric",), what)
    elif rule.kind in ("threshold", "rate", "drift") and metric.unit != rule.unit:
        what = f"{rule.unit!r}, but {kind.code} measures {rule.metric} in {metric.unit!r}"
        if rule.unit or rule.kind != "drift":  # a drift of all metrics has none
            yield Problem(rule.id, ("unit",), what)
    elif rule.kind == "frozen" and metric.frozen_s is None:
        yield Problem(rule.id, ("metric",), f"{kind.code} doesn't say from when {rule.metric} is frozen")


def _event_attributes(rule: Rule, kind: DeviceType) -> Iterator[Problem]:
    """The number that is judged must come with the event, as must what its limits are found by."""
    brought = kind.events[rule.event].attributes
    if not rule.value:
        yield Problem(rule.id, ("value",), "is missing: which number of the event is judged?")
    for name in ("value", "by"):
        asked = getattr(rule, name)
        if asked and asked not in brought:
            what = f"{kind.code} brings no {asked} with {rule.event}{near(asked, brought)}"
            yield Problem(rule.id, (name,), what)
    if brought.get(rule.value, "number") != "number":
        yield Problem(rule.id, ("value",), f"{rule.value} is no number of {kind.code}")
    if brought.get(rule.by) == "bool":
        yield Problem(rule.id, ("by",), f"{rule.by} is neither a number nor a text of {kind.code}")


def _compound(rule: Rule, rules: Mapping[str, Rule], broken: Collection[str]) -> Iterator[Problem]:
    """Members are other rules about devices, and enough of them can be there at once."""
    if rule.kind != "compound":
        return
    if not rule.members:
        yield Problem(rule.id, ("members",), "a rule of kind compound needs some")
    if not rule.within:
        yield Problem(rule.id, ("within",), "is missing: how far apart may its members begin?")
    if rule.at_least < 2:
        yield Problem(rule.id, ("at_least",), f"must be 2 or more, is {rule.at_least}")
    elif rule.distinct != "device":
        found = {
            rules[member].hazard if rule.distinct == "hazard" and member in rules else member for member in rule.members
        }
        if rule.at_least > len(found):
            yield Problem(rule.id, ("at_least",), f"asks for {rule.at_least} of {len(found)} {rule.distinct}s")
    for place, member in enumerate(rule.members):
        path = ("members", place)
        if member == rule.id:
            yield Problem(rule.id, path, "is the rule itself")
        elif member not in rules:
            if member not in broken:
                yield Problem(rule.id, path, f"there is no rule {member}{near(member, rules)}")
        elif rules[member].kind in SUBJECTLESS or rules[member].kind in ("gateway", "flapping"):
            yield Problem(rule.id, path, f"{member} is of kind {rules[member].kind}: members are rules about devices")
        elif member in rule.members[:place]:
            yield Problem(rule.id, path, f"{member} is named twice")


def _alone(rules: Mapping[str, Rule]) -> Iterator[Problem]:
    """A device has one silence rule, a gateway one gateway rule at a time."""
    taken: dict[tuple[str, str], str] = {}
    for rule in rules.values():
        if rule.kind not in ("silence", "gateway"):
            continue
        shared: dict[str, list[str]] = {}
        for code in rule.device_types if rule.kind == "silence" else ("",):
            other = taken.setdefault((rule.kind, code), rule.id)
            if other != rule.id:
                shared.setdefault(other, []).append(code)
        for other, codes in shared.items():
            what = f"{other} is a rule of kind {rule.kind} already{' for ' * bool(codes[0])}{', '.join(codes)}"
            yield Problem(rule.id, ("kind",), what)


_CHECKS: tuple[Callable[[Rule, Types], Iterator[Problem]], ...] = (
    _vocabulary,
    _fields,
    _ways,
    _subject_matter,
    _spans,
    limit_problems,
)
