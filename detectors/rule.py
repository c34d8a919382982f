"""A rule as data: what is judged, at which limits, for whom, by which standard, and its overrides."""

from datetime import date
from typing import Literal

import msgspec

from detectors.words import Severity

Kind = Literal[
    "threshold", "rate", "event", "silence", "gateway", "frozen", "out_of_range", "platform", "gateway_fault"
]

GRADED: frozenset[str] = frozenset({"threshold", "rate", "out_of_range"})
"""Kinds whose limits are numbers; the others have one severity, its limit 1 standing for yes."""


class Override(msgspec.Struct, frozen=True, omit_defaults=True):
    """What differs from the rule for one device type, site or device (exactly one of them is given).

    `limits` replaces only the severities that it names. Without a `recovery` of its own the distance between the
    lowest limit and the recovery limit stays as it was. Spans are µs.
    """

    device_type: str | None = None
    site: str | None = None
    device: str | None = None
    limits: dict[Severity, float] | None = None
    recovery: float | None = None
    dwell: int | None = None
    window: int | None = None
    enabled: bool | None = None

    @property
    def scope(self) -> tuple[str, str]:
        """("device", code), ("site", code) or ("device_type", code)."""
        named = [(kind, getattr(self, kind)) for kind in ("device", "site", "device_type")]
        return next((kind, code) for kind, code in named if code is not None)


class Terms(msgspec.Struct, frozen=True):
    """What of a rule may be overridden, as it holds for one device. Spans are µs."""

    limits: dict[Severity, float]
    recovery: float
    dwell: int
    window: int
    enabled: bool = True


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, complete as data.

    A value violates a severity when it reaches an upper limit (`direction` "above"; with `beyond` only when it exceeds
    it: the limit itself is allowed) or falls below a lower one ("below"); the episode ends when it is back on the good
    side of `recovery`. `ignore` is a value that stands for "nothing measured" and violates nothing. `dwell` and
    `window` are µs. For a rate the limits are rises (falls) within `window`; for out_of_range they count readings in a
    row; rules of kind platform and gateway_fault judge no device, their `event` is what the platform says of itself or
    of a gateway. `class_code` is the ticket's class: E for events, C for components. `basis` is "V" where the source
    was read, "K" for a default that is general knowledge and no claim of compliance. `effective_from` and
    `effective_to` are local days, both included.
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
    recovery: float = 1.0
    metric: str = ""
    event: str = ""
    unit: str = ""
    direction: Literal["above", "below"] = "above"
    beyond: bool = False
    dwell: int = 0
    window: int = 0
    class_code: str = ""
    life_safety_from: Severity | None = None
    over_range: Severity | None = None
    ignore: float | None = None
    standard: str = ""
    edition: str = ""
    effective_from: date | None = None
    effective_to: date | None = None
    overrides: tuple[Override, ...] = ()

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
        return min(self.limits)

    def title(self, language: str) -> str:
        """The title in "zh" or "en"."""
        return self.title_en if language == "en" else self.title_zh

    def advice(self, language: str) -> str:
        """What to bring and to beware of, in "zh" or "en"."""
        return self.advice_en if language == "en" else self.advice_zh

    def terms(self, device_type: str, site: str, device: str) -> Terms:
        """The rule as it holds for one device: the more specific override wins, field by field."""
        terms = Terms(self.limits, self.recovery, self.dwell, self.window)
        for scope in (("device_type", device_type), ("site", site), ("device", device)):
            for override in self.overrides:
                if override.scope == scope:
                    terms = overridden(terms, override, self.direction)
        return terms


def overridden(terms: Terms, override: Override, direction: str) -> Terms:
    """`terms` with what `override` changes.

    >>> terms = Terms({Severity.ALARM: 25.0}, 20.0, 0, 0)
    >>> changed = overridden(terms, Override(site="S1", limits={Severity.ALARM: 20.0}), "above")
    >>> changed.limits[Severity.ALARM], changed.recovery
    (20.0, 15.0)
    """
    limits = {**terms.limits, **(override.limits or {})}
    recovery = override.recovery
    if recovery is None:
        recovery = terms.recovery + lowest(limits, direction) - lowest(terms.limits, direction)
    return Terms(
        limits,
        recovery,
        terms.dwell if override.dwell is None else override.dwell,
        terms.window if override.window is None else override.window,
        terms.enabled if override.enabled is None else override.enabled,
    )


def lowest(limits: dict[Severity, float], direction: str) -> float:
    """The limit that is violated first."""
    return min(limits.values()) if direction == "above" else max(limits.values())
