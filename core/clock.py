"""Time as an argument: the one place that reads the machine's clock.

All times are integers, microseconds since 1970-01-01 UTC, unless a name says otherwise.
"""

import time
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Tells the time; injected, so that a test or the demo can run at a scripted hour."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000


class ShiftedClock:
    """The machine's clock moved by a fixed span, so that a run can start at a scripted local time."""

    def __init__(self, shift: int) -> None:
        self.shift = shift

    @classmethod
    def starting_at(cls, moment: int) -> "ShiftedClock":
        """A clock that shows `moment` now and goes on from there."""
        return cls(moment - SystemClock().now())

    def now(self) -> int:
        return SystemClock().now() + self.shift


class ManualClock:
    """A clock that stands until it is moved; for tests."""

    def __init__(self, now: int = 1_790_000_000 * SECOND) -> None:
        self.value = now

    def now(self) -> int:
        return self.value

    def advance(self, span: int) -> int:
        """Move forward by `span` microseconds and return the new time."""
        self.value += span
        return self.value


def local(moment: int, zone: ZoneInfo = SHANGHAI) -> datetime:
    """The aware local datetime of a moment.

    >>> local(1_790_000_000 * SECOND).isoformat()
    '2026-09-21T22:13:20+08:00'
    """
    return datetime.fromtimestamp(moment / SECOND, UTC).astimezone(zone)


def moment_of(when: datetime) -> int:
    """The microseconds of an aware datetime; the inverse of `local`."""
    if when.tzinfo is None:
        raise ValueError("a datetime without a zone has no moment")
    return round(when.timestamp() * SECOND)
