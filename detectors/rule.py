"""A rule as data: what is judged, at which limits, for whom, by which standard, and its overrides."""

import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal

import msgspec

from detectors.words import Severity
from devices.device_types import Metric

Kind = Literal[
    "threshold",
    "rate",
    "event",
    "event_value",
    "silence",
    "gateway",
    "flapping",
    "frozen",
    "out_of_range",
    "noise",
    "drift",
    "compound",
    "platform",
    "gateway_fault",
    "unusual",
]

GRADED: frozenset[str] = frozenset({"threshold", "rate", "event_value", "flapping", "out_of_range", "noise", "drift"})
"""Kinds whose limits are numbers; the others have one severity, its limit 1 standing for yes."""
HEALTH: frozenset[str] = frozenset({"silence", "frozen", "out_of_range", "noise", "drift"})
"""Kinds that say of a device that what it measures can't be believed."""
MEASURED: frozenset[str] = frozenset({"threshold", "rate", "frozen", "out_of_range", "noise", "drift"})
"""Kinds that look at a metric's readings."""

Attributes = Mapping[str, Any]
"""What is known of a device: its own attributes over its site's."""


class FromAttribute(msgspec.Struct, frozen=True, omit_defaults=True):
    """A limit that each device has of its own: the number in its `attribute`, times `times`.

    Without the attribute `default` stands; without that either, the severity is not judged for the device.
    """

    attribute: str
    times: float = 1.0
    default: float | None = None

    def of(self, attributes: Attributes) -> float | None:
        """The limit for a device.

        >>> FromAttribute("permit", times=0.9).of({"permit": 50})
        45.0
        """
        given = self.given(attributes)
        return self.default if given is None else given

    def given(self, attributes: Attributes) -> float | None:
        """What the attribute makes of the limit; None without it, or where that is no finite number."""
        number = attributes.get(self.attribute)
        if isinstance(number, bool) or not isinstance(number, int | float):
            return None
        try:
            limit = float(number) * self.times
        except OverflowError:
            return None
        return limit if math.isfinite(limit) else None


class Override(msgspec.Struct, frozen=True, omit_defaults=True):
    """What differs from the rule for one device type, attribute, site or device (exactly one of them is given).

    `attribute` is one name and the value that the device, or else its site, must have in it. `limits` replaces only the
    severities that it names. Without a `recovery` of its own the distance between the lowest limit and the recovery
    limit stays as it was (of a rule with `recovery_share` the share). Spans are µs. `source` is the pack or sheet that
    says it.
    """

    device_type: str | None = None
    attribute: dict[str, str] | None = None
    site: str | None = None
    device: str | None = None
    limits: dict[Severity, float] | None = None
    recovery: float | None = None
    dwell: int | None = None
    dwell_off: int | None = None
    window: int | None = None
    enabled: bool | None = None
    source: str = ""

    @property
    def scope(self) -> tuple[str, str]:
        """("device", code), ("site", code), ("attribute", "name=value") or ("device_type", code)."""
        named = [(kind, getattr(self, kind)) for kind in ("device", "site", "device_type")]
        if self.attribute:
            named.append(("attribute", ",".join(f"{name}={value}" for name, value in self.attribute.items())))
        return next((kind, code) for kind, code in named if code is not None)

    def fits(self, device_type: str, site: str, device: str, attributes: Attributes) -> bool:
        """Whether it holds for this device."""
        if self.attribute is not None:
            return all(str(attributes.get(name)) == value for name, value in self.attribute.items())
        given = {"device_type": device_type, "site": site, "device": device}
        kind, code = self.scope
        return given[kind] == code


SCOPES = ("device_type", "attribute", "site", "device")
"""What an override may name, the more specific last: it wins."""


class Terms(msgspec.Struct, frozen=True):
    """What of a rule may differ by device, as it holds for one device. Spans are µs."""

    limits: dict[Severity, float]
    recovery: float
    dwell: int
    window: int
    enabled: bool = True
    dwell_off: int = 0


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, complete as data.

    A value violates a severity when it reaches an upper limit (`direction` "above"; with `beyond` only when it exceeds
    it: the limit itself is allowed) or falls below a lower one ("below"); the episode ends when it is back on the good
    side of `recovery`, by default the lowest limit, or of `recovery_share` of that limit. `limits_from` are limits that
    each device has of its own. `ignore` is a value that stands for "nothing measured" and violates nothing. Spans
    (`dwell`, `dwell_off`, `window`, `mean`, `max_age`, `within`) are µs: a level counts after it was violated for
    `dwell` and is left after it was not for `dwell_off`.

    What is judged: the values of `metric`, or of `expression` over one device's metrics, each at most `max_age` older
    than the newest of them; with `mean` their rolling mean, once `coverage` % of the span's parts have data; with
    `count` the level that as many readings within `window` reached; with `baseline` their distance from what the
    device's attribute of that name says, or else from the mean of its first `baseline_readings` in service.
    A reading is left out while the week's `hours` are closed or when it has one of the quality flags `not_when`.
    For a rate the limits are rises (falls) within `window`; for out_of_range they count readings in a row, for flapping
    times that a gateway was lost within `window`; for noise they are ratios of the scatter to the usual one, for drift
    distances from the neighbours' median held over `window`.
    event_value judges the number `value` that an event brings, by `table`: limits by severity and then by what the
    event's attribute `by` says.
    compound is about a site: `at_least` of its `members` (rules), told apart by `distinct` (their rules, devices or the
    rules' hazards), begun `within` a span.
    Rules of kind platform, gateway_fault and unusual look at no reading: their `event` is what the platform says of
    itself or of a gateway, or its models of normal of a device.

    A `latch` rule's episode ends only when a person closes its alert; until then nothing that comes again is announced
    again, but for a higher severity. An `anomaly` is held back while its sensor is
    sick. `class_code` is the ticket's class: E for events, C for components. `basis` is "V" where the source was read,
    "K" for a default that is general knowledge and no claim of compliance. `effective_from` and `effective_to` are
    local days, both included. `source` is the pack or sheet that says it.
    """

    id: str
    kind: Kind
    device_types: tuple[str, ...]
    limits: dict[Severity, float]
    hazard: str
    category: str
    title_zh: str
    title_en: str
    advice_zh: str
    advice_en: str
    basis: Literal["V", "K"]
    limits_from: dict[Severity, FromAttribute] = {}
    recovery: float = 1.0
    recovery_share: float | None = None
    metric: str = ""
    expression: str = ""
    max_age: int = 0
    event: str = ""
    value: str = ""
    by: str = ""
    table: dict[Severity, dict[str, float]] = {}
    unit: str = ""
    direction: Literal["above", "below"] = "above"
    beyond: bool = False
    dwell: int = 0
    dwell_off: int = 0
    window: int = 0
    mean: int = 0
    coverage: float = 75.0
    count: int = 0
    baseline: str = ""
    baseline_readings: int = 10
    schedule: str = ""
    hours: tuple[str, ...] = ()
    not_when: tuple[str, ...] = ()
    latch: bool = False
    anomaly: bool = False
    members: tuple[str, ...] = ()
    distinct: Literal["rule", "device", "hazard"] = "rule"
    at_least: int = 2
    within: int = 0
    class_code: str = ""
    life_safety_from: Severity | None = None
    over_range: Severity | None = None
    ignore: float | None = None
    standard: str = ""
    edition: str = ""
    effective_from: date | None = None
    effective_to: date | None = None
    overrides: tuple[Override, ...] = ()
    source: str = ""

    def is_life_safety(self, severity: Severity) -> bool:
        """Whether an episode of this severity is a matter of life and safety."""
        return self.life_safety_from is not None and severity >= self.life_safety_from

    def in_force(self, day: date) -> bool:
        """Whether the rule holds on a local day."""
        return (self.effective_from is None or self.effective_from <= day) and (
            self.effective_to is None or day <= self.effective_to
        )

    def severity(self) -> Severity:
        """The lowest severity that the rule can have; of a kind that isn't graded the only one."""
        return min((*self.limits, *self.limits_from, *self.table))

    def title(self, language: str) -> str:
        """The title in "zh" or "en"."""
        return self.title_en if language == "en" else self.title_zh

    def advice(self, language: str) -> str:
        """What to bring and to beware of, in "zh" or "en"."""
        return self.advice_en if language == "en" else self.advice_zh

    def terms(
        self,
        device_type: str,
        site: str,
        device: str,
        attributes: Attributes | None = None,
        metric: Metric | None = None,
    ) -> Terms:
        """The rule as it holds for one device: the more specific override wins, field by field.

        No severity may be left (no limit is known of the device): then the terms are not enabled. `metric` is what the
        device's sensor can say: a life-safety limit of its own beyond that is not taken.
        """
        own = attributes or {}
        terms = self._base(own, metric)
        for override in self.overrides_on(device_type, site, device, own):
            terms = overridden(terms, override, self.direction, self.recovery_share)
        return terms if terms.limits or self.table else msgspec.structs.replace(terms, enabled=False)

    def overrides_on(self, device_type: str, site: str, device: str, attributes: Attributes) -> Iterator[Override]:
        """The overrides that hold for a device, the more specific later."""
        for scope in SCOPES:
            for override in self.overrides:
                if override.scope[0] == scope and override.fits(device_type, site, device, attributes):
                    yield override

    def own_limit(self, severity: Severity, attributes: Attributes, metric: Metric | None = None) -> float | None:
        """The limit that the device's attribute makes; None without one, and for a life-safety limit that can't be.

        Such a one is more than 0 and within what the sensor can say: a typing error would silence it, or everybody.
        """
        limit = self.limits_from[severity].given(attributes)
        if limit is None or not self.is_life_safety(severity):
            return limit
        low, high = (-math.inf, math.inf) if metric is None else (metric.low, metric.high)
        if self.kind in ("rate", "drift") or self.baseline:
            low, high = 0.0, high - low
        return limit if max(low, 0.0) < limit <= high else None

    def _base(self, attributes: Attributes, metric: Metric | None) -> Terms:
        given = {severity: self.own_limit(severity, attributes, metric) for severity in self.limits_from}
        own = {severity: self.limits_from[severity].default if at is None else at for severity, at in given.items()}
        limits = {**self.limits, **{severity: limit for severity, limit in own.items() if limit is not None}}
        recovery = self.recovery
        if limits and (self.limits_from or self.recovery_share is not None):
            recovery = lowest(limits, self.direction) * (1.0 if self.recovery_share is None else self.recovery_share)
        return Terms(limits, recovery, self.dwell, self.window, dwell_off=self.dwell_off)


def overridden(terms: Terms, override: Override, direction: str, share: float | None = None) -> Terms:
    """`terms` with what `override` changes; `share` is the rule's `recovery_share`.

    >>> terms = Terms({Severity.ALARM: 25.0}, 20.0, 0, 0)
    >>> changed = overridden(terms, Override(site="S1", limits={Severity.ALARM: 20.0}), "above")
    >>> changed.limits[Severity.ALARM], changed.recovery
    (20.0, 15.0)
    """
    limits = {**terms.limits, **(override.limits or {})}
    recovery = override.recovery
    if recovery is None:
        recovery = _moved_recovery(terms, limits, direction, share)
    return Terms(
        limits,
        recovery,
        terms.dwell if override.dwell is None else override.dwell,
        terms.window if override.window is None else override.window,
        terms.enabled if override.enabled is None else override.enabled,
        terms.dwell_off if override.dwell_off is None else override.dwell_off,
    )


def _moved_recovery(terms: Terms, limits: dict[Severity, float], direction: str, share: float | None) -> float:
    if limits == terms.limits or not limits:
        return terms.recovery
    if share is not None or not terms.limits:
        return lowest(limits, direction) * (1.0 if share is None else share)
    return terms.recovery + lowest(limits, direction) - lowest(terms.limits, direction)


def lowest(limits: dict[Severity, float], direction: str) -> float:
    """The limit that is violated first."""
    return min(limits.values()) if direction == "above" else max(limits.values())
