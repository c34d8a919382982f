"""Reads rule packs: YAML files of `rules` (by id) and `overrides` (a list), checked as a whole.

Spans are written as "10s", "5min" or "1h", severities by name. In a rule of a kind that isn't graded `severity` stands
for `limits`. `device_types: all` means every type that has the metric or event; `metric: all` makes one rule for each
metric, its id ending in the metric's code, with {metric} in the titles replaced by the metric's name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from core.clock import HOUR, MILLISECOND, MINUTE, SECOND
from core.yaml_files import YAMLError, load_yaml
from detectors.rule import GRADED, Override, Rule
from detectors.rule_checks import FAULTS, problems_of
from detectors.words import Severity
from devices.device_types import DeviceType

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)")
_UNITS = {"ms": MILLISECOND, "s": SECOND, "min": MINUTE, "h": HOUR}
_SEVERITIES = {severity.name.lower(): severity for severity in Severity if severity}
_SPANS = {"dwell", "window"}
_LEVELS = {"over_range", "life_safety_from"}
_FIELDS = get_type_hints(Rule)
_OVERRIDE_FIELDS = get_type_hints(Override)


class RuleErrors(ValueError):
    """Rules that don't hold together: every error as "file: path: what"."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = list(errors)


def read_packs(extra: Sequence[Path], types: Mapping[str, DeviceType]) -> dict[str, Rule]:
    """All rules by id with their overrides attached. Raises RuleErrors."""
    reading = _Reading(types)
    for folder in (files("detectors") / "packs", *extra):
        _read_folder(folder, reading)
    rules = reading.finished()
    if reading.errors:
        raise RuleErrors(reading.errors)
    return rules


def _read_folder(folder: Traversable, reading: "_Reading") -> None:
    if not folder.is_dir():
        reading.errors.append(f"{folder}: is no directory")
        return
    here: set[str] = set()
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith((".yaml", ".yml")):
            reading.read(file.name, file.read_text("utf-8"), here)


class _Reading:
    """The rules and overrides read so far, and every error."""

    def __init__(self, types: Mapping[str, DeviceType]) -> None:
        self.types = types
        self.errors: list[str] = []
        self.rules: dict[str, tuple[str, Rule]] = {}
        self.overrides: list[tuple[str, str, Override]] = []

    def read(self, file: str, text: str, here: set[str]) -> None:
        """Add one file; `here` are the ids that its directory has defined already."""
        try:
            document = load_yaml(text) or {}
        except YAMLError as error:
            self.errors.append(f"{file}: {' '.join(str(error).split())}")
            return
        if not isinstance(document, dict):
            self.errors.append(f"{file}: a mapping of rules and overrides is expected")
            return
        self._unknown(file, document, {"rules", "overrides"})
        for name, fields in (document.get("rules") or {}).items():
            self._read_rule(f"{file}: rules.{name}", str(name), fields, here)
        for place, fields in enumerate(document.get("overrides") or []):
            self._read_override(f"{file}: overrides[{place}]", fields)

    def _unknown(self, path: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
        for key in sorted(str(key) for key in given if key not in known):
            self.errors.append(f"{path}.{key}: unknown key" if ": " in path else f"{path}: {key}: unknown key")

    def _read_rule(self, path: str, name: str, fields: Any, here: set[str]) -> None:
        if not isinstance(fields, dict):
            self.errors.append(f"{path}: a mapping is expected")
            return
        self._unknown(path, fields, {*_FIELDS, "severity"} - {"id", "overrides"})
        wide = {key: value for key, value in fields.items() if key in _FIELDS and value is not None}
        if "severity" in fields:
            wide["limits"] = {fields["severity"]: 1}
        wide.setdefault("device_types", [] if wide.get("kind") in FAULTS else "all")
        for rule_id, narrow in self._expanded(name, wide):
            self._add(path, rule_id, self._converted(path, narrow, _FIELDS), here)

    def _expanded(self, name: str, fields: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """The rule's fields by id, with every "all" spelled out."""
        if fields.get("metric") != "all":
            return [(name, {**fields, "device_types": self._types_of(fields)})]
        found: dict[str, dict[str, Any]] = {}
        for code, metric in self._metrics(fields):
            narrow = {**fields, "metric": code}
            narrow["device_types"] = self._types_of(narrow)
            narrow["title_zh"] = str(fields.get("title_zh", "")).replace("{metric}", metric.name_zh)
            narrow["title_en"] = str(fields.get("title_en", "")).replace("{metric}", metric.name_en)
            found.setdefault(f"{name}.{code}", narrow)
        return list(found.items())

    def _metrics(self, fields: dict[str, Any]) -> list[tuple[str, Any]]:
        named = self._types_of({**fields, "metric": ""})
        every = [pair for code in named if code in self.types for pair in self.types[code].metrics.items()]
        return [pair for pair in every if fields.get("kind") != "frozen" or pair[1].frozen_s is not None]

    def _types_of(self, fields: dict[str, Any]) -> list[str]:
        named = fields["device_types"]
        metric, event = fields.get("metric", ""), fields.get("event", "")
        every = sorted(self.types) if named == "all" else named
        if not isinstance(every, list) or (named != "all" and not metric):
            return every
        if named != "all":
            return every
        fits = [self.types[code] for code in every]
        return [t.code for t in fits if (not metric or metric in t.metrics) and (not event or event in t.events)]

    def _converted(self, path: str, fields: dict[str, Any], known: dict[str, Any]) -> dict[str, Any] | None:
        """Each field by itself in its own type, so that every error is found; None when there was one."""
        done, before = {}, len(self.errors)
        for key, value in fields.items():
            try:
                done[key] = msgspec.convert(_plain(key, value), known[key])
            except (ValueError, TypeError) as error:
                self.errors.append(f"{path}.{key}: {error}")
        return done if len(self.errors) == before else None

    def _add(self, path: str, rule_id: str, fields: dict[str, Any] | None, here: set[str]) -> None:
        if rule_id in here:
            self.errors.append(f"{path}: {rule_id} is defined twice")
        here.add(rule_id)
        if fields is None:
            return
        absent = sorted(f.name for f in msgspec.structs.fields(Rule) if f.required and f.name not in fields)
        missing = [key for key in absent if key != "id"]
        self.errors.extend(f"{path}.{key}: is missing" for key in missing)
        if not missing:
            if "recovery" not in fields and fields["kind"] in GRADED and fields["limits"]:
                pick = max if fields.get("direction") == "below" else min
                fields["recovery"] = pick(fields["limits"].values())
            self.rules[rule_id] = (path, Rule(id=rule_id, **fields))

    def _read_override(self, path: str, fields: Any) -> None:
        if not isinstance(fields, dict) or "rule" not in fields:
            self.errors.append(f"{path}.rule: is missing")
            return
        given = {key: value for key, value in fields.items() if key != "rule"}
        self._unknown(path, given, _OVERRIDE_FIELDS)
        known = {key: value for key, value in given.items() if key in _OVERRIDE_FIELDS}
        converted = self._converted(path, known, _OVERRIDE_FIELDS)
        if converted is None:
            return
        if sum(key in converted for key in ("device_type", "site", "device")) != 1:
            self.errors.append(f"{path}: name exactly one of device_type, site, device")
            return
        self.overrides.append((path, str(fields["rule"]), Override(**converted)))

    def finished(self) -> dict[str, Rule]:
        """Every rule with its overrides, checked against the device types and each other."""
        places = {rule_id: path for rule_id, (path, _) in self.rules.items()}
        rules = {rule_id: rule for rule_id, (_, rule) in self.rules.items()}
        for path, rule_id, override in self.overrides:
            if rule_id not in rules:
                self.errors.append(f"{path}.rule: there is no rule {rule_id}")
                continue
            rule = rules[rule_id]
            rules[rule_id] = msgspec.structs.replace(rule, overrides=(*rule.overrides, override))
        self.errors.extend(f"{places.get(rule_id, rule_id)}{what}" for rule_id, what in problems_of(rules, self.types))
        return rules


def _plain(key: str, value: Any) -> Any:
    """A field as the rule's own types spell it: spans in µs, severities as numbers."""
    if key in _SPANS:
        return _span(value)
    if key in _LEVELS:
        return _severity(value)
    if key == "limits" and isinstance(value, dict):
        return {_severity(name): limit for name, limit in value.items()}
    if key == "edition" and isinstance(value, int):
        return str(value)
    return value


def _span(text: Any) -> int:
    match = _SPAN.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is no span: write 10s, 5min or 1h")
    return round(float(match[1]) * _UNITS[match[2]])


def _severity(name: Any) -> int:
    if name not in _SEVERITIES:
        raise ValueError(f"{name!r} is no severity: write {', '.join(_SEVERITIES)}")
    return int(_SEVERITIES[name])
