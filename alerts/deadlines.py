"""By when a ticket must be accepted, reached and done, by severity; stored on the ticket with the rule used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from alerts.working_time import WorkCalendar
from core.clock import HOUR, MINUTE
from detectors.words import Severity


class Span(NamedTuple):
    """An amount on a clock.

    紧急工作时 "running" is µs day and night, 工作时 "hours" µs of working time, 工作日 "days" whole working days.
    """

    clock: Literal["running", "hours", "days"]
    amount: int

    def after(self, start: int, calendar: WorkCalendar) -> int:
        """The moment at which the span is used up when its clock starts at `start`."""
        if self.clock == "running":
            return start + self.amount
        worked = self.amount * calendar.day_span if self.clock == "days" else self.amount
        return calendar.after(start, worked)

    def __str__(self) -> str:
        if self.clock == "days":
            return f"{self.amount} working days"
        hours, rest = divmod(self.amount, HOUR)
        amount = f"{hours} h" if not rest else f"{self.amount // MINUTE} min"
        return f"{amount} working" if self.clock == "hours" else amount


class Limits(NamedTuple):
    """What one severity demands; None where it demands nothing."""

    done: Span
    accept: Span | None = None
    arrive: Span | None = None

    def __str__(self) -> str:
        named = ("accept", self.accept), ("on scene", self.arrive), ("done", self.done)
        return ", ".join(f"{name} {span}" for name, span in named if span)


DEFAULT_LIMITS: Mapping[Severity, Limits] = {
    Severity.CRITICAL: Limits(
        Span("running", 2 * HOUR), Span("running", 5 * MINUTE), arrive=Span("running", 30 * MINUTE)
    ),
    Severity.ALARM: Limits(Span("hours", 4 * HOUR), Span("running", 15 * MINUTE)),
    Severity.WARNING: Limits(Span("days", 1)),
    Severity.NOTICE: Limits(Span("days", 5)),
}


@dataclass(frozen=True)
class DeadlinePolicy:
    """The limits by severity under a name that is stored with every deadline."""

    name: str = "default-1"
    limits: Mapping[Severity, Limits] = field(default_factory=lambda: DEFAULT_LIMITS)


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
