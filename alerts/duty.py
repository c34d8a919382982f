"""Who is on duty: standing shifts, and roster rows that override them on the local days they touch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal, NamedTuple

from core.clock import SHANGHAI, local, moment_of

Shift = Literal["day", "evening", "night"]


@dataclass(frozen=True)
class ShiftHours:
    """When each shift works, as whole local hours [from, to); `between` takes the hours that no shift names.

    >>> ShiftHours().shift_at(7)
    'night'
    """

    day: tuple[int, int] = (8, 18)
    evening: tuple[int, int] = (18, 22)
    night: tuple[int, int] = (22, 6)
    between: Shift = "night"

    def shift_at(self, hour: int) -> Shift:
        """The shift that works at a local hour."""
        named: tuple[tuple[Shift, tuple[int, int]], ...] = (
            ("day", self.day),
            ("evening", self.evening),
            ("night", self.night),
        )
        return next((shift for shift, hours in named if _within(hour, hours)), self.between)


class DutySpan(NamedTuple):
    """One roster row, µs UTC, [starts_at, ends_at)."""

    starts_at: int
    ends_at: int


class DutyState(NamedTuple):
    """Whether somebody is on duty, and why: rostered, off_roster, standing_shift or other_shift."""

    on: bool
    reason: str


_ROSTERED, _OFF_ROSTER = DutyState(True, "rostered"), DutyState(False, "off_roster")
_STANDING, _OTHER = DutyState(True, "standing_shift"), DutyState(False, "other_shift")


class DutyMoment:
    """A moment (µs UTC) with its shift and local day, at which many are asked whether they are on duty.

    >>> DutyMoment(moment_of(datetime(2026, 9, 21, 10, tzinfo=SHANGHAI)), ShiftHours()).of("day")
    DutyState(on=True, reason='standing_shift')
    """

    def __init__(self, at: int, hours: ShiftHours) -> None:
        begins = datetime.combine(local(at).date(), time(), SHANGHAI)
        self.at = at
        self.shift = hours.shift_at(local(at).hour)
        self._begins, self._ends = moment_of(begins), moment_of(begins + timedelta(days=1))

    def of(self, shift: str, roster: Sequence[DutySpan] = ()) -> DutyState:
        """Whether somebody of a standing shift and with these roster rows is on duty."""
        if self.rostered(roster):
            return _ROSTERED if any(span.starts_at <= self.at < span.ends_at for span in roster) else _OFF_ROSTER
        return _STANDING if shift in ("all", self.shift) else _OTHER

    def rostered(self, roster: Sequence[DutySpan]) -> bool:
        """Whether any row touches the moment's local day."""
        return any(span.starts_at < self._ends and span.ends_at > self._begins for span in roster)


def _within(hour: int, hours: tuple[int, int]) -> bool:
    start, end = hours
    return start <= hour < end if start < end else hour >= start or hour < end
