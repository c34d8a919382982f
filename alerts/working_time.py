"""Working days and hours in the town's local time, with the State Council's holidays and shifted workdays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

import chinese_calendar

from core.clock import SHANGHAI, local, moment_of

Source = Literal["override", "state_council", "weekends_only"]


class DayKind(NamedTuple):
    """Whether a local day is worked, and how that is known; "weekends_only" where no calendar was published yet."""

    worked: bool
    source: Source


@dataclass(frozen=True)
class WorkCalendar:
    """Which days are worked, and from when to when.

    `overrides` (local day → worked) come first, then chinesecalendar, then plain weekends for the years that it does
    not know. Hours are whole local hours.
    """

    opens: int = 8
    closes: int = 18
    overrides: Mapping[date, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= 23:
            raise ValueError("a working day opens before it closes, both from 0 to 23")

    def day(self, when: date) -> DayKind:
        """What kind of day a local date is.

        >>> WorkCalendar().day(date(2026, 10, 10))  # a Saturday that makes up for the National Day holiday
        DayKind(worked=True, source='state_council')
        >>> WorkCalendar().day(date(2090, 1, 2))
        DayKind(worked=True, source='weekends_only')
        """
        if when in self.overrides:
            return DayKind(self.overrides[when], "override")
        try:
            return DayKind(chinese_calendar.is_workday(when), "state_council")
        except NotImplementedError:
            return DayKind(when.weekday() < 5, "weekends_only")

    def knows(self, year: int) -> bool:
        """Whether a year's holidays are known, from the State Council or as the town wrote some.

        >>> WorkCalendar().knows(2026), WorkCalendar().knows(2090)
        (True, False)
        """
        named = any(when.year == year for when in self.overrides)
        return named or self.day(date(year, 1, 1)).source == "state_council"

    @property
    def day_span(self) -> int:
        """The working time of one working day, µs."""
        return (self.closes - self.opens) * 3_600_000_000

    def spans(self, start: int) -> Iterator[tuple[int, int]]:
        """The worked spans (µs UTC) that end after `start`, in order, the first one cut at `start`. Endless."""
        when = local(start).date()
        while True:
            if self.day(when).worked:
                opens, closes = _at(when, self.opens), _at(when, self.closes)
                if closes > start:
                    yield max(opens, start), closes
            when += timedelta(days=1)

    def after(self, start: int, worked: int) -> int:
        """The moment by which `worked` µs of working time have passed since `start`.

        Always inside working hours, their first and last instant included.
        """
        left = worked
        for opens, closes in self.spans(start):
            if left <= closes - opens:
                return opens + left
            left -= closes - opens
        raise AssertionError("the calendar is endless")

    def between(self, start: int, end: int) -> int:
        """The working time from `start` to `end`, µs; the inverse of `after`."""
        total = 0
        for opens, closes in self.spans(start):
            if opens >= end:
                return total
            total += min(closes, end) - opens
        raise AssertionError("the calendar is endless")


def _at(when: date, hour: int) -> int:
    return moment_of(datetime.combine(when, time(hour), SHANGHAI))
