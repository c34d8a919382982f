"""Each field of a rule as people write it, in the rule's own types.

Spans are written as "10s", "5min", "24h" or "7d", severities and quality flags by name, a recovery limit as a number or
as "90%" of the lowest limit, a limit as a number or as {attribute: permit, times: 0.9, default: 30}.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Literal, get_args, get_origin, get_type_hints

from core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from detectors.rule import FromAttribute, Kind, Override, Rule
from detectors.schedule import week_of
from detectors.words import Severity
from ingest.words import Quality

Path = tuple[str | int, ...]

SEVERITIES = {severity.name.lower(): severity for severity in Severity if severity}
FLAGS = tuple(str(flag.name).lower() for flag in Quality if flag)
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|min|h|d)")
_UNITS = {"ms": MILLISECOND, "s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
_SHARE = re.compile(r"(\d{1,4}(?:\.\d{1,6})?)\s*%")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RULE_ID = re.compile(r"[a-z0-9][a-z0-9_]*(?:\.[a-z0-9][a-z0-9_]*)*")
_LONGEST = 2000


class Unfit(ValueError):
    """A field that can't be read: every fault as its path within the field and what is wrong."""

    def __init__(self, what: str, path: Path = (), more: Iterable[tuple[Path, str]] = ()) -> None:
        super().__init__(what)
        self.faults: list[tuple[Path, str]] = [(path, what), *more]


def near(word: object, known: Iterable[str]) -> str:
    """A question for who mistyped a name, or nothing.

    >>> near("gas_lle", ["gas_lel", "battery"])
    '; did you mean gas_lel?'
    """
    found = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def number(value: Any) -> float:
    """A finite number. Raises Unfit."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit(f"{_said(value)} is no number")
    if not math.isfinite(value):
        raise Unfit("must be finite")
    return float(value)


def whole(value: Any) -> int:
    """A whole number. Raises Unfit."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit(f"{_said(value)} is no whole number")
    return value


def truth(value: Any) -> bool:
    """True or false. Raises Unfit."""
    if not isinstance(value, bool):
        raise Unfit(f"{_said(value)} is neither true nor false")
    return value


def text(value: Any) -> str:
    """A text; a number stands for its digits, as in an edition or a code. Raises Unfit."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unfit(f"{_said(value)} is no text")
    found = str(value).strip()
    if len(found) > _LONGEST:
        raise Unfit(f"is longer than {_LONGEST} characters")
    return found


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts, or one text for a list of one. Raises Unfit."""
    return _each(value, text)


def code(value: Any) -> str:
    """The code of a metric, an event or an attribute. Raises Unfit."""
    found = text(value)
    if found and not _CODE.fullmatch(found):
        raise Unfit(f"{found!r} is no code: lower-case letters, digits and _, a letter first, at most 40")
    return found


def rule_id(value: Any) -> str:
    """The name of a rule. Raises Unfit."""
    found = text(value)
    if not _RULE_ID.fullmatch(found) or len(found) > 80:
        raise Unfit(f"{found!r} is no name of a rule: write lower-case words with dots, such as gas.leak")
    return found


def span(value: Any) -> int:
    """A span in µs.

    >>> span("1.5h") == 90 * MINUTE
    True
    """
    match = _SPAN.fullmatch(str(value).strip())
    if match is None:
        raise Unfit(f"{_said(value)} is no span: write 10s, 5min, 24h or 7d")
    return round(float(match[1]) * _UNITS[match[2]])


def severity(value: Any) -> Severity:
    """A severity by its name. Raises Unfit."""
    if not isinstance(value, str) or value not in SEVERITIES:
        raise Unfit(f"{_said(value)} is no severity: write {', '.join(SEVERITIES)}{near(value, SEVERITIES)}")
    return SEVERITIES[value]


def day(value: Any) -> date:
    """A local day. Raises Unfit."""
    try:
        return date.fromisoformat(value if isinstance(value, str) and len(value) == len("2020-01-31") else "")
    except ValueError:
        raise Unfit(f"{_said(value)} is no day: write 2020-01-31") from None


def recovery(value: Any) -> tuple[str, float]:
    """("recovery", limit), or ("recovery_share", share) for a share of the lowest limit.

    >>> recovery(20), recovery("90%")
    (('recovery', 20.0), ('recovery_share', 0.9))
    """
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        return "recovery_share", float(match[1]) / 100
    if isinstance(value, str):
        raise Unfit(f"{_said(value)} is neither a number nor a share such as 90%")
    return "recovery", number(value)


def limit(value: Any) -> float | FromAttribute:
    """A number, or what a device's (else its site's) attribute says. Raises Unfit."""
    if not isinstance(value, Mapping):
        return number(value)
    faults: list[tuple[Path, str]] = []
    fields = _mapping(value, {"attribute": code, "times": number, "default": number}, faults)
    if not value.get("attribute"):
        faults.append((("attribute",), "is missing"))
    if fields.get("times", 1.0) <= 0:
        faults.append((("times",), "must be more than 0"))
    _raise(faults)
    return FromAttribute(**fields)


def limits(value: Any) -> dict[Severity, float | FromAttribute]:
    """Limits by severity. Raises Unfit."""
    return _by_severity(value, limit)


def numbers(value: Any) -> dict[Severity, float]:
    """Limits by severity that are numbers. Raises Unfit."""
    return _by_severity(value, number)


def table(value: Any) -> dict[Severity, dict[str, float]]:
    """Limits by severity and then by what an event says. Raises Unfit."""
    return _by_severity(value, _row)


def hours(value: Any) -> tuple[str, ...]:
    """Spans of the week. Raises Unfit."""
    found = texts(value)
    if not found:
        raise Unfit("no span of the week is given")
    try:
        week_of(found)
    except ValueError as error:
        raise Unfit(str(error)) from None
    return found


def attribute(value: Any) -> dict[str, str]:
    """The name and the value of the one attribute that an override is for. Raises Unfit."""
    if not isinstance(value, Mapping) or len(value) != 1:
        raise Unfit('write one name and its value, such as {noise_class: "1"}')
    ((name, own),) = value.items()
    return {code(name): str(own) if isinstance(own, bool) else text(own)}


def flags(value: Any) -> tuple[str, ...]:
    """Quality flags by name. Raises Unfit."""
    return _each(value, _choice(FLAGS))


def _each(value: Any, read: Callable[[Any], str]) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    found, faults = [], []
    for place, item in enumerate(items):
        try:
            found.append(read(item))
        except Unfit as unfit:
            faults += [((place, *path) if isinstance(value, list) else path, what) for path, what in unfit.faults]
    _raise(faults)
    return tuple(found)


def _by_severity(value: Any, read: Callable[[Any], Any]) -> dict[Severity, Any]:
    if not isinstance(value, Mapping):
        raise Unfit(f"{_said(value)} is no mapping: write them by severity, such as {{alarm: 25}}")
    found: dict[Severity, Any] = {}
    faults: list[tuple[Path, str]] = []
    for name, given in value.items():
        try:
            found[severity(name)] = read(given)
        except Unfit as unfit:
            faults += [((str(name), *path), what) for path, what in unfit.faults]
    _raise(faults)
    return found


def _row(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or not value:
        raise Unfit(f"{_said(value)} is no mapping: write limits by what the event says, such as {{2: 18, 3: 25}}")
    faults: list[tuple[Path, str]] = []
    found = _mapping(value, {str(key): number for key in value}, faults)
    _raise(faults)
    return found


def _mapping(
    given: Mapping[Any, Any], known: Mapping[str, Callable[[Any], Any]], faults: list[tuple[Path, str]]
) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        name = str(key)
        if name not in known:
            faults.append(((name,), f"unknown key{near(name, known)}"))
            continue
        try:
            found[name] = known[name](value)
        except Unfit as unfit:
            faults += [((name, *path), what) for path, what in unfit.faults]
    return found


def _raise(faults: list[tuple[Path, str]]) -> None:
    if faults:
        (path, what), *more = faults
        raise Unfit(what, path, more)


def _choice(names: tuple[str, ...]) -> Callable[[Any], str]:
    def chosen(value: Any) -> str:
        if value not in names:
            raise Unfit(f"{_said(value)} is none of {', '.join(names)}{near(value, names)}")
        return str(value)

    return chosen


def _said(value: Any) -> str:
    said = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return said if len(said) <= 60 else f"{said[:57]}..."


_BY_NAME: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("dwell", "dwell_off", "window", "mean", "max_age", "within"), span),
    **dict.fromkeys(("life_safety_from", "over_range", "severity"), severity),
    **dict.fromkeys(("metric", "event", "value", "by", "baseline", "schedule"), code),
    "limits": limits,
    "recovery": recovery,
    "table": table,
    "hours": hours,
    "not_when": flags,
}
_BY_TYPE: dict[Any, Callable[[Any], Any]] = {
    str: text,
    float: number,
    float | None: number,
    int: whole,
    bool: truth,
    bool | None: truth,
    tuple[str, ...]: texts,
    date | None: day,
    Kind: _choice(get_args(Kind)),
}


def _reader(name: str, kind: Any) -> Callable[[Any], Any]:
    if name in _BY_NAME:
        return _BY_NAME[name]
    return _choice(get_args(kind)) if get_origin(kind) is Literal else _BY_TYPE[kind]


_OURS = {"id", "overrides", "limits_from", "recovery_share", "source"}
RULE_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    **{name: _reader(name, kind) for name, kind in get_type_hints(Rule).items() if name not in _OURS},
    "severity": severity,
}
"""What reads each key of a rule."""
OVERRIDE_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "rule": text,
    **dict.fromkeys(("device_type", "site", "device"), text),
    "attribute": attribute,
    "limits": numbers,
    "recovery": number,
    **dict.fromkeys(("dwell", "dwell_off", "window"), span),
    "enabled": truth,
}
"""What reads each key of an override."""
SCOPE_KEYS = ("device_type", "attribute", "site", "device")
CHANGES = tuple(field for field in get_type_hints(Override) if field not in (*SCOPE_KEYS, "source"))
"""What an override may change."""
HEADER_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    name: RULE_FIELDS[name]
    for name in ("standard", "edition", "effective_from", "effective_to", "basis", "hazard", "category", "class_code")
}
"""What a file may say once for all its rules."""
