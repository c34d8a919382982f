"""When a drill takes place by itself: on days of the week at a local time."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from core.clock import SHANGHAI, local, moment_of

_AT = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class DrillSchedule(NamedTuple):
    """`days` of the week, 1 Monday to 7 Sunday, at a local time such as "10:00"; without days only by hand.

    One that `wakes` says so itself: it is told as 紧急 is, through quiet hours and by channels that ring.
    """

    days: tuple[int, ...] = ()
    at: str = "10:00"
    wakes: bool = False

    @property
    def well_formed(self) -> bool:
        """Whether days and time are ones."""
        return bool(_AT.fullmatch(self.at)) and set(self.days) <= set(range(1, 8))

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {"days": sorted(set(self.days)), "at": self.at, "wakes": self.wakes}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "DrillSchedule":
        """The inverse of `as_json`; of `{}` one by hand."""
        days: Sequence[int] = stored.get("days", ())
        return cls(tuple(days), stored.get("at", "10:00"), bool(stored.get("wakes", False)))

    def next_at(self, after: int) -> int | None:
        """The first time after a moment (µs UTC); None for one by hand.

        >>> monday = moment_of(datetime(2026, 9, 21, 10, tzinfo=SHANGHAI))
        >>> local(DrillSchedule((1,), "10:00").next_at(monday)).isoformat()
        '2026-09-28T10:00:00+08:00'
        """
        if not self.days:
            return None
        here = local(after).date()
        days = (here + timedelta(days=ahead) for ahead in range(8))
        at = time.fromisoformat(self.at)
        times = (moment_of(datetime.combine(day, at, SHANGHAI)) for day in days if day.isoweekday() in self.days)
        return min(each for each in times if each > after)
