"""Which limits apply to a device, and where each comes from."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

import msgspec

from detectors.groups import baseline_given
from detectors.rule import Attributes, Override, Rule, Terms, overridden
from detectors.rule_fields import near
from detectors.rules import RuleSet
from detectors.words import Severity
from devices.device_types import Metric
from devices.registry import Registry

Why = Literal["in_force", "not_yet", "no_longer", "switched_off", "no_limit", "not_rising", "retired"]
"""In force, or why not: its days are to come or over, an override says so, no limit is known of the device, what
attributes say makes a higher severity no further out than a lower one, or the device is retired."""

_SCOPES = {
    "device_type": ("设备类型 {}", "device type {}"),
    "attribute": ("属性 {}", "attribute {}"),
    "site": ("点位 {}", "site {}"),
    "device": ("设备 {}", "device {}"),
}
_WHY: Mapping[Why, tuple[str, str]] = {
    "in_force": ("生效", "in force"),
    "not_yet": ("尚未到生效日 {from}", "not before {from}"),
    "no_longer": ("已于 {to} 失效", "only until {to}"),
    "switched_off": ("已停用", "switched off"),
    "no_limit": (
        "不判断：设备及其点位没有限值属性 {attributes}",
        "not judged: neither device nor site has {attributes}",
    ),
    "not_rising": ("限值未随级别递进，请核对属性", "limits don't rise with the severity: check the attributes"),
    "retired": ("设备已退役", "the device is retired"),
}


_SHOWN = 40


class UnknownDevice(LookupError):
    """The registry has no such device."""


class Place(NamedTuple):
    """A device as rules see it: its type, site and state, its own attributes, its site's and what it measures."""

    device: str
    type: str
    site: str
    state: str
    attributes: Mapping[str, Any]
    site_attributes: Mapping[str, Any]
    metrics: Mapping[str, Metric]


class Origin(msgspec.Struct, frozen=True):
    """Where a field's value comes from.

    `source` is the pack or sheet ("pack gas.yaml", "sheet console"; empty in versions from before it was kept). `scope`
    is the override's, ("", "") for the rule itself. `attribute` was looked up at `holder` ("device", "site" or
    "default", the rule's own for devices without it) and multiplied by `times`; `refused` is what it made of the limit
    where that can be none, so that the default stands. `follows`: it keeps its distance, or its share, from the lowest
    limit.
    """

    source: str
    scope: tuple[str, str] = ("", "")
    attribute: str = ""
    holder: Literal["", "device", "site", "default"] = ""
    times: float = 1.0
    follows: bool = False
    refused: str = ""

    def text(self, language: str) -> str:
        """The origin in "zh" or "en".

        >>> Origin("sheet console", ("site", "S1")).text("en")
        'override site S1 of sheet console'
        """
        zh = language != "en"
        if self.attribute:
            times = "" if self.times == 1 else f" × {self.times:g}"
            holder = {"device": ("设备", "the device"), "site": ("点位", "the site")}.get(self.holder)
            if self.refused and zh:
                return f"默认值，属性 {self.attribute} 给出 {self.refused}，不能作为限值，请更正"
            if self.refused:
                return f"default, attribute {self.attribute} makes {self.refused}, which can be no limit: correct it"
            if holder is None:
                return f"默认值，无属性 {self.attribute}" if zh else f"default, there is no attribute {self.attribute}"
            return (
                f"{holder[0]}属性 {self.attribute}{times}"
                if zh
                else f"attribute {self.attribute} of {holder[1]}{times}"
            )
        source = _named(self.source, zh)
        kind, code = self.scope
        if kind:
            scope = _SCOPES[kind][0 if zh else 1].format(code)
            source = f"{source} 对{scope} 的覆盖" if zh else f"override {scope} of {source}"
        return source + ("，随最低限值" if zh else ", by the lowest limit") * self.follows


def _named(source: str, zh: bool) -> str:
    if not source:
        return "未记录的来源" if zh else "a source not recorded"
    kind, _, name = source.partition(" ")
    return f"{'规则包' if kind == 'pack' else '规则单'} {name}" if zh else source


class Explained(msgspec.Struct, frozen=True):
    """A rule as it holds for one device.

    `origins` are by field: "limits.alarm", "recovery", "dwell", "dwell_off", "window", "enabled". `overrides` are those
    that hold for the device, the more specific later. `base` is the baseline that an attribute gives; a rule with a
    baseline but without `base` learns it from the device's first readings in service.
    """

    rule: Rule
    terms: Terms
    origins: dict[str, Origin]
    overrides: tuple[Override, ...]
    why: Why
    base: float | None = None

    @property
    def in_force(self) -> bool:
        """Whether the device is judged by it."""
        return self.why == "in_force"

    def status(self, language: str) -> str:
        """In force, or why not, in "zh" or "en"."""
        rule = self.rule
        attributes = ", ".join(sorted({limit.attribute for limit in rule.limits_from.values()}))
        said = {"from": str(rule.effective_from), "to": str(rule.effective_to), "attributes": attributes}
        return _WHY[self.why][1 if language == "en" else 0].format(**said)


def explain(rules: RuleSet, registry: Registry, device: str, day: date | None = None) -> list[Explained]:
    """Every rule that is about this device, by its id; compounds of which such a rule is a member too.

    `day` is the local day on which rules must hold; without it their days are not looked at. Raises UnknownDevice with
    the nearest code.
    """
    index = registry.device_index.get(device)
    if index is None:
        raise UnknownDevice(f"there is no device {device}{near(device, registry.device_index)}")
    site = registry.site[index]
    own, its_site = registry.attributes.get(device, {}), registry.site_attributes.get(site, {})
    code, state = registry.type_code[index], registry.state[index]
    metrics = registry.types[code].metrics if code in registry.types else {}
    return explain_at(rules, Place(device, code, site, state, own, its_site, metrics), day)


def explain_at(rules: RuleSet, place: Place, day: date | None = None) -> list[Explained]:
    """The same for a device that is known without the registry."""
    own = [rule for rule in rules.rules.values() if _is_about(rule, place.type)]
    named = {rule.id for rule in own}
    own += [rule for rule in rules.rules.values() if rule.kind == "compound" and named & set(rule.members)]
    return [_explained(rule, place, day) for rule in sorted(own, key=lambda rule: rule.id)]


def _is_about(rule: Rule, device_type: str) -> bool:
    return device_type in rule.device_types and rule.kind not in ("gateway", "flapping")


def _explained(rule: Rule, place: Place, day: date | None) -> Explained:
    attributes = {**place.site_attributes, **place.attributes}
    overrides = tuple(rule.overrides_on(place.type, place.site, place.device, attributes))
    metric = place.metrics.get(rule.metric)
    terms = msgspec.structs.replace(rule, overrides=()).terms("", "", "", attributes, metric)
    origins = _base_origins(rule, terms, place.attributes, attributes, metric)
    terms = msgspec.structs.replace(terms, enabled=True)
    for override in overrides:
        terms = overridden(terms, override, rule.direction, rule.recovery_share)
        origins |= _changed(override)
    why, base = _why(rule, terms, place.state, day), baseline_given(rule, attributes, metric)
    return Explained(rule, terms, origins, overrides, why, base)


def _base_origins(
    rule: Rule, terms: Terms, own: Attributes, attributes: Attributes, metric: Metric | None
) -> dict[str, Origin]:
    said = Origin(rule.source)
    origins = dict.fromkeys(("dwell", "dwell_off", "window", "enabled"), said)
    for severity in terms.limits:
        origins[_limit(severity)] = said
        if severity in rule.limits_from:
            origins[_limit(severity)] = _own_origin(rule, severity, own, attributes, metric)
    follows = bool(rule.limits_from) or rule.recovery_share is not None
    return {**origins, "recovery": Origin(rule.source, follows=follows)}


def _own_origin(
    rule: Rule, severity: Severity, own: Attributes, attributes: Attributes, metric: Metric | None
) -> Origin:
    """The origin of a limit that each device has of its own."""
    limit = rule.limits_from[severity]
    holder: Literal["device", "site", "default"] = "device" if limit.attribute in own else "site"
    refused = ""
    if rule.own_limit(severity, attributes, metric) is None:
        holder, made = "default", limit.given(attributes)
        if limit.attribute in attributes:
            refused = repr(attributes[limit.attribute])[:_SHOWN] if made is None else f"{made:g}"
    return Origin(rule.source, ("", ""), limit.attribute, holder, limit.times, refused=refused)


def _changed(override: Override) -> dict[str, Origin]:
    """The origins of what an override says."""
    said = Origin(override.source, override.scope)
    spans = ("dwell", "dwell_off", "window", "enabled")
    origins = {field: said for field in spans if getattr(override, field) is not None}
    origins |= {_limit(severity): said for severity in override.limits or {}}
    if override.recovery is not None:
        origins["recovery"] = said
    elif override.limits:
        origins["recovery"] = Origin(override.source, override.scope, follows=True)
    return origins


def _why(rule: Rule, terms: Terms, state: str, day: date | None) -> Why:
    if state == "retired":
        return "retired"
    if day is not None and rule.effective_from is not None and day < rule.effective_from:
        return "not_yet"
    if day is not None and rule.effective_to is not None and day > rule.effective_to:
        return "no_longer"
    if not terms.enabled:
        return "switched_off"
    if not terms.limits and not rule.table:
        return "no_limit"
    sign = 1 if rule.direction == "above" else -1
    ordered = [sign * terms.limits[severity] for severity in sorted(terms.limits)]
    return "in_force" if ordered == sorted(set(ordered)) else "not_rising"


def _limit(severity: Severity) -> str:
    return f"limits.{severity.name.lower()}"
