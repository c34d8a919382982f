"""What a kind of device measures: metrics with units, physical range and pace, from YAML files, one a type."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.yaml_files import YAMLError, load_yaml

_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN = ("alert", "ticket", "notice")  # measurements of the desk's changes; a type's readings have its code
_RESERVED = ("_q", "_min", "_mean", "_max", "_count")
"""How the fields end that a readings store keeps beside a metric's own: its quality, and its roll-ups."""


class CatalogueError(ValueError):
    """Device type files that can't be used; `problems` has one line "file: key: problem" for each fault found."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured quantity: `low`..`high` is what the sensor can physically say, ends included, in `unit`.

    A value that stays identical for `frozen_s` seconds and at least `frozen_count` readings is abnormal, unless it
    equals `rest`; `frozen_s` None means that a constant value is normal. `spellings` are what makers call it.
    """

    code: str
    unit: str
    name_zh: str
    name_en: str
    low: float
    high: float
    decimals: int = 0
    frozen_s: int | None = None
    frozen_count: int = 0
    rest: float | None = None
    spellings: tuple[str, ...] = ()


class EventType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something a device announces; `attributes` are the names and kinds of what comes with it."""

    code: str
    name_zh: str
    name_en: str
    attributes: dict[str, Literal["bool", "number", "text"]] = {}


class DeviceType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of device.

    It reports every `interval_s`; a reading later than `late_s` is aged, `silence_factor` intervals make a silence.
    `life_safety`: people may die of what it tells, so that it is the last to be shed when its gateway floods.
    """

    code: str
    name_zh: str
    name_en: str
    interval_s: int
    metrics: dict[str, Metric]
    late_s: int = 600
    silence_factor: int = 3
    events: dict[str, EventType] = {}
    icon: str = ""
    life_safety: bool = False


def load_device_types(extra: Sequence[Path] = ()) -> dict[str, DeviceType]:
    """The built-in types and those of `extra` (files or folders of *.yaml), by code.

    A later source replaces an earlier type of the same code. Raises CatalogueError with every problem at once.
    """
    types: dict[str, DeviceType] = {}
    problems: list[str] = []
    for source in (files("devices") / "catalogue", *extra):
        found: dict[str, str] = {}
        for file in _yaml_files(source, problems):
            made = _read_type(file, problems)
            if made is None:
                continue
            if made.code in found:
                problems.append(f"{file.name}: code: {made.code} is defined in {found[made.code]} too")
            found[made.code] = file.name
            types[made.code] = made
    if problems:
        raise CatalogueError(problems)
    return types


def _yaml_files(source: Traversable | Path, problems: list[str]) -> list[Traversable | Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        problems.append(f"{source}: no such file or folder")
        return []
    return sorted((file for file in source.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)


def _read_type(file: Traversable | Path, problems: list[str]) -> DeviceType | None:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        problems.append(f"{file.name}: (file): {' '.join(str(error).split())}")
        return None
    made, found = _type_in(text)
    problems.extend(f"{file.name}: {problem}" for problem in found)
    return made


@lru_cache(maxsize=64)
def _type_in(text: str) -> tuple[DeviceType | None, tuple[str, ...]]:
    """The type that a file's text tells, or what is wrong with it; the catalogue is read again for each edited rule."""
    try:
        content = load_yaml(text)
    except YAMLError as error:
        return None, (f"(file): {' '.join(str(error).split())}",)
    if not isinstance(content, dict):
        return None, ("(file): must be a mapping of keys to values",)
    if found := tuple(f"{key}: {problem}" for key, problem in _problems_of(content)):
        return None, found
    return msgspec.convert(content, DeviceType), ()


def _problems_of(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each key with what is wrong with it; fills in the codes that metrics and events take from their keys."""
    for group, kind in (("metrics", Metric), ("events", EventType)):
        parts = content.setdefault(group, {})
        if not isinstance(parts, dict):
            yield group, "must be a mapping of codes"
            return
        for code, part in parts.items():
            where = f"{group}.{code}"
            if not isinstance(part, dict):
                yield where, "must be a mapping of keys to values"
                continue
            part.setdefault("code", code)
            yield from _conversion(part, kind, where)
            yield from _code_problem(code, part, where)
            if kind is Metric:
                yield from ((f"{where}.{key}", problem) for key, problem in _metric_problems(part))
                if isinstance(code, str) and code.endswith(_RESERVED):
                    yield where, f"{code!r} ends like a field that the readings store makes: {', '.join(_RESERVED)}"
    yield from _spelling_problems(content["metrics"])
    if not content["metrics"]:
        yield "metrics", "a device type needs at least one metric"
    yield from _conversion(content | {"metrics": {}, "events": {}}, DeviceType, "")
    yield from _code_problem(content.get("code"), content, "code")
    if content.get("code") in _TAKEN:
        yield (
            "code",
            f"{content['code']} is the name of the platform's own points in the readings store: choose another",
        )
    for key, least in (("interval_s", 1), ("late_s", 1), ("silence_factor", 1)):
        value = content.get(key)
        if isinstance(value, int) and value < least:
            yield key, f"must be at least {least}, is {value}"


def _conversion(part: dict[str, Any], kind: type[msgspec.Struct], where: str) -> Iterator[tuple[str, str]]:
    try:
        msgspec.convert(part, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        key = f"{where}{path.rstrip('`')}".lstrip(".")
        yield key or "(file)", problem


def _code_problem(code: object, part: dict[str, Any], where: str) -> Iterator[tuple[str, str]]:
    if not isinstance(code, str):
        return
    if not _CODE.fullmatch(code):
        yield where, f"{code!r} is no code: lower-case letters, digits and _, a letter first, at most 40"
    if part["code"] != code:
        yield where, f"its code is {part['code']!r}"


def _spelling_problems(metrics: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What makers call two metrics of a type can't be told apart."""
    meant = {code: code for code in metrics}
    for code, part in metrics.items():
        spellings = part.get("spellings", []) if isinstance(part, dict) else []
        for spelling in spellings if isinstance(spellings, list) else []:
            if meant.setdefault(str(spelling), code) != code:
                yield f"metrics.{code}.spellings", f"{spelling} means {meant[str(spelling)]} already"


def _metric_problems(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    numbers = {key: part[key] for key in ("low", "high", "rest") if isinstance(part.get(key), int | float)}
    low, high, rest = (numbers.get(key) for key in ("low", "high", "rest"))
    if low is not None and high is not None and not low < high:
        yield "high", f"must be above low ({low}), is {high}"
    elif low is not None and high is not None and rest is not None and not low <= rest <= high:
        yield "rest", f"must lie in {low}..{high}, is {rest}"
    if (decimals := part.get("decimals", 0)) not in range(10):
        yield "decimals", f"must be 0 to 9, is {decimals}"
    frozen_s, count = part.get("frozen_s"), part.get("frozen_count", 0)
    if frozen_s is None and count:
        yield "frozen_count", "has no meaning without frozen_s"
    if isinstance(frozen_s, int) and isinstance(count, int) and (frozen_s < 1 or count < 2):
        yield "frozen_s", f"needs at least 1 s and a frozen_count of at least 2, is {frozen_s} s and {count}"
