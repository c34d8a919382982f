"""What differs between two rules or two sets of them, field by field as a person writes it, and what that loosens."""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from core.clock import HOUR, MILLISECOND, MINUTE, SECOND
from detectors import loosening
from detectors.rule import SCOPES, Override, Rule, Terms, overridden
from detectors.words import Severity

_SPANS = {"dwell", "dwell_off", "window", "mean", "max_age", "within"}
_LEVELS = {"over_range", "life_safety_from"}
_JUDGED = (
    *("kind", "metric", "expression", "max_age", "event", "value", "by", "direction", "mean", "coverage", "count"),
    *("baseline", "baseline_readings", "hours", "not_when", "ignore", "members", "distinct", "at_least", "within"),
)
"""Fields whose every change may let a danger pass that was announced before."""


class FieldChange(NamedTuple):
    """One field of one rule, from what to what as written in a pack; None where the field or rule is not there.

    A whole rule that came or went has the field "".
    """

    rule: str
    field: str
    before: str | None
    after: str | None

    def told(self) -> str:
        """In one line.

        >>> FieldChange("gas.leak", "dwell", "5s", "8s").told()
        'gas.leak dwell: 5s → 8s'
        """
        named = f"{self.rule} {self.field}".strip()
        return f"{named}: {self.before or '—'} → {self.after or '—'}"


def changes(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> list[FieldChange]:
    """All that differs, by rule and field in their order.

    >>> from detectors.rules import load_packs
    >>> packs = load_packs().rules
    >>> leak = msgspec.structs.replace(packs["gas.leak"], dwell=8_000_000)
    >>> changes(packs, {**packs, "gas.leak": leak})
    [FieldChange(rule='gas.leak', field='dwell', before='5s', after='8s')]
    """
    return [change for code in sorted({*before, *after}) for change in _of_one(code, before.get(code), after.get(code))]


def _of_one(code: str, before: Rule | None, after: Rule | None) -> Iterator[FieldChange]:
    if before == after:
        return
    if before is None or after is None:
        yield FieldChange(code, "", before.title_zh if before else None, after.title_zh if after else None)
        return
    old, new = fields_of(before), fields_of(after)
    for field in dict.fromkeys((*old, *new)):
        if old.get(field) != new.get(field):
            yield FieldChange(code, field, old.get(field), new.get(field))


def fields_of(rule: Rule) -> dict[str, str]:
    """A rule's fields as written: "limits.alarm": "25", "dwell": "5s", "overrides[site=S1].enabled": "false"."""
    flat = dict(_flat(rule, {"id", "overrides", "source"}))
    for override in rule.overrides:
        named = "overrides[{}={}]".format(*override.scope)
        flat |= {f"{named}.{name}": value for name, value in fields_of_override(override).items()}
    return flat


def fields_of_override(override: Override) -> dict[str, str]:
    """What an override changes, as written."""
    return dict(_flat(override, {"device_type", "attribute", "site", "device", "source"}))


_fields = lru_cache(maxsize=None)(msgspec.structs.fields)


def _flat(struct: msgspec.Struct, left_out: set[str]) -> Iterator[tuple[str, str]]:
    for field in _fields(type(struct)):
        value = getattr(struct, field.name)
        if field.name in left_out or value is None or value in ("", (), {}):
            continue
        if not field.required and value == field.default and not isinstance(value, dict):
            continue
        if isinstance(value, dict):
            yield from ((f"{field.name}.{_key(key)}", written("", each)) for key, each in value.items())
        else:
            yield field.name, written(field.name, value)


def _key(key: Any) -> str:
    return Severity(key).name.lower() if isinstance(key, int) else str(key)


def written(field: str, value: Any) -> str:
    """A field's value as a pack has it.

    >>> written("dwell", 90_000_000), written("recovery", 20.0), written("over_range", Severity.ALARM)
    ('90s', '20', 'alarm')
    """
    if field in _SPANS:
        return written_span(value)
    if field in _LEVELS:
        return Severity(value).name.lower()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | int):
        return f"{value:.10g}"
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value)
    if isinstance(value, msgspec.Struct | dict):
        return msgspec.json.encode(value).decode()
    return value.isoformat() if isinstance(value, date) else str(value)


def written_span(span: int) -> str:
    """A span of µs in the largest unit that divides it.

    >>> written_span(90_000_000), written_span(600_000_000), written_span(0)
    ('90s', '10min', '0s')
    """
    units = (("h", HOUR), ("min", MINUTE), ("s", SECOND))
    for name, size in units:
        if span and span % size == 0:
            return f"{span // size}{name}"
    return f"{span / MILLISECOND:g}ms" if span else "0s"


def loosened(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> dict[str, list[str]]:
    """By life-safety rule the fields by which it would announce less, or later, than before."""
    found = {code: loosened_fields(rule, after.get(code)) for code, rule in before.items()}
    return {code: fields for code, fields in found.items() if fields}


def loosened_fields(before: Rule, after: Rule | None) -> list[str]:
    """The fields by which a life-safety rule would announce less, or later; none for any other rule.

    What can't be told to be stricter counts as looser.
    """
    if before.life_safety_from is None or before == after:
        return []
    if after is None:
        return [""]
    fields = [name for name in _JUDGED if getattr(before, name) != getattr(after, name)]
    if set(before.device_types) - set(after.device_types):
        fields.append("device_types")
    if after.life_safety_from is None or after.life_safety_from > before.life_safety_from:
        fields.append("life_safety_from")
    if before.over_range is not None and (after.over_range is None or after.over_range < before.over_range):
        fields.append("over_range")
    fields += [name for name in ("beyond", "anomaly") if getattr(after, name) and not getattr(before, name)]
    if before.latch != after.latch:  # without it an episode ends by itself; with it what comes again is not told again
        fields.append("latch")
    if before.limits_from != after.limits_from or before.table != after.table:
        fields.append("limits_from" if before.limits_from != after.limits_from else "table")
    fields += _validity(before, after)
    return fields + list(_looser_terms(before, after))


def _validity(before: Rule, after: Rule) -> Iterator[str]:
    if (after.effective_from or date.min) > (before.effective_from or date.min):
        yield "effective_from"
    if (after.effective_to or date.max) < (before.effective_to or date.max):
        yield "effective_to"


def _looser_terms(before: Rule, after: Rule) -> Iterator[str]:
    """The fields that are looser everywhere, then those where the overrides of one scope hold.

    A changed scope is looked at alone and over each less specific one: nobody knows here which devices stand in both.
    """
    old, new = _own(before), _own(after)
    yield from _looser(before, old, new)
    ours, theirs = _by_scope(before), _by_scope(after)
    scopes = list(dict.fromkeys((*ours, *theirs)))
    for scope in scopes:
        mine, its = ours.get(scope, []), theirs.get(scope, [])
        fields = dict.fromkeys(_looser(before, _terms(before, old, mine), _terms(after, new, its)))
        for beneath in (each for each in scopes if mine != its and _less_specific(each, scope)):
            ground = _terms(before, old, ours.get(beneath, [])), _terms(after, new, theirs.get(beneath, []))
            looser = _looser(before, _terms(before, ground[0], mine), _terms(after, ground[1], its))
            told = _looser(before, *ground)  # of that scope
            fields |= {field: None for field in looser if field not in told}
        yield from ("overrides[{}={}].{}".format(*scope, field) for field in fields)


def _looser(rule: Rule, before: Terms, after: Terms) -> list[str]:
    """The looser fields that concern life and safety."""
    spared = {f"limits.{level.name.lower()}" for level in Severity if not rule.is_life_safety(level)}
    return [field for field in loosening.loosened(rule, before, after) if field not in spared]


def _less_specific(scope: tuple[str, str], than: tuple[str, str]) -> bool:
    return SCOPES.index(scope[0]) < SCOPES.index(than[0])


def _own(rule: Rule) -> Terms:
    """What holds where no override does."""
    return msgspec.structs.replace(msgspec.structs.replace(rule, overrides=()).terms("", "", ""), enabled=True)


def _by_scope(rule: Rule) -> dict[tuple[str, str], list[Override]]:
    found: dict[tuple[str, str], list[Override]] = {}
    for override in rule.overrides:
        found.setdefault(override.scope, []).append(override)
    return found


def _terms(rule: Rule, terms: Terms, overrides: list[Override]) -> Terms:
    for override in overrides:
        terms = overridden(terms, override, rule.direction, rule.recovery_share)
    return terms
