"""Which change of a rule its false alarms speak for: a pure decision with a named reason, never applied by itself."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from alerts.labels import Label
from core.clock import DAY, HOUR, MINUTE, SECOND
from detectors.loosening import life_safety_refused
from detectors.rule import HEALTH, Override, Rule, Terms, lowest

ScopeKind = Literal["device", "site", "rule"]
Outcome = Literal["change", "check_sensor", "none"]
SENSOR_FAULT = "device_fault"
"""The cause of a false alarm that a changed rule does not mend."""
_DWELLING = frozenset({"threshold", "rate"})
_SPANS = tuple(n * SECOND for n in (5, 10, 15, 20, 30, 45)) + tuple(
    n * MINUTE for n in (1, 2, 3, 5, 10, 15, 20, 30, 60)
)
_MARGIN = 2
"""A dwell is at most that part of the shortest real one: an alert lasts beyond its violation."""


class ProposalSettings(NamedTuple):
    """How many tickets of false alarms within `span` µs, and of what share of the judged ones, make a proposal.

    Real ones are looked at over `memory` µs: none of them may be lost. No dwell beyond `longest_dwell` is proposed.
    """

    least: int = 5
    span: int = 30 * DAY
    share: float = 0.6
    memory: int = 365 * DAY
    longest_dwell: int = HOUR


DEFAULT = ProposalSettings()


class Judged(NamedTuple):
    """One alert that somebody judged. `lasted` is how long it was violated, µs; `worst` the value furthest beyond the
    limit, None when the readings don't tell; `at` is when its ticket was judged."""

    alert: int
    ticket: str
    device: str
    site: str
    label: Label
    cause: str
    onset: int
    at: int
    lasted: int
    worst: float | None


class Scope(NamedTuple):
    """Where a change would hold: a device, a site, or all of the town (`code` is "")."""

    kind: ScopeKind
    code: str


class Verdict(NamedTuple):
    """What is proposed and why; `change` holds what an override would say, `removed` of `false` would not have rung."""

    outcome: Outcome
    reason: str
    change: Override | None = None
    false: tuple[Judged, ...] = ()
    real: tuple[Judged, ...] = ()
    removed: int = 0


class _Candidate(NamedTuple):
    reason: str
    fields: dict[str, Any]
    removed: int


def decide(
    rule: Rule,
    scope: Scope,
    judged: Sequence[Judged],
    terms: Sequence[Terms],
    now: int,
    settings: ProposalSettings = DEFAULT,
) -> Verdict:
    """What the judged alerts of a rule in a scope speak for; `terms` are those of the devices that they are about.

    Reasons: "few_false_alarms", "mostly_real", "sensor_faults", "limit_separates", "dwell_separates",
    "only_an_exception", "life_safety", "nothing_separates".
    """
    false = tuple(each for each in judged if each.label == "false" and each.at >= now - settings.span)
    real = tuple(each for each in judged if each.label == "real" and each.at >= now - settings.memory)
    recent = {each.ticket for each in real if each.at >= now - settings.span}
    tickets = {each.ticket for each in false}
    if len(tickets) < settings.least:
        return Verdict("none", "few_false_alarms", None, false, real)
    if len(tickets) < settings.share * len(tickets | recent):
        return Verdict("none", "mostly_real", None, false, real)
    if 2 * sum(each.cause == SENSOR_FAULT for each in false) > len(false):
        return Verdict("check_sensor", "sensor_faults", None, false, real)
    return _best(rule, scope, false, real, terms, settings)


def _best(
    rule: Rule,
    scope: Scope,
    false: tuple[Judged, ...],
    real: tuple[Judged, ...],
    terms: Sequence[Terms],
    settings: ProposalSettings,
) -> Verdict:
    found = [c for c in (_limit(rule, false, real, terms), _dwell(rule, false, real, terms, settings)) if c]
    found.sort(key=lambda candidate: -candidate.removed)
    found += [c for c in [_exception(rule, scope, false, real)] if c]
    for candidate in found:
        change = Override(**candidate.fields)
        if not any(life_safety_refused(rule, each) for each in overrides_for(rule, scope, change)):
            return Verdict("change", candidate.reason, change, false, real, candidate.removed)
    safe = any(rule.is_life_safety(level) for level in {*rule.limits, *rule.limits_from, *rule.table})
    if safe or rule.kind in HEALTH:
        return Verdict("check_sensor", "life_safety" if safe else "nothing_separates", None, false, real)
    return Verdict("none", "nothing_separates", None, false, real)


def _limit(rule: Rule, false: Sequence[Judged], real: Sequence[Judged], terms: Sequence[Terms]) -> _Candidate | None:
    """The lowest limit just beyond the false alarms' worst values, short of the real ones' least and the next limit."""
    if not plain(rule) or not _same(terms) or any(each.worst is None for each in real):
        return None
    sign = 1.0 if rule.direction == "above" else -1.0
    ordered = sorted((sign * limit, level) for level, limit in terms[0].limits.items())
    (limit, level), above = ordered[0], ordered[1:]
    seen = [sign * each.worst for each in real if each.worst is not None and sign * each.worst >= limit]
    least, following = min(seen, default=math.inf), above[0][0] if above else math.inf
    bound = min(least, following)
    below = [sign * each.worst for each in false if each.worst is not None and sign * each.worst < bound]
    if 2 * len(below) <= len(false):
        return None
    moved = just_above(max(*below, limit), bound, closed=least < following and not _strict(rule))
    if moved is None:
        return None
    fields: dict[str, Any] = {"limits": {level: sign * moved}}
    if rule.life_safety_from is not None:
        fields["recovery"] = terms[0].recovery  # what ends a more severe episode stays as it is
    return _Candidate("limit_separates", fields, len(below))


def _strict(rule: Rule) -> bool:
    """Whether a value at the limit itself violates nothing."""
    return rule.beyond or rule.direction == "below"


def _dwell(
    rule: Rule, false: Sequence[Judged], real: Sequence[Judged], terms: Sequence[Terms], settings: ProposalSettings
) -> _Candidate | None:
    """A dwell longer than most false alarms lasted and well short of every real one."""
    if rule.kind not in _DWELLING or not terms:
        return None
    bound = min([settings.longest_dwell, *(each.lasted // _MARGIN for each in real)])
    short = [each.lasted for each in false if each.lasted < bound]
    if 2 * len(short) <= len(false):
        return None
    longest = max(*short, *(each.dwell for each in terms))
    dwell = next((span for span in _SPANS if longest < span <= bound), (longest // SECOND + 1) * SECOND)
    return _Candidate("dwell_separates", {"dwell": dwell}, len(short)) if dwell <= bound else None


def _exception(rule: Rule, scope: Scope, false: Sequence[Judged], real: Sequence[Judged]) -> _Candidate | None:
    """Not judging one device or site at all, where nobody ever found anything."""
    if scope.kind == "rule" or real or rule.kind in HEALTH:
        return None
    return _Candidate("only_an_exception", {"enabled": False}, len(false))


def plain(rule: Rule) -> bool:
    """Whether what the rule judges are the readings of its metric as they are."""
    derived = (rule.expression, rule.mean, rule.count, rule.baseline, rule.table)
    return rule.kind == "threshold" and not any(derived)


def just_above(low: float, high: float, closed: bool) -> float | None:
    """The roundest number just above `low`, below `high` (or at it, when `closed`); None when there is no room.

    >>> just_above(27.3, 40.0, False), just_above(27.3, 27.5, False), just_above(27.3, 27.3, True)
    (28.0, 27.4, None)
    """
    if not math.isfinite(low):
        return None
    exponent = max(math.floor(math.log10(abs(low))), -9) if low else -1
    for digits in range(2, 8):
        places = digits - 1 - exponent
        number = round((math.floor(low * 10.0**places + 1e-9) + 1) / 10.0**places, max(places, 0))
        if low < number < high or (closed and number == high):
            return number
    return high if closed and high > low else None


def overrides_for(rule: Rule, scope: Scope, change: Override) -> list[Override]:
    """The overrides that make a change hold in a scope, each on top of what stands there for the rule already."""
    if scope.kind == "rule":
        return [_on_top(rule, Override(device_type=code), change) for code in rule.device_types]
    place = Override(device=scope.code) if scope.kind == "device" else Override(site=scope.code)
    return [_on_top(rule, place, change)]


def _on_top(rule: Rule, place: Override, change: Override) -> Override:
    there = next((each for each in reversed(rule.overrides) if each.scope == place.scope), place)
    said = {name: value for name in CHANGED if (value := getattr(change, name)) is not None}
    if "limits" in said:
        said["limits"] = {**(there.limits or {}), **said["limits"]}
    return msgspec.structs.replace(there, **said)


CHANGED = ("limits", "recovery", "dwell", "dwell_off", "window", "enabled")
"""What an override may say."""


def scopes(judged: Iterable[Judged], kind: ScopeKind) -> dict[Scope, list[Judged]]:
    """The judged alerts of a rule by scope of one kind."""
    found: dict[Scope, list[Judged]] = {}
    for each in judged:
        code = {"device": each.device, "site": each.site, "rule": ""}[kind]
        if code or kind == "rule":
            found.setdefault(Scope(kind, code), []).append(each)
    return found


def decide_all(
    rule: Rule,
    judged: Sequence[Judged],
    terms: Mapping[str, Terms],
    settled: Mapping[Scope, int],
    taken: Iterable[Scope],
    now: int,
    settings: ProposalSettings = DEFAULT,
) -> dict[Scope, Verdict]:
    """What a rule's judged alerts speak for, the narrowest scope first: what a device explains burdens no site.

    `terms` are by device. Of a scope that was decided (`settled`, by when) only later false alarms count, there and
    in a wider one; a scope that is `taken` by an open proposal is left alone, and its false alarms burden no other.
    """
    explained: set[int] = set()
    verdicts: dict[Scope, Verdict] = {}
    open_scopes = set(taken)
    kinds: tuple[ScopeKind, ...] = ("device", "site", "rule")
    for kind in kinds:
        for scope, group in scopes(judged, kind).items():
            if scope in open_scopes:
                explained |= {each.alert for each in group if each.label == "false"}
                continue
            explained |= {each.alert for each in group if each.label == "false" and each.at <= settled.get(scope, 0)}
            left = [each for each in group if each.alert not in explained]
            about = [terms[code] for code in sorted({each.device for each in left}) if code in terms]
            verdict = decide(rule, scope, left, about, now, settings)
            if verdict.outcome != "none":
                verdicts[scope] = verdict
                explained |= {each.alert for each in verdict.false}
    return verdicts


def _same(terms: Sequence[Terms]) -> bool:
    """Whether all devices have the same limits: one number can't stand for several."""
    return bool(terms) and bool(terms[0].limits) and all(t.limits == terms[0].limits for t in terms)


def before_of(terms: Sequence[Terms], rule: Rule) -> dict[str, Any]:
    """What holds now, for the page: the limits (by severity's name), recovery and dwells, as far as they are one."""
    if not terms:
        return {}
    said: dict[str, Any] = {name: max(getattr(each, name) for each in terms) for name in ("dwell", "dwell_off")}
    if _same(terms):
        said["limits"] = {level.name.lower(): limit for level, limit in sorted(terms[0].limits.items())}
        said["recovery"] = terms[0].recovery
        said["lowest"] = lowest(terms[0].limits, rule.direction)
    return said


def violation(
    rule: Rule, limit: float, at: Sequence[int], value: Sequence[float], until: int
) -> tuple[float | None, int]:
    """The worst of an episode's readings, and for how long in one go they violated the limit (µs), held until the next.

    >>> from detectors.rules import load_packs
    >>> violation(load_packs().rules["gas.leak"], 25.0, [0, 10, 20, 30], [1.0, 26.0, 30.0, 2.0], 40)
    (30.0, 20)
    """
    sign = 1.0 if rule.direction == "above" else -1.0
    worst, longest, begun = -math.inf, 0, -1
    for moment, number in zip(at, value, strict=True):
        signed, bound = sign * number, sign * limit
        violated = signed > bound if _strict(rule) else signed >= bound
        worst = max(worst, signed) if math.isfinite(number) else worst
        if begun >= 0 and not violated:
            longest, begun = max(longest, moment - begun), -1
        elif violated and begun < 0:
            begun = moment
    longest = max(longest, until - begun) if begun >= 0 else longest
    return (sign * worst if math.isfinite(worst) else None), longest
