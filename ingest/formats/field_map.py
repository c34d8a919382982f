"""The option `fields`: what a gateway's own names mean, and how its numbers become the device type's units.

>>> problems = []
>>> fields = FieldMap.of({"fields": {
...     "ENERGY.Power": "power",
...     "t": {"metric": "cable_temp", "scale": 0.1, "offset": -40},
...     "contact": {"metric": "cover_open", "values": {"true": 0, "false": 1}},
...     "uptime": None,
... }}, problems)
>>> fields.apply({"ENERGY.Power": 12, "t": 655, "contact": False, "battery": 97, "uptime": 9, "mode": "auto"})
({'power': 12, 'cable_temp': 25.5, 'cover_open': 1, 'battery': 97}, [('mode', 'must be a number, not text')])
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_DEEPEST = 32
"""Levels that `flattened` descends."""
LONGEST_NAME = 256
"""Characters of a name that a message may repeat: longer ones would make gigabytes of it."""
_KEYS = ("metric", "scale", "offset", "values")


class Field(NamedTuple):
    """One name's meaning: a metric, and either `values` looked up or value × scale + offset."""

    metric: str
    scale: float = 1
    offset: float = 0
    values: Mapping[str, float | bool] | None = None


class FieldMap:
    """A gateway's names to metrics; a name without an entry passes as it came, one in `ignored` is left out."""

    def __init__(self, fields: Mapping[str, Field], ignored: frozenset[str] = frozenset()) -> None:
        self.fields, self.ignored = fields, ignored

    @classmethod
    def of(cls, options: Mapping[str, Any], problems: list[str]) -> "FieldMap":
        """The map that `options["fields"]` spells, empty where there is none; each fault is added to `problems`."""
        given = options.get("fields", {})
        if not isinstance(given, Mapping):
            problems.append("fields: must be an object of names and metrics")
            return cls({})
        used = {str(name): entry for name, entry in given.items() if entry is not None}
        read = {name: _field(f"fields.{name}", entry, problems) for name, entry in used.items()}
        ignored = frozenset(str(name) for name in given) - frozenset(used)
        return cls({name: field for name, field in read.items() if field is not None}, ignored)

    def apply(self, given: Mapping[str, object]) -> tuple[dict[str, float | bool], list[tuple[str, str]]]:
        """Metrics with their values, and (name, why) of each name whose value is no number, mapped ones first.

        Of two names that mean one metric the first stands and the other is refused.
        """
        values, refused, taken = dict[str, float | bool](), list[tuple[str, str]](), dict[str, str]()
        for name, value, field in self._mapped_first(given):
            if field.metric in taken:
                refused.append((name, f"{field.metric} is given by {taken[field.metric]} already"))
                continue
            number = _converted(value, field)
            if isinstance(number, str):
                refused.append((name, number))
            else:
                values[field.metric], taken[field.metric] = number, name
        return values, refused

    def _mapped_first(self, given: Mapping[str, object]) -> Iterator[tuple[str, object, Field]]:
        for name, field in self.fields.items():
            if name in given:
                yield name, given[name], field
        for name, value in given.items():
            if name not in self.fields and name not in self.ignored:
                yield name, value, Field(name)


def flattened(nested: Mapping[str, object]) -> dict[str, object]:
    """An object's leaves under dotted paths, those of arrays under their index; below 32 levels nothing.

    What lies under a path of more than 256 characters is not taken apart.

    >>> flattened({"ENERGY": {"Power": 12}, "probes": [{"t": 1.5}]})
    {'ENERGY.Power': 12, 'probes.0.t': 1.5}
    """
    return dict(_leaves("", nested, 0))


def _leaves(path: str, value: object, depth: int) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict | list):
        yield path[:-1], value
    elif len(path) > LONGEST_NAME:
        yield path[:LONGEST_NAME], value
    elif depth < _DEEPEST:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(f"{path}{key}.", inner, depth + 1)


def _field(key: str, entry: object, problems: list[str]) -> Field | None:
    if isinstance(entry, str):
        entry = {"metric": entry}
    if not isinstance(entry, Mapping):
        problems.append(f"{key}: must be a metric, null, or an object with metric, scale, offset and values")
        return None
    found = [f"{key}.{name}: {problem}" for name, problem in _faults(entry)]
    problems.extend(found)
    return None if found else Field(**entry)


def _faults(entry: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name in entry:
        if name not in _KEYS:
            yield name, f"unknown; choose from {', '.join(_KEYS)}"
    metric, values = entry.get("metric"), entry.get("values", {})
    if not isinstance(metric, str) or not metric:
        yield "metric", "must be a metric of the device's type"
    for name in ("scale", "offset"):
        if not _finite(entry.get(name, 0), bool):
            yield name, "must be a number"
    if entry.get("scale") == 0:
        yield "scale", "must not be 0"
    if not isinstance(values, Mapping) or not all(_finite(value) for value in values.values()):
        yield "values", 'must be an object of values and numbers, such as {"ON": 1, "OFF": 0}'
    elif "values" in entry and ("scale" in entry or "offset" in entry):
        yield "values", "stands alone, without scale and offset"


def _finite(value: object, *but: type) -> bool:
    return isinstance(value, int | float) and not isinstance(value, but) and not huge(value) and math.isfinite(value)


def huge(value: object) -> bool:
    """Is it an integer too large for a float?"""
    return isinstance(value, int) and value.bit_length() > 1023


def _converted(value: object, field: Field) -> float | bool | str:
    """The number, or why there is none."""
    if field.values is not None:
        name = spelled(value)
        if name in field.values:
            return field.values[name]
        return f"{name[:40]} is none of {', '.join(field.values)}"
    if not isinstance(value, int | float):
        return f"must be a number, not {type_name(value)}"
    if huge(value):
        return "is too large"
    if field.scale == 1 and field.offset == 0:
        return value
    return round(value * field.scale + field.offset, 12)


def spelled(value: object) -> str:
    """A value as a key of `values` spells it: true, null, 1, ON."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case dict() | list():
            return type_name(value)
        case int() if huge(value):
            return "a long integer"
    return str(value)


def type_name(value: object) -> str:
    """What JSON calls a value's type.

    >>> type_name("ON"), type_name([1]), type_name(None)
    ('text', 'array', 'null')
    """
    names = {str: "text", list: "array", dict: "object", type(None): "null", bool: "boolean"}
    names |= {int: "number", float: "number"}
    return names.get(type(value), type(value).__name__)
