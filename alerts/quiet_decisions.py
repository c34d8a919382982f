"""What holds an alert: shelves, silences and maintenance windows, else an alert that inhibits it. Pure.

A held alert is opened, shown and recorded; it has no ticket and no notice until its hold is over. Life-safety alerts
are held only by what was made to hold them, and never by inhibition.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from alerts.inhibition import Sources
from alerts.matching import Labels, Matcher, matches, stored_matchers
from alerts.words import Row
from core.clock import DAY, MINUTE
from detectors.schedule import LOCAL

QuietKind = Literal["shelf", "silence", "window"]
HoldKind = Literal["shelf", "silence", "window", "inhibited"]
_REASONS: Mapping[QuietKind, str] = {"shelf": "shelved", "silence": "silenced", "window": "maintenance_window"}
_MONDAY = 3 * DAY  # the epoch was a Thursday
_MINUTES_A_DAY = 24 * 60


class Weekly(NamedTuple):
    """Local hours on days of the week (1 is Monday): minutes of the day, [start, end).

    An end that is not after its start is the next day's: the hours belong to the day on which they begin.
    """

    days: frozenset[int]
    start: int
    end: int

    @property
    def span(self) -> int:
        """How long one occurrence lasts, µs."""
        return ((self.end - self.start - 1) % _MINUTES_A_DAY + 1) * MINUTE

    def until(self, now: int) -> int | None:
        """When the occurrence that holds at `now` ends, both µs UTC; None outside of the hours.

        >>> night = Weekly(frozenset({4}), 22 * 60, 6 * 60)  # Thursday 22:00 to Friday 06:00; the epoch: Thursday 08:00
        >>> [night.until(hour * 3_600_000_000) is not None for hour in (13, 14, 21, 22)]
        [False, True, True, False]
        """
        midnight = (now + LOCAL) // DAY * DAY - LOCAL
        for begun in (midnight, midnight - DAY):
            day = (begun + LOCAL + _MONDAY) // DAY % 7 + 1
            opens = begun + self.start * MINUTE
            if day in self.days and opens <= now < opens + self.span:
                return opens + self.span
        return None


class Quiet(NamedTuple):
    """A shelf, silence or window as it is stored; it holds in [starts_at, ends_at), of a window only at its hours."""

    id: int
    kind: QuietKind
    matchers: tuple[Matcher, ...]
    life_safety: bool
    starts_at: int
    ends_at: int
    weekly: Weekly | None = None
    one_shot: bool = False
    ended_at: int | None = None

    def until(self, now: int) -> int | None:
        """Until when it holds without a break, if it holds at `now`."""
        if self.ended_at is not None or not self.starts_at <= now < self.ends_at:
            return None
        if self.weekly is None:
            return self.ends_at
        until = self.weekly.until(now)
        return None if until is None else min(until, self.ends_at)


class Hold(NamedTuple):
    """What holds an alert: `by` is the quiet's or the inhibiting alert's id, `until` µs UTC where it is known."""

    kind: HoldKind
    by: int
    reason: str
    until: int | None


def decide_hold(
    labels: Labels, life_safety: bool, quiets: Sequence[Quiet], sources: Sources, now: int, number: int = 0
) -> Hold | None:
    """What holds the alert `number` now: of the quiets the one that holds it longest, else an inhibiting alert."""
    held = [
        Hold(quiet.kind, quiet.id, _REASONS[quiet.kind], until)
        for quiet in quiets
        if (quiet.life_safety or not life_safety)
        and (until := quiet.until(now)) is not None
        and matches(quiet.matchers, labels)
    ]
    if held:
        return max(held, key=lambda hold: (hold.until or 0, -hold.by))
    if life_safety:
        return None
    found = sources.inhibiting(labels, number)
    return Hold("inhibited", found[1], found[0], None) if found else None


def quiet_of(row: Row) -> Quiet:
    """A quiet of its row."""
    return Quiet(
        row["id"],
        row["kind"],
        stored_matchers(row["matchers"]),
        row["life_safety"],
        row["starts_at"],
        row["ends_at"],
        weekly_of(row["schedule"]),
        row["one_shot"],
        row["ended_at"],
    )


def weekly_of(schedule: Mapping[str, Any]) -> Weekly | None:
    """The weekly hours of {"days": [1…7], "from": "22:00", "to": "06:00"}; None of an empty one. Raises ValueError."""
    if not schedule:
        return None
    days = frozenset(day for day in schedule["days"] if isinstance(day, int))
    start, end = minutes_of(schedule["from"]), minutes_of(schedule["to"])
    if (
        len(days) < len({*schedule["days"]})
        or not days
        or not days <= frozenset(range(1, 8))
        or start in (_MINUTES_A_DAY, end)
    ):
        raise ValueError(f"no hours of the week: {schedule}")
    return Weekly(days, start, end)


def minutes_of(text: str) -> int:
    """Minutes of the day of "22:00"; "24:00" is the day's end. Raises ValueError.

    >>> minutes_of("06:30"), minutes_of("24:00")
    (390, 1440)
    """
    hours, minutes = (int(part) for part in str(text).split(":"))
    if not (0 <= hours <= 24 and 0 <= minutes < 60 and hours * 60 + minutes <= _MINUTES_A_DAY):
        raise ValueError(f"no time of the day: {text}")
    return hours * 60 + minutes
