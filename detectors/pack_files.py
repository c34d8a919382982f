"""Reads rule packs: YAML files of a `pack` header, `schedules`, `rules` (by id) and `overrides` (a list).

In a rule of a kind that isn't graded `severity` stands for `limits`. `device_types: all` means every type that has the
metric, the expression's metrics or the event; `metric: all` makes one rule for each metric, its id ending in the
metric's code, with {metric} in the titles replaced by the metric's name. docs/rules.md tells it at length.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from core.yaml_files import Document, YAMLError, fault_of, read_yaml
from detectors import rule_fields as field
from detectors.expression import Expression, ExpressionError
from detectors.rule import FromAttribute, Override, Rule, lowest
from detectors.rule_checks import SUBJECTLESS, problems_of
from detectors.rule_fields import Unfit, near
from devices.device_types import DeviceType, Metric

_document = lru_cache(maxsize=64)(read_yaml)
"""The shipped packs are read again for every edit that is tried; nobody changes a document."""
_SECTIONS = ("pack", "schedules", "rules", "overrides")
_REQUIRED = tuple(each.name for each in msgspec.structs.fields(Rule) if each.required and each.name != "id")


class RuleErrors(ValueError):
    """Rules that don't hold together: every error as "FILE:LINE:COLUMN: path: what"."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = list(errors)


class _Fault(NamedTuple):
    """An error, ordered as its file was read and as it stands in it."""

    order: int
    line: int
    column: int
    text: str


class Source(NamedTuple):
    """One pack's text. Errors begin with `file`; its rules remember `label` ("pack gas.yaml", "sheet console")."""

    file: str
    label: str
    text: str


class Packs(NamedTuple):
    """All rules by id with their overrides attached; `replaced` has (rule, by whom, whose) for each taken over."""

    rules: dict[str, Rule]
    replaced: list[tuple[str, str, str]]


def read_packs(extra: Sequence[Path], types: Mapping[str, DeviceType], sheets: Mapping[str, str]) -> Packs:
    """The shipped packs, those of the `extra` files and folders, then the `sheets`. Raises RuleErrors.

    A later rule replaces an earlier one of the same id; a later override one of the same rule and scope.
    """
    reading = _Reading(types)
    for place in (files("detectors") / "packs", *extra):
        reading.read_all(_sources(place, reading.errors))
    for name, text in sheets.items():
        reading.read_all([Source(name, f"sheet {name}", text)])
    rules = reading.finished()
    if reading.errors:
        raise RuleErrors(list(dict.fromkeys(fault.text for fault in sorted(reading.errors))))
    return Packs(rules, reading.replaced)


def _sources(place: Traversable | Path, errors: list[_Fault]) -> Iterator[Source]:
    if place.is_file():
        found: list[Traversable | Path] = [place]
    elif place.is_dir():
        found = sorted(place.iterdir(), key=lambda entry: entry.name)
        found = [file for file in found if file.name.endswith((".yaml", ".yml"))]
    else:
        errors.append(_Fault(-1, 0, 0, f"{place}: is no file or directory"))
        return
    for file in found:
        name = str(file) if isinstance(place, Path) else file.name
        try:
            yield Source(name, f"pack {file.name}", file.read_bytes().decode("utf-8"))
        except UnicodeDecodeError as error:
            what = f"{name}:1:1: is no UTF-8 text: {error.reason} at byte {error.start}"
            errors.append(_Fault(-1, 1, 1, what))


@dataclass(frozen=True)
class _Page:
    """One file that is being read."""

    source: Source
    document: Document
    order: int
    errors: list[_Fault]

    def fault(self, path: field.Path, what: str) -> None:
        """Note an error about a path."""
        line, column = self.document.place(path)
        dotted = ""
        for part in path:
            dotted += f"[{part}]" if isinstance(part, int) else f".{part}"
        text = f"{self.source.file}:{line}:{column}: {dotted.lstrip('.') + ': ' if path else ''}{what}"
        self.errors.append(_Fault(self.order, line, column, text))

    def section(self, name: str, kind: type) -> Any:
        """A top-level mapping or list, empty when it is not there."""
        given = self.document.content.get(name)
        if given is not None and not isinstance(given, kind):
            self.fault((name,), f"a {'list' if kind is list else 'mapping'} is expected")
            return kind()
        return given or kind()

    def converted(
        self, path: field.Path, given: Mapping[Any, Any], known: Mapping[str, Callable[[Any], Any]]
    ) -> dict[str, Any] | None:
        """Each key by itself, so that every error is found; None when there was one."""
        done, before = {}, len(self.errors)
        for key, value in given.items():
            name = str(key)
            if name not in known:
                self.fault((*path, name), f"unknown key{near(name, known)}")
            elif value is not None:
                try:
                    done[name] = known[name](value)
                except Unfit as unfit:
                    for own, what in unfit.faults:
                        self.fault((*path, name, *own), what)
        return done if len(self.errors) == before else None


class _Written(NamedTuple):
    """A rule or an override, and where it stands."""

    page: _Page
    path: field.Path
    item: Any


class _Reading:
    """The rules and overrides read so far, and every error."""

    def __init__(self, types: Mapping[str, DeviceType]) -> None:
        self.types = types
        self.errors: list[_Fault] = []
        self.files = 0
        self.replaced: list[tuple[str, str, str]] = []
        self.rules: dict[str, _Written] = {}
        self.overrides: dict[tuple[str, str, str], _Written] = {}
        self.broken: set[str] = set()

    def read_all(self, sources: Iterable[Source]) -> None:
        """Add the files of one folder, or one sheet, within which nothing may be said twice."""
        rules: dict[str, _Written] = {}
        overrides: dict[tuple[str, str, str], _Written] = {}
        for source in sources:
            page = self._opened(source)
            if page is not None:
                self._read(page, rules, overrides)
        for rule_id, written in rules.items():
            if rule_id in self.rules:
                self.replaced.append((rule_id, written.page.source.label, self.rules[rule_id].page.source.label))
            self.rules[rule_id] = written
        for key, written in overrides.items():
            self.overrides.pop(key, None)  # the later one also comes later
            self.overrides[key] = written

    def _opened(self, source: Source) -> _Page | None:
        self.files += 1
        try:
            document = _document(source.text)
        except YAMLError as error:
            line, column, what = fault_of(error)
            self.errors.append(_Fault(self.files, line, column, f"{source.file}:{line}:{column}: {what}"))
            return None
        if document.content is None:
            return None
        page = _Page(source, document, self.files, self.errors)
        if not isinstance(document.content, dict):
            page.fault((), f"a mapping of {', '.join(_SECTIONS)} is expected")
            return None
        return page

    def _read(self, page: _Page, rules: dict[str, _Written], overrides: dict[tuple[str, str, str], _Written]) -> None:
        for name in page.document.content:
            if name not in _SECTIONS:
                page.fault((str(name),), f"unknown key{near(name, _SECTIONS)}")
        header = page.converted(("pack",), page.section("pack", dict), field.HEADER_FIELDS) or {}
        named = page.section("schedules", dict)
        schedules = page.converted(("schedules",), named, dict.fromkeys(map(str, named), field.hours)) or {}
        for name, fields in page.section("rules", dict).items():
            path = ("rules", str(name))
            for rule in self._rules_of(page, path, fields, header, schedules):
                if rule.id in rules:
                    page.fault(path, f"{rule.id} is defined twice, also at {_place(rules[rule.id])}")
                rules[rule.id] = _Written(page, path, rule)
        for place, fields in enumerate(page.section("overrides", list)):
            self._read_override(page, ("overrides", place), fields, overrides)

    def _rules_of(
        self, page: _Page, path: tuple[str, str], fields: Any, header: Mapping[str, Any], schedules: Mapping[str, Any]
    ) -> list[Rule]:
        name = path[1]
        self.broken.add(name)
        if not isinstance(fields, dict):
            page.fault(path, "a mapping is expected")
            return []
        before = len(self.errors)
        try:
            field.rule_id(name)
        except Unfit as unfit:
            page.fault(path, str(unfit))
        given = page.converted(path, fields, field.RULE_FIELDS)
        own = {**header, **(given or {})}
        said = {*own, *(str(key) for key, value in fields.items() if value is not None)}
        absent = [key for key in _REQUIRED if key not in said and key not in ("device_types", "limits")]
        for key in absent:
            page.fault(path, f"{key} is missing")
        if given is None or absent:
            return []
        _spell_out(page, path, own, schedules)
        if len(self.errors) > before:
            return []
        self.broken.discard(name)
        own["source"] = page.source.label
        return [Rule(id=rule_id, **narrow) for rule_id, narrow in _expanded(name, own, self.types)]

    def _read_override(
        self, page: _Page, path: field.Path, fields: Any, overrides: dict[tuple[str, str, str], _Written]
    ) -> None:
        if not isinstance(fields, dict) or not fields.get("rule"):
            page.fault(path, "rule is missing: name the rule that it is about")
            return
        given = page.converted(path, fields, field.OVERRIDE_FIELDS)
        if given is None:
            return
        rule_id = given.pop("rule")
        if sum(key in given for key in field.SCOPE_KEYS) != 1:
            page.fault(path, f"name exactly one of {', '.join(field.SCOPE_KEYS)}")
        elif not any(key in given for key in field.CHANGES):
            page.fault(path, f"changes nothing: write one of {', '.join(field.CHANGES)}")
        else:
            override = Override(**given, source=page.source.label)
            key = (rule_id, *override.scope)
            if key in overrides:
                kind, code = override.scope
                first = _place(overrides[key])
                page.fault(path, f"{rule_id} is overridden for {kind} {code} twice, first at {first}")
            overrides[key] = _Written(page, path, override)

    def finished(self) -> dict[str, Rule]:
        """Every rule with its overrides, checked against the device types and each other."""
        rules: dict[str, Rule] = {rule_id: written.item for rule_id, written in self.rules.items()}
        for (rule_id, *_), written in self.overrides.items():
            if rule_id in rules:
                own = rules[rule_id]
                rules[rule_id] = msgspec.structs.replace(own, overrides=(*own.overrides, written.item))
            elif rule_id not in self.broken:
                what = f"there is no rule {rule_id}{near(rule_id, rules)}"
                written.page.fault((*written.path, "rule"), what)
        for problem in problems_of(rules, self.types, self.broken):
            written = self.rules[problem.rule]
            if problem.override is not None:
                written = self.overrides[(problem.rule, *problem.override.scope)]
            written.page.fault((*written.path, *problem.path), problem.what)
        return rules


def _place(written: _Written) -> str:
    line, _ = written.page.document.place(written.path)
    return f"{written.page.source.file}:{line}"


def _spell_out(page: _Page, path: field.Path, own: dict[str, Any], schedules: Mapping[str, tuple[str, ...]]) -> None:
    """Bring a rule's fields from how they are written to how a Rule has them."""
    if "severity" in own:
        if "limits" in own:
            page.fault((*path, "severity"), "stands for limits: write only one of them")
        own["limits"] = {own.pop("severity"): 1.0}
    limits = own.get("limits", {})
    own["limits_from"] = {severity: limit for severity, limit in limits.items() if isinstance(limit, FromAttribute)}
    own["limits"] = {severity: limit for severity, limit in limits.items() if severity not in own["limits_from"]}
    if "recovery" in own:
        key, value = own.pop("recovery")
        own[key] = value
        if key == "recovery" and own["limits_from"]:
            page.fault((*path, "recovery"), "the limits are each device's own: write a share of them, such as 90%")
    elif own["limits"] and "severity" not in own:
        own["recovery"] = lowest(own["limits"], own.get("direction", "above"))
    if "schedule" in own:
        name = own["schedule"]
        if "hours" in own:
            page.fault((*path, "hours"), "stands for a schedule: write only one of them")
        elif name not in schedules:
            page.fault((*path, "schedule"), f"there is no schedule {name} in this file{near(name, schedules)}")
        own["hours"] = schedules.get(name, ())
    if own.get("expression"):
        try:
            Expression.parse(own["expression"])
        except ExpressionError as error:
            page.fault((*path, "expression"), f"{error}, at character {error.column} of {own['expression']!r}")


def _expanded(name: str, own: dict[str, Any], types: Mapping[str, DeviceType]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rule's fields by id, with every "all" spelled out."""
    own.setdefault("device_types", () if own["kind"] in SUBJECTLESS else ("all",))
    if own.get("metric") != "all":
        yield name, {**own, "device_types": _types_of(own, types)}
        return
    found: dict[str, Metric] = {}
    for code in _types_of({**own, "metric": ""}, types):
        for metric in types[code].metrics.values() if code in types else ():
            if _has(types[code], metric.code, own["kind"]):
                found.setdefault(metric.code, metric)
    for code, metric in found.items():
        narrow = {**own, "metric": code}
        narrow["device_types"] = tuple(
            each for each in _types_of(narrow, types) if each not in types or _has(types[each], code, own["kind"])
        )
        narrow["title_zh"] = own["title_zh"].replace("{metric}", metric.name_zh)
        narrow["title_en"] = own["title_en"].replace("{metric}", metric.name_en)
        yield f"{name}.{code}", narrow


def _has(kind: DeviceType, metric: str, rule_kind: str) -> bool:
    """Whether a device type has a metric of which such a rule can say something."""
    its = kind.metrics.get(metric)
    return its is not None and (rule_kind != "frozen" or its.frozen_s is not None)


def _types_of(own: Mapping[str, Any], types: Mapping[str, DeviceType]) -> tuple[str, ...]:
    if own["device_types"] != ("all",):
        return tuple(own["device_types"])
    metrics = Expression.parse(own["expression"]).metrics if own.get("expression") else ()
    metrics = (*metrics, own["metric"]) if own.get("metric") else metrics
    event = own.get("event")
    return tuple(
        code
        for code, kind in sorted(types.items())
        if all(metric in kind.metrics for metric in metrics) and (not event or event in kind.events)
    )
