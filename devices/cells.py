"""Cells of a sheet: how each kind is read from text, checked, and written back to the same text.

Every `parse` takes a non-empty cell without blanks around it and raises CellProblem with a reason for people.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.clock import SHANGHAI, local, moment_of
from devices.credit_code import check_character

_FORMULA = re.compile(r"[=+\-@]")
_ESCAPED_FORMULA = re.compile(r"'+[=+\-@]")


class CellProblem(ValueError):
    """What is wrong with a cell, as a half-sentence about it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of cell becomes a value and a value becomes a cell again."""

    parse: Callable[[str], Any]
    write: Callable[[Any], str] = str


def _plain(cell: str, limit: int) -> str:
    if len(cell) > limit:
        raise CellProblem(f"has {len(cell)} characters, at most {limit} fit")
    if any(unicodedata.category(character) == "Cc" for character in cell):
        raise CellProblem("holds a control character or a line break")
    return cell


def _matching(pattern: str, limit: int, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def parse(cell: str) -> str:
        if not compiled.fullmatch(_plain(cell, limit)):
            raise CellProblem(f"{cell!r} is {what}")
        return cell

    return parse


def free_text(limit: int = 500) -> Kind:
    """Free text. What a spreadsheet would run as a formula is refused unless an apostrophe stands before it."""

    def parse(cell: str) -> str:
        _plain(cell, limit + 1)
        if _FORMULA.match(cell):
            raise CellProblem(f"begins with {cell[0]!r}: a spreadsheet would run it as a formula; put ' before it")
        return _plain(cell[1:] if _ESCAPED_FORMULA.match(cell) else cell, limit)

    def write(value: str) -> str:
        return f"'{value}" if _FORMULA.match(value) or _ESCAPED_FORMULA.match(value) else value

    return Kind(parse, write)


def code(limit: int = 40) -> Kind:
    """An identifier: ASCII letters, digits, '-', '_' and '.', a letter or digit first."""
    return Kind(_matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", limit, "no code: letters, digits, - _ . only"))


def digits(count: int) -> Kind:
    """Exactly `count` digits."""
    return Kind(_matching(rf"[0-9]{{{count}}}", 500, f"not {count} digits"))


def choice(*words: str) -> Kind:
    """One of the given words."""

    def parse(cell: str) -> str:
        if cell not in words:
            raise CellProblem(f"{_shown(cell)} is none of {', '.join(words)}")
        return cell

    return Kind(parse)


def number(low: float, high: float) -> Kind:
    """A number in `low`..`high`."""

    def parse(cell: str) -> float:
        value = _float(cell)
        if not low <= value <= high:
            raise CellProblem(f"{_shown(cell)} is outside {low:g}..{high:g}")
        return value

    return Kind(parse, repr)


def whole(low: int, high: int) -> Kind:
    """A whole number in `low`..`high`."""

    def parse(cell: str) -> int:
        value = number(low, high).parse(cell)
        if value != int(value):
            raise CellProblem(f"{_shown(cell)} is no whole number")
        return int(value)

    return Kind(parse)


def listing(each: Kind) -> Kind:
    """A list of cells, ';' between them."""

    def parse(cell: str) -> list[Any]:
        return [each.parse(part.strip()) for part in cell.split(";") if part.strip()]

    return Kind(parse, lambda values: ";".join(each.write(value) for value in values))


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else f"{cell[:40]}…")


def _float(cell: str) -> float:
    if not re.fullmatch(r"[+-]?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,2})?", cell, re.ASCII | re.IGNORECASE):
        raise CellProblem(f"{_shown(cell)} is no number")
    return float(cell)


def _degrees(name: str, most: float) -> Callable[[str], float]:
    def parse(cell: str) -> float:
        value = _float(cell)
        if abs(value) > most:
            hint = ", are lng and lat swapped?" if abs(value) <= 180 else ""
            raise CellProblem(f"{cell} is no {name}{hint}")
        return value

    return parse


def _flag(cell: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "是": True, "0": False, "false": False, "no": False, "否": False}
    if cell.lower() not in words:
        raise CellProblem(f"{_shown(cell)} is neither 1 nor 0")
    return words[cell.lower()]


def _no_constant(name: str) -> float:
    raise CellProblem(f"{name} is no JSON number")


def _attributes(cell: str) -> dict[str, Any]:
    try:
        found = json.loads(_plain(cell, 4000), parse_constant=_no_constant)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CellProblem(f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise CellProblem("must be a JSON object")
    return found


_FIRST_YEAR, _LAST_YEAR = 1970, 9998  # what can be written back in every zone


def _moment(cell: str) -> int:
    try:
        when = datetime.fromisoformat(cell)
    except ValueError as error:
        raise CellProblem(f"{_shown(cell)} is no time like 2026-09-21T22:13:20+08:00") from error
    if not _FIRST_YEAR <= when.year <= _LAST_YEAR:
        raise CellProblem(f"{_shown(cell)} is not between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return moment_of(when if when.tzinfo else when.replace(tzinfo=SHANGHAI))


def _hours(cell: str) -> str:
    matched = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)\s*[-–~至]\s*([01]?\d|2[0-3]):([0-5]\d)", cell)
    if matched is None:
        raise CellProblem(f"{_shown(cell)} is no span of hours like 22:00-06:00")
    start, end = f"{int(matched[1]):02}:{matched[2]}", f"{int(matched[3]):02}:{matched[4]}"
    if start == end:
        raise CellProblem(f"{_shown(cell)} begins when it ends")
    return f"{start}-{end}"


def _credit_code(cell: str) -> str:
    try:
        expected = check_character(cell[:-1])
    except ValueError as error:
        raise CellProblem(
            f"{_shown(cell)} is no unified social credit code: {error}, then a check character"
        ) from error
    if cell[-1] != expected:
        raise CellProblem(f"{cell!r} has a wrong check character: GB 32100 makes it {expected}")
    return cell


LONGITUDE = Kind(_degrees("longitude", 180), repr)
LATITUDE = Kind(_degrees("latitude", 90), repr)
FLAG = Kind(_flag, lambda value: "1" if value else "0")
PHONE = Kind(_matching(r"\+?[0-9][0-9 -]{2,30}", 32, "no phone number"))
ATTRIBUTES = Kind(_attributes, lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True))
MOMENT = Kind(_moment, lambda value: local(value).isoformat())
HOURS = Kind(_hours)
"""Local hours of every day, which may cross midnight."""
CREDIT_CODE = Kind(_credit_code)
