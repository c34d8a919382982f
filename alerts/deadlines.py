"""By when each stage of a ticket must be over, by severity, on four clocks; stored with the rule used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from alerts.working_time import WorkCalendar
from core.clock import DAY, HOUR, MINUTE
from detectors.words import Severity

Clock = Literal["running", "hours", "days", "natural"]
"""紧急工作时, 工作时, 工作日, 自然日."""


class Span(NamedTuple):
    """An amount on a clock.

    紧急工作时 "running" is µs day and night, 工作时 "hours" µs of working time, 工作日 "days" whole working days,
    自然日 "natural" whole days of any kind, to the same time of day.
    """

    clock: Clock
    amount: int

    def after(self, start: int, calendar: WorkCalendar) -> int:
        """The moment at which the span is used up when its clock starts at `start`."""
        if self.clock == "days":
            return later("days", start, self.amount * calendar.day_span, calendar)
        return later(self.clock, start, self.amount * (DAY if self.clock == "natural" else 1), calendar)

    def __str__(self) -> str:
        if self.clock == "days":
            return f"{self.amount} working days"
        if self.clock == "natural":
            return f"{self.amount} days"
        hours, rest = divmod(self.amount, HOUR)
        amount = f"{hours} h" if not rest else f"{self.amount // MINUTE} min"
        return f"{amount} working" if self.clock == "hours" else amount


def later(clock: Clock, start: int, span: int, calendar: WorkCalendar) -> int:
    """The moment at which a clock that stands at `start` has run for `span` µs.

    >>> later("running", 5, 10, WorkCalendar())
    15
    """
    return calendar.after(start, span) if clock in ("hours", "days") else start + span


def passed(clock: Clock, start: int, end: int, calendar: WorkCalendar) -> int:
    """How long a clock ran from `start` to `end`, µs; the inverse of `later`."""
    return calendar.between(start, end) if clock in ("hours", "days") else end - start


class Limits(NamedTuple):
    """What one severity demands; None where it demands nothing.

    `desk` is for each of verifying, registering and assigning, `check` for checking and closing.
    """

    done: Span
    accept: Span | None = None
    arrive: Span | None = None
    desk: Span | None = None
    check: Span | None = None

    def of(self, stage: str) -> Span | None:
        """The limit of a stage of a ticket's timers."""
        spans = {"accept": self.accept, "arrive": self.arrive, "handle": self.done, "check": self.check}
        return spans.get(stage, self.desk)

    def __str__(self) -> str:
        named = ("accept", self.accept), ("on scene", self.arrive), ("done", self.done)
        return ", ".join(f"{name} {span}" for name, span in named if span)


DEFAULT_LIMITS: Mapping[Severity, Limits] = {
    Severity.CRITICAL: Limits(
        Span("running", 2 * HOUR),
        Span("running", 5 * MINUTE),
        arrive=Span("running", 30 * MINUTE),
        desk=Span("running", 5 * MINUTE),
        check=Span("running", 2 * HOUR),
    ),
    Severity.ALARM: Limits(
        Span("hours", 4 * HOUR),
        Span("running", 15 * MINUTE),
        desk=Span("running", 15 * MINUTE),
        check=Span("hours", 4 * HOUR),
    ),
    Severity.WARNING: Limits(Span("days", 1), desk=Span("hours", 2 * HOUR), check=Span("days", 1)),
    Severity.NOTICE: Limits(Span("days", 5), desk=Span("hours", 4 * HOUR), check=Span("days", 2)),
}
MOST_EXTENSIONS = 2
_REPLY = Span("hours", 4 * HOUR)


@dataclass(frozen=True)
class DeadlinePolicy:
    """The limits by severity under a name that is stored with every deadline.

    `reply` is until when a supervision wants its answer that names no time; `longest_suspension` µs from its start.
    """

    name: str = "default-1"
    limits: Mapping[Severity, Limits] = field(default_factory=lambda: DEFAULT_LIMITS)
    reply: Span = _REPLY
    longest_suspension: int = 180 * DAY

    def as_json(self) -> dict[str, dict[str, list[str | int]]]:
        """The limits to keep on a ticket, by severity and stage: [clock, amount]."""
        stages = ("accept", "arrive", "handle", "check", "assign")
        found = {level: {stage: limits.of(stage) for stage in stages} for level, limits in self.limits.items()}
        return {
            level.name.lower(): {stage: [*span] for stage, span in spans.items() if span}
            for level, spans in found.items()
        }


class Deadlines(NamedTuple):
    """Moments in µs UTC, and the rule that gave them."""

    accept_by: int | None
    arrive_by: int | None
    done_by: int
    rule: str

    def tightened(self, before: "Deadlines") -> "Deadlines":
        """These, but none later than it was `before`: a rise never gives more time."""
        return Deadlines(
            _earlier(self.accept_by, before.accept_by),
            _earlier(self.arrive_by, before.arrive_by),
            min(self.done_by, before.done_by),
            self.rule,
        )


def deadlines(severity: int, start: int, policy: DeadlinePolicy, calendar: WorkCalendar) -> Deadlines:
    """The deadlines of a ticket of `severity` whose clocks start at `start` (µs UTC).

    >>> str(deadlines(4, 1_790_000_000_000_000, DeadlinePolicy(), WorkCalendar()).rule)
    'default-1 critical: accept 5 min, on scene 30 min, done 2 h'
    """
    level = Severity(severity)
    limits = policy.limits[level]
    return Deadlines(
        limits.accept.after(start, calendar) if limits.accept else None,
        limits.arrive.after(start, calendar) if limits.arrive else None,
        limits.done.after(start, calendar),
        f"{policy.name} {level.name.lower()}: {limits}",
    )


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
