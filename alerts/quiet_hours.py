"""Quiet hours: the local hours in which a person hears only of what is critical or a matter of life and death."""

import re
from datetime import datetime, time, timedelta

from core.clock import SHANGHAI, local, moment_of

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class QuietHoursError(ValueError):
    """Hours that are not written as "22:00-06:00"."""


def parse_quiet_hours(text: str) -> tuple[time, time] | None:
    """From and to, local; None for an empty text. Raises QuietHoursError.

    >>> parse_quiet_hours("22:00-06:30")
    (datetime.time(22, 0), datetime.time(6, 30))
    """
    if not text:
        return None
    found = _HOURS.fullmatch(text)
    if found is None or found.groups()[:2] == found.groups()[2:]:
        raise QuietHoursError(f"{text!r} are no hours such as 22:00-06:00")
    first, last, until, end = (int(part) for part in found.groups())
    return time(first, last), time(until, end)


def readable(text: str) -> str:
    """The hours if they can be read, else none: nobody goes untold for a slip of the pen."""
    try:
        return text if parse_quiet_hours(text) else ""
    except QuietHoursError:
        return ""


def quiet_until(text: str, now: int) -> int:
    """The end (µs UTC) of the quiet hours in which `now` lies; `now` itself outside of them.

    Hours may cross midnight; the end is not quiet any more.

    >>> quiet_until("22:00-06:00", moment_of(datetime(2026, 9, 21, 23, tzinfo=SHANGHAI))) == moment_of(
    ...     datetime(2026, 9, 22, 6, tzinfo=SHANGHAI))
    True
    """
    hours = parse_quiet_hours(text)
    if hours is None:
        return now
    start, end = hours
    here = local(now)
    for day in (here.date() - timedelta(days=1), here.date()):
        last = day if start < end else day + timedelta(days=1)
        began = moment_of(datetime.combine(day, start, SHANGHAI))
        over = moment_of(datetime.combine(last, end, SHANGHAI))
        if began <= now < over:
            return over
    return now


def send_at(text: str, due_at: int, severity_is_critical: bool, life_safety: bool) -> int:
    """When a notice that is due at `due_at` goes out to somebody with these quiet hours."""
    return due_at if severity_is_critical or life_safety else quiet_until(text, due_at)
