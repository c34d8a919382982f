"""When in the week a rule judges: spans of local time as people write them, and as a table of minutes for kernels.

These are a regulation's hours (day 06–22 of a noise standard), not the shifts of the people.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.clock import DAY, HOUR, MINUTE

WEEK = 7 * 24 * 60
"""Minutes of a week, which begins on Monday at 00:00."""
LOCAL = 8 * HOUR
"""Local time is that far ahead of UTC, without summer time (since 1991)."""
_MONDAY = 3 * DAY  # the epoch was a Thursday
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPAN = re.compile(r"(?:(?P<days>[A-Z][a-z]{2}(?:[-,][A-Z][a-z]{2})*) )?(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)")


def minute_of_week(moment: int) -> int:
    """The local minute of the week of a moment (µs UTC), Monday 00:00 being 0.

    >>> minute_of_week(0) == 3 * 24 * 60 + 8 * 60  # Thursday, 08:00
    True
    """
    return (moment + LOCAL + _MONDAY) // MINUTE % WEEK


def week_of(spans: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which minutes of the week are open, shape (WEEK,). A span whose end is not after its begin crosses midnight.

    Raises ValueError that names the span.

    >>> week = week_of(["22:00-06:00"])
    >>> bool(week[22 * 60]), bool(week[5 * 60 + 59]), bool(week[6 * 60])
    (True, True, False)
    >>> int(week_of(["Sat,Sun 08:00-12:00"]).sum()) == 2 * 4 * 60
    True
    """
    week = np.zeros(WEEK, np.bool_)
    for span in spans:
        match = _SPAN.fullmatch(span)
        if match is None:
            raise ValueError(f"{span!r} is no span of the week: write 06:00-22:00 or Mon-Fri 22:00-06:00")
        begin, end = _minute(match["begin"], span), _minute(match["end"], span)
        length = (end - begin) % (24 * 60) or 24 * 60
        for day in _days(match["days"], span):
            week[(day * 24 * 60 + begin + np.arange(length)) % WEEK] = True
    return week


def is_open(spans: Sequence[str], moment: int) -> bool:
    """Whether a moment (µs UTC) lies within the spans; always without any.

    >>> is_open(["08:00-09:00"], 0), is_open(["09:00-10:00"], 0), is_open([], 0)
    (True, False, True)
    """
    return not spans or bool(_week(tuple(spans))[minute_of_week(moment)])


@lru_cache(maxsize=256)
def _week(spans: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    return week_of(spans)


def _minute(clock: str, span: str) -> int:
    hour, minute = int(clock[:2]), int(clock[3:])
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        raise ValueError(f"{span!r}: {clock} is no time of the day")
    return hour * 60 + minute


def _days(text: str | None, span: str) -> list[int]:
    if text is None:
        return list(range(7))
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{span!r}: the days are {', '.join(_DAYS)}")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        found += [day % 7 for day in range(begin, begin + (end - begin) % 7 + 1)]
    return found
