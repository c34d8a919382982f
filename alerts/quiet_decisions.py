"""What holds an alert: shelves, silences, maintenance windows and inhibition by topology. Pure.

A held alert is opened, shown and recorded; it has no ticket and no notice until its hold is over. Life-safety alerts
are held only by what was made to hold them, and never by inhibition.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from alerts.matching import Labels, Matcher, matcher, matches, stored_matchers
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


class Inhibitor(NamedTuple):
    """While an alert that `source` matches is open, those that `target` matches and whose `equal` labels are the
    same are held."""

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


class Source(NamedTuple):
    """An open alert that may inhibit others; `held_by` is the alert that inhibits it itself."""

    id: int
    labels: Labels
    held_by: int | None = None


class Hold(NamedTuple):
    """What holds an alert: `by` is the quiet's or the inhibiting alert's id, `until` µs UTC where it is known."""

    kind: HoldKind
    by: int
    reason: str
    until: int | None


INHIBITORS: tuple[Inhibitor, ...] = (
    Inhibitor(
        "gateway_offline",
        (matcher("subject_kind", "=", "gateway"), matcher("kind", "=", "gateway")),
        (matcher("subject_kind", "=", "device"), matcher("kind", "in", "silence", "frozen")),
        ("gateway",),
    ),
    Inhibitor(
        "site_power_lost",
        (matcher("hazard", "=", "power"), matcher("subject_kind", "in", "site", "device")),
        (matcher("subject_kind", "=", "device"), matcher("hazard", "!=", "power")),
        ("site",),
    ),
)
"""A dead gateway inhibits the silence of its devices, a site without power what its devices say."""


class Sources:
    """The open alerts that may inhibit others, found by inhibitor and equal labels without going through them all."""

    def __init__(self, inhibitors: Sequence[Inhibitor], sources: Iterable[Source] = ()) -> None:
        self._inhibitors = inhibitors
        self._known: dict[int, Source] = {}
        self._by: dict[tuple[str, tuple[str, ...]], set[int]] = {}
        for each in sources:
            self.add(each)

    def add(self, source: Source) -> None:
        """A source that opened, or whose hold changed."""
        self._known[source.id] = source
        for key in self._keys(source.labels):
            self._by.setdefault(key, set()).add(source.id)

    def drop(self, number: int) -> None:
        """A source that closed."""
        if source := self._known.pop(number, None):
            for key in self._keys(source.labels):
                self._by[key].discard(number)

    def inhibiting(self, labels: Labels, number: int) -> tuple[str, int] | None:
        """The inhibitor's name and the oldest source that holds the alert `number`; None when nothing does.

        What could be a source of an inhibitor is no target of it, and nothing is held by what it holds itself.
        """
        for inhibitor in self._inhibitors:
            if not matches(inhibitor.target, labels) or matches(inhibitor.source, labels):
                continue
            key = _key(inhibitor, labels)
            for source in sorted(self._by.get(key, ())) if key else ():
                if number not in self._chain(source):
                    return inhibitor.name, source
        return None

    def _chain(self, number: int) -> set[int]:
        """A source, what inhibits it, what inhibits that."""
        chain: set[int] = set()
        held_by: int | None = number
        while held_by is not None and held_by not in chain:
            chain.add(held_by)
            found = self._known.get(held_by)
            held_by = found.held_by if found else None
        return chain

    def _keys(self, labels: Labels) -> Iterator[tuple[str, tuple[str, ...]]]:
        for inhibitor in self._inhibitors:
            if matches(inhibitor.source, labels) and (key := _key(inhibitor, labels)):
                yield key


def _key(inhibitor: Inhibitor, labels: Labels) -> tuple[str, tuple[str, ...]] | None:
    """Nothing without one of the equal labels: missing on both sides is not the same."""
    values = tuple(labels.get(name, "") for name in inhibitor.equal)
    return (inhibitor.name, values) if all(values) else None


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


def may_be_source(inhibitors: Sequence[Inhibitor], labels: Labels) -> bool:
    """Whether alerts with these labels, the others being unknown, could inhibit others."""
    return any(
        all(each.label not in labels or each.holds(labels) for each in inhibitor.source) for inhibitor in inhibitors
    )


def may_be_target(inhibitors: Sequence[Inhibitor], labels: Labels) -> bool:
    """Whether an alert is one that others could inhibit."""
    return any(matches(inhibitor.target, labels) for inhibitor in inhibitors)


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
    days = frozenset(int(day) for day in schedule["days"])
    start, end = minutes_of(schedule["from"]), minutes_of(schedule["to"])
    if not days or not days <= frozenset(range(1, 8)) or start in (_MINUTES_A_DAY, end):
        raise ValueError(f"no hours of the week: {schedule}")
    return Weekly(days, start, end)


def minutes_of(text: str) -> int:
    """Minutes of the day of "22:00"; "24:00" is the day's end. Raises ValueError.

    >>> minutes_of("06:30"), minutes_of("24:00")
    (390, 1440)
    """
    hours, minutes = (int(part) for part in text.split(":"))
    if not (0 <= hours <= 24 and 0 <= minutes < 60 and hours * 60 + minutes <= _MINUTES_A_DAY):
        raise ValueError(f"no time of the day: {text}")
    return hours * 60 + minutes
