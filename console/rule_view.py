"""Rules as pages and the API show them: filtered, their limits in words, where each override comes from."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Query, Request
from sqlalchemy import Connection, func, select

from alerts.tables import alert
from console.board import IS_OPEN
from console.remembered import remembered
from console.services import Services
from core.database import reading
from detectors.rule import GRADED, FromAttribute, Override, Rule
from detectors.rule_changes import fields_of_override
from detectors.rule_history import Edition, history
from detectors.words import Severity
from devices.device_types import DeviceType

_OF_OVERRIDE = re.compile(r"overrides\[(\w+?)=(.*)\]\.(.+)")
_LAST = ("device", "platform")
_BACK = 60
"""Versions that the last edit of each rule is looked for in."""


class Filter(NamedTuple):
    """Which rules are wanted; "" leaves nothing out."""

    find: str = ""
    hazard: str = ""
    standard: str = ""
    life_safety: bool = False

    def fits(self, rule: Rule) -> bool:
        """Whether a rule is among them."""
        words = " ".join((rule.id, rule.title_zh, rule.title_en, rule.metric, rule.event, *rule.device_types))
        return (
            self.find.casefold() in words.casefold()
            and self.hazard in ("", rule.hazard)
            and self.standard in ("", rule.standard)
            and (rule.life_safety_from is not None or not self.life_safety)
        )


def _asked_for(
    find: Annotated[str, Query(max_length=100)] = "",
    hazard: Annotated[str, Query(max_length=24)] = "",
    standard: Annotated[str, Query(max_length=100)] = "",
    life_safety: bool = False,
) -> Filter:
    return Filter(find.strip(), hazard, standard, life_safety)


Wanted = Annotated[Filter, Depends(_asked_for)]


class Limit(NamedTuple):
    """A severity's limit: a number, an attribute's number times `times`, or by what an event's attribute says.

    None of them for a kind of rule that has no limits.
    """

    severity: Severity
    number: float | None = None
    attribute: str = ""
    times: float = 1.0
    by: str = ""


def wanted_rules(rules: Mapping[str, Rule], wanted: Filter) -> list[Rule]:
    """The rules that a filter leaves, by hazard and id; those on devices and the platform themselves last."""
    found = (rule for rule in rules.values() if wanted.fits(rule))
    return sorted(found, key=lambda rule: (rule.hazard in _LAST, rule.hazard, rule.id))


def limits_of(rule: Rule) -> list[Limit]:
    """A rule's own limits, the lowest severity first."""
    found = {
        severity: Limit(severity, limit if rule.kind in GRADED else None) for severity, limit in rule.limits.items()
    }
    found |= {severity: _from(severity, source) for severity, source in rule.limits_from.items()}
    found |= {severity: Limit(severity, by=_by(table)) for severity, table in rule.table.items()}
    return [found[severity] for severity in sorted(found)]


def _from(severity: Severity, source: FromAttribute) -> Limit:
    return Limit(severity, source.default, source.attribute, source.times)


def _by(table: Mapping[str, float]) -> str:
    return ", ".join(f"{key}: {limit:g}" for key, limit in table.items())


def scope_in(field: str) -> tuple[tuple[str, str] | None, str]:
    """An override's scope in a changed field's path, None for the rule itself, and the field.

    >>> scope_in("overrides[site=S01].limits.alarm")
    (('site', 'S01'), 'limits.alarm')
    """
    found = _OF_OVERRIDE.fullmatch(field)
    return ((found[1], found[2]), found[3]) if found else (None, field)


def sheet_of(each: Rule | Override) -> str:
    """The sheet that a rule or override comes from, "" for a file."""
    kind, _, name = each.source.partition(" ")
    return name if kind == "sheet" else ""


def names_of(types: Mapping[str, DeviceType]) -> dict[str, tuple[str, str]]:
    """What metrics and events are called, (zh, en) by code; of a code that several types have the first one's name."""
    found: dict[str, tuple[str, str]] = {}
    for kind in types.values():
        metrics = {code: (each.name_zh, each.name_en) for code, each in kind.metrics.items()}
        found = {**metrics, **{code: (each.name_zh, each.name_en) for code, each in kind.events.items()}, **found}
    return found


def open_alerts(connection: Connection) -> dict[str, int]:
    """How many alerts are open, by rule."""
    query = select(alert.c.rule, func.count()).where(IS_OPEN).group_by(alert.c.rule)
    return {rule: int(count) for rule, count in connection.execute(query)}


def editions(request: Request, services: Services) -> list[Edition]:
    """The newest versions, read once each time that there is a new one."""

    def read() -> list[Edition]:
        with reading(services.engine) as connection:
            return history(connection, _BACK)

    found: list[Edition] = remembered(request, "rule editions").get(services.rules().version, read)
    return found


def last_edits(found: Iterable[Edition]) -> dict[str, Edition]:
    """The last edition that changed each rule."""
    last: dict[str, Edition] = {}
    for each in found:
        for change in each.changes:
            last.setdefault(change.rule, each)
    return last


def described(rule: Rule, alerts: int, edit: Edition | None) -> dict[str, Any]:
    """A rule in short, as plain values."""
    return {
        "id": rule.id,
        "zh": rule.title_zh,
        "en": rule.title_en,
        "kind": rule.kind,
        "hazard": rule.hazard,
        "metric": rule.metric or rule.expression or rule.event,
        "unit": rule.unit,
        "limits": [{**limit._asdict(), "severity": limit.severity.name.lower()} for limit in limits_of(rule)],
        "standard": rule.standard,
        "edition": rule.edition,
        "effective_from": rule.effective_from,
        "effective_to": rule.effective_to,
        "life_safety": rule.life_safety_from is not None,
        "source": rule.source,
        "open_alerts": alerts,
        "edited": {"version": edit.version, "at": edit.at, "author": edit.author, "reason": edit.reason}
        if edit
        else None,
    }


def overrides_of(rule: Rule) -> list[dict[str, Any]]:
    """A rule's overrides with what each changes, as written in a pack, and where it comes from."""
    return [{"scope": each.scope, "fields": fields_of_override(each), "source": each.source} for each in rule.overrides]


def told(edit: Edition) -> dict[str, Any]:
    """An edition as plain values."""
    return {**edit._asdict(), "changes": [change._asdict() for change in edit.changes]}
