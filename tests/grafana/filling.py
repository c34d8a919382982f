"""Fills a panel's query as Grafana 11.6 does: variables in the browser, then macros at its server.

Taken over from Grafana: the forms of variables and their formats (scenes' interpolation), what the InfluxDB data source
makes of a chosen value (interpolateQueryExpr) and of $timeFilter, PostgreSQL's macros, and the rounding of intervals.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.clock import MILLISECOND, SECOND

_VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}")
_SPECIAL = re.compile(r"[\\^$*+?.()|[\]{}/]")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+|Infinity)")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_ROUND_MS = (
    *((10, 1), (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1_500, 1_000), (3_500, 2_000)),
    *((7_500, 5_000), (12_500, 10_000), (17_500, 15_000), (25_000, 20_000), (45_000, 30_000), (90_000, 60_000)),
    *((210_000, 120_000), (450_000, 300_000), (750_000, 600_000), (1_050_000, 900_000), (1_500_000, 1_200_000)),
    *((2_700_000, 1_800_000), (5_400_000, 3_600_000), (9_000_000, 7_200_000), (16_200_000, 10_800_000)),
    *((32_400_000, 21_600_000), (86_400_000, 43_200_000), (604_800_000, 86_400_000)),
    *((1_814_400_000, 604_800_000), (3_628_800_000, 2_592_000_000)),
)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
POINTS = 1_000
"""How many points a panel of usual width asks for."""


@dataclass(frozen=True)
class Choice:
    """What is chosen of a variable. `everything` is what stands for all of them where "all" is chosen; else None.

    A variable of which several may be chosen (`multi`) has a list of values, also with one of them.
    """

    values: Sequence[str] = ()
    multi: bool = True
    everything: str | None = None


@dataclass(frozen=True)
class Range:
    """A time range, µs UTC."""

    start: int
    end: int

    def interval_ms(self, least: str = "") -> int:
        """The width of a point: a round one, and not below the panel's least.

        >>> Range(0, 6 * 3_600 * SECOND).interval_ms(), Range(0, 6 * 3_600 * SECOND).interval_ms("60s")
        (20000, 60000)
        """
        exact = (self.end - self.start) / MILLISECOND / POINTS
        place = bisect_right([bound for bound, _ in _ROUND_MS], exact)
        rounded = _ROUND_MS[place][1] if place < len(_ROUND_MS) else 31_536_000_000
        return max(rounded, span_ms(least) if least else 1)


def span_ms(text: str) -> int:
    """A span such as "30s" in ms."""
    unit = text.lstrip("0123456789")
    return int(text.removesuffix(unit)) * _UNITS[unit]


def span_text(ms: int) -> str:
    """A span in its largest unit.

    >>> span_text(90_000), span_text(60_000), span_text(500)
    ('1m', '1m', '500ms')
    """
    for unit in ("d", "h", "m", "s"):
        if ms >= _UNITS[unit]:
            return f"{ms // _UNITS[unit]}{unit}"
    return f"{ms}ms"


def escaped(text: str) -> str:
    r"""A text as it stands in a regular expression.

    >>> escaped("A/1 (b)")
    'A\\/1 \\(b\\)'
    """
    return _SPECIAL.sub(r"\\\g<0>", text)


def filled_influxql(query: str, choices: Mapping[str, Choice], span: Range, least: str = "") -> str:
    r"""The query that InfluxDB is asked.

    >>> where = '"site" =~ /^($site)$/ AND $timeFilter'
    >>> filled_influxql(where, {"site": Choice(["RD-1", "RD.2"])}, Range(0, 2 * SECOND))
    '"site" =~ /^((RD-1|RD\\.2))$/ AND time >= 0ms and time <= 2000ms'
    >>> filled_influxql('"site" =~ /^($site)$/', {"site": Choice(everything=".*")}, Range(0, SECOND))
    '"site" =~ /^(.*)$/'
    """

    def formatted(choice: Choice) -> str:
        if not choice.multi:
            value = choice.values[0]
            return value if _NUMBER.match(value) or "/" not in query else escaped(value)
        return f"({'|'.join(map(escaped, choice.values))})"

    ms = span.interval_ms(least)
    text = _interpolated(query, {**choices, **_intervals(ms)}, formatted)
    window = f"time >= {span.start // MILLISECOND}ms and time <= {span.end // MILLISECOND}ms"
    return text.replace("$timeFilter", window)


def filled_sql(query: str, choices: Mapping[str, Choice], span: Range, least: str = "") -> str:
    """The query that PostgreSQL is asked. Raises ValueError for a macro that Grafana does not know.

    >>> filled_sql("SELECT 1 WHERE $__timeFilter(at)", {}, Range(0, SECOND))
    "SELECT 1 WHERE at BETWEEN '1970-01-01T00:00:00Z' AND '1970-01-01T00:00:01Z'"
    >>> filled_sql("code ~ '^(${site:regex})$'", {"site": Choice(["RD.1"])}, Range(0, SECOND))
    "code ~ '^(RD\\\\.1)$'"
    """
    text = _interpolated(query, {**choices, **_intervals(span.interval_ms(least))}, _quoted)
    return _MACRO.sub(lambda macro: _macro(macro[1], [part.strip() for part in macro[2].split(",")], span), text)


def _intervals(ms: int) -> dict[str, Choice]:
    return {"__interval": Choice([span_text(ms)], multi=False), "__interval_ms": Choice([str(ms)], multi=False)}


def _interpolated(text: str, choices: Mapping[str, Choice], formatted: Callable[[Choice], str]) -> str:
    def value(match: re.Match[str]) -> str:
        choice = choices.get(match[1] or match[2] or match[4])
        if choice is None:
            return match[0]
        if choice.everything is not None:
            return choice.everything
        if (match[1] or match[2] or match[4]).startswith("__"):
            return choice.values[0]
        form = match[3] or match[6]
        return _FORMATS[form](choice.values) if form else formatted(choice)

    return _VARIABLE.sub(value, text)


def _quoted(choice: Choice) -> str:
    """PostgreSQL's own: texts of a variable of which several may be chosen are quoted."""
    if choice.multi:
        return ",".join("'" + value.replace("'", "''") + "'" for value in choice.values)
    return choice.values[0].replace("'", "''")


def _regex(values: Sequence[str]) -> str:
    return escaped(values[0]) if len(values) == 1 else f"({'|'.join(map(escaped, values))})"


def _sqlstring(values: Sequence[str]) -> str:
    return ",".join("'" + value.replace("'", "''") + "'" for value in values)


_FORMATS: Mapping[str, Callable[[Sequence[str]], str]] = {"regex": _regex, "sqlstring": _sqlstring}


def _macro(name: str, given: list[str], span: Range) -> str:
    start, end = (_rfc3339(moment) for moment in (span.start, span.end))
    column = given[0]
    match name:
        case "__time":
            return f'{column} AS "time"'
        case "__timeFilter":
            return f"{column} BETWEEN '{start}' AND '{end}'"
        case "__timeFrom":
            return f"'{start}'"
        case "__timeTo":
            return f"'{end}'"
        case "__timeGroup" | "__timeGroupAlias":
            seconds = span_ms(given[1].strip("'")) / 1_000
            grouped = f"floor(extract(epoch from {column})/{seconds:g})*{seconds:g}"
            return f'{grouped} AS "time"' if name.endswith("Alias") else grouped
        case "__unixEpochFilter":
            return f"{column} >= {span.start // SECOND} AND {column} <= {span.end // SECOND}"
        case "__unixEpochNanoFilter":
            return f"{column} >= {span.start * 1_000} AND {column} <= {span.end * 1_000}"
        case "__unixEpochNanoFrom":
            return str(span.start * 1_000)
        case "__unixEpochNanoTo":
            return str(span.end * 1_000)
    raise ValueError(f"unknown macro {name}")


def _rfc3339(moment: int) -> str:
    at = datetime.fromtimestamp(moment / SECOND, UTC)
    digits = f".{at.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{at:%Y-%m-%dT%H:%M:%S}{digits}Z"
