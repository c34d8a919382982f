"""The `desk` section of the settings: how a town groups, routes, times and escalates, over the platform's defaults.

Spans are written as people say them: "90 s", "30 min", "2 h", "3 days", and on the town's working calendar "4 working
hours", "1 working day". What is not written stays as it is by default.
"""

import re
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, field_validator, model_validator

from alerts.chattering import ChatterPolicy
from alerts.deadlines import DeadlinePolicy, Limits, Span
from alerts.escalation import EscalationPolicy, Stage, Step, Steps, Whom
from alerts.inhibition import Inhibitor
from alerts.matching import LABELS, Matcher, Operator, matcher
from alerts.quiet_hours import parse_quiet_hours
from alerts.settings import DEFAULTS, DeskSettings
from alerts.still_bad_policy import StillBadPolicy
from alerts.storm_decisions import StormPolicy
from alerts.working_time import WorkCalendar
from core.clock import DAY, HOUR, MINUTE, SECOND
from detectors.words import Severity

_SPAN = re.compile(r"(\d+(?:\.\d+)?) *(working )?(s|min|h|hours?|days?)")
_OWN = "town"
"""What a policy is called that the town wrote without a name."""
_MOST_DAYS = 1000  # working time so far ahead may lie behind the last day that a calendar has
_UNITS = {"s": SECOND, "min": MINUTE, "h": HOUR, "hour": HOUR, "hours": HOUR, "day": DAY, "days": DAY}


def span_of(text: object) -> Span:
    """A span as people say it. Raises ValueError.

    >>> span_of("4 working hours"), span_of("1 working day"), span_of("3 days"), span_of("90 s")
    (Span(clock='hours', amount=14400000000), Span(clock='days', amount=1), Span(clock='natural', amount=3), \
Span(clock='running', amount=90000000))
    """
    found = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        raise ValueError('要写成如 "30 min"、"1 working day" · must be a span such as "4 working hours" or "3 days"')
    number, working, unit = float(found[1]), bool(found[2]), found[3]
    if number * _UNITS[unit] > _MOST_DAYS * DAY:
        raise ValueError(f"最多 {_MOST_DAYS} 天 · must be at most {_MOST_DAYS} days")
    if unit.startswith("day"):
        if number != int(number):
            raise ValueError("要写整天数 · must be whole days")
        return Span("days" if working else "natural", int(number))
    if working and unit == "s":
        raise ValueError("工作时间要用 min、hours 或 days · must be minutes, hours or days of working time")
    return Span("hours" if working else "running", round(number * _UNITS[unit]))


def micros_of(text: object) -> int:
    """A span of the ordinary clock, µs. Raises ValueError.

    >>> micros_of("5 min")
    300000000
    """
    found = span_of(text)
    if found.clock in ("hours", "days"):
        raise ValueError('要用自然时间，如 "30 min" · must be a span of the ordinary clock')
    return found.amount * DAY if found.clock == "natural" else found.amount


def _said(amount: int) -> str:
    return next(
        f"{amount // unit} {name}"
        for name, unit in (("h", HOUR), ("min", MINUTE), ("s", SECOND), ("µs", 1))
        if not amount % unit
    )


def _say(span: Span) -> str:
    days = "s" if span.amount != 1 else ""
    match span.clock:
        case "days":
            return f"{span.amount} working day{days}"
        case "natural":
            return f"{span.amount} day{days}"
    number, unit = _said(span.amount).split()
    return f"{number} working {'hours' if unit == 'h' else unit}" if span.clock == "hours" else f"{number} {unit}"


Clocked = Annotated[Span, PlainValidator(span_of), PlainSerializer(_say, str)]
Micros = Annotated[int, PlainValidator(micros_of), PlainSerializer(_said, str)]
_Hour = Annotated[int, Field(ge=0, le=24)]
Hours = Annotated[tuple[_Hour, _Hour], Field(description="local hours [from, to)")]


class _Part(BaseModel):
    """What is None is not written and stays as by default."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """What is written, by the policy's own names."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class JoiningSection(_Part):
    """When alerts share a ticket: metres around it, since its last alert; how long after closing one is linked."""

    radius: float | None = Field(default=None, ge=0)
    road_radius: float | None = Field(default=None, ge=0)
    window: Micros | None = None
    linked_within: Micros | None = None


class ShiftsSection(_Part):
    """When each shift works, as local hours [from, to); `between` takes the hours that no shift names."""

    day: Hours | None = None
    evening: Hours | None = None
    night: Hours | None = None
    between: Literal["day", "evening", "night"] | None = None


class DispatchSection(_Part):
    """How tickets are routed; distances in metres, named as in `alerts.dispatch_policy.DispatchPolicy`."""

    shifts: ShiftsSection = ShiftsSection()
    evening_is_day: bool | None = None
    first_told: int | None = Field(default=None, ge=1)
    cascade: int | None = Field(default=None, ge=0)
    neighbours: int | None = Field(default=None, ge=0)
    morning: int | None = Field(default=None, ge=0, le=23)
    skills: dict[str, str] | None = None
    load_metres: float | None = Field(default=None, ge=0)
    rest: Micros | None = None
    rest_metres: float | None = Field(default=None, ge=0)
    position_fresh: Micros | None = None
    position_accuracy: float | None = Field(default=None, gt=0)
    detour: float | None = Field(default=None, ge=1)


class LimitsSection(_Part):
    """By when tickets of a severity must be accepted, reached, done, checked and, at the desk, sent on."""

    done: Clocked | None = None
    accept: Clocked | None = None
    arrive: Clocked | None = None
    desk: Clocked | None = None
    check: Clocked | None = None


class DeadlinesSection(_Part):
    """The limits by severity, under a name that is stored with every deadline."""

    name: str | None = Field(default=None, min_length=1, max_length=40)
    critical: LimitsSection = LimitsSection()
    alarm: LimitsSection = LimitsSection()
    warning: LimitsSection = LimitsSection()
    notice: LimitsSection = LimitsSection()
    reply: Clocked | None = None
    longest_suspension: Micros | None = None


class CalendarSection(_Part):
    """Working hours as whole local hours, and days that are worked or not whatever the calendar says."""

    opens: int | None = Field(default=None, ge=0, le=22)
    closes: int | None = Field(default=None, ge=1, le=23)
    overrides: dict[date, bool] | None = None

    @model_validator(mode="after")
    def _opens_first(self) -> "CalendarSection":
        self.policy()
        return self

    def policy(self) -> WorkCalendar:
        """The calendar."""
        return replace(DEFAULTS.calendar, **self.given())


class StepSection(_Part):
    """One step: whom to tell when so much time has passed since the stage's start or its deadline."""

    after: Clocked
    tell: list[Whom] = Field(min_length=1)
    since: Literal["start", "deadline"] = "start"
    widen: int = Field(default=0, ge=0, le=20)
    repeat: Clocked | None = None

    def step(self) -> Step:
        """The step of the policy."""
        return Step(self.after, tuple(self.tell), self.since, self.widen, self.repeat)


def _fault(step: StepSection, before: StepSection | None, last: bool) -> str:
    """What is wrong with a step behind another."""
    if step.repeat and not last:
        return "only the last step of a stage may repeat"
    if step.repeat and step.repeat.clock in ("running", "hours") and step.repeat.amount < MINUTE:
        return "must not repeat more often than once a minute"
    same = before and (before.since, before.after.clock) == (step.since, step.after.clock)
    return "must come later than the step before" if before and same and step.after <= before.after else ""


_Stages = dict[Stage, list[StepSection]]


class EscalationSection(_Part):
    """The steps by severity and stage; a stage that is written has these steps and no others."""

    name: str | None = Field(default=None, min_length=1, max_length=40)
    critical: _Stages = {}
    alarm: _Stages = {}
    warning: _Stages = {}
    notice: _Stages = {}

    @model_validator(mode="after")
    def _sound(self) -> "EscalationSection":
        for level in list(Severity)[1:]:
            for stage, steps in getattr(self, level.name.lower()).items():
                for place, each in enumerate(steps):
                    if problem := _fault(each, steps[place - 1] if place else None, place == len(steps) - 1):
                        raise ValueError(f"{level.name.lower()}.{stage}, step {place + 1}: {problem}")
        return self

    def policy(self) -> EscalationPolicy:
        """The policy; what is written goes over the platform's own steps."""
        default = DEFAULTS.escalation
        steps = {level: self._of(level, own) for level, own in default.steps.items()}
        return EscalationPolicy(self.name or (_OWN if steps != default.steps else default.name), steps)

    def _of(self, level: Severity, own: Steps) -> Steps:
        written: _Stages = getattr(self, level.name.lower())
        return {**own, **{stage: tuple(each.step() for each in steps) for stage, steps in written.items()}}


class StormSection(_Part):
    """So many sites with new alerts of one hazard within `window` are a storm, over after `quiet` without."""

    sites: int | None = Field(default=None, ge=2)
    window: Micros | None = None
    quiet: Micros | None = None


class ChatteringSection(_Part):
    """So many `openings` of one rule on one subject within `within` are chattering, over after `quiet` without."""

    openings: int | None = Field(default=None, ge=2)
    within: Micros | None = None
    quiet: Micros | None = None
    told_again: Micros | None = None


class StillBadSection(_Part):
    """After how long an alert is raised again whose ticket was ended as false or void while it still stands."""

    life_safety: Micros | None = Field(default=None, ge=MINUTE)
    others: Micros | None = Field(default=None, ge=MINUTE)


class MatcherSection(_Part):
    """One condition on one label of an alert; several values with "in"."""

    label: str
    op: Operator = "="
    value: str | list[str]

    @field_validator("label")
    @classmethod
    def _is_known(cls, label: str) -> str:
        if label not in LABELS:
            raise ValueError(f"可选 {', '.join(LABELS)} · must be one of these")
        return label

    @model_validator(mode="after")
    def _has_values(self) -> "MatcherSection":
        if isinstance(self.value, list) and (self.op != "in" or not self.value):
            raise ValueError('多个值要用 in，且至少一个 · several values need "in", and at least one value')
        return self

    def matcher(self) -> Matcher:
        """The condition."""
        return matcher(self.label, self.op, *([self.value] if isinstance(self.value, str) else self.value))


class InhibitorSection(_Part):
    """While an alert that `source` matches is open, those of `target` whose `equal` labels are the same are held."""

    name: str = Field(min_length=1, max_length=40)
    source: list[MatcherSection] = Field(min_length=1)
    target: list[MatcherSection] = Field(min_length=1)
    equal: list[str] = Field(min_length=1)

    @field_validator("equal")
    @classmethod
    def _are_known(cls, labels: list[str]) -> list[str]:
        if unknown := [label for label in labels if label not in LABELS]:
            raise ValueError(f"没有这个标签 · there is no label {', '.join(unknown)}")
        return labels

    def inhibitor(self) -> Inhibitor:
        """The inhibitor."""
        source, target = (tuple(each.matcher() for each in side) for side in (self.source, self.target))
        return Inhibitor(self.name, source, target, tuple(self.equal))


class DeskSection(_Part):
    """All policies of the desk; `quiet_hours` are those of whoever has none of their own.

    `inhibitors`, when they are written, take the place of the platform's own.
    """

    joining: JoiningSection = JoiningSection()
    dispatch: DispatchSection = DispatchSection()
    deadlines: DeadlinesSection = DeadlinesSection()
    calendar: CalendarSection = CalendarSection()
    escalation: EscalationSection = EscalationSection()
    storm: StormSection = StormSection()
    chattering: ChatteringSection = ChatteringSection()
    still_bad: StillBadSection = StillBadSection()
    quiet_hours: str = ""
    inhibitors: list[InhibitorSection] | None = None

    @field_validator("quiet_hours")
    @classmethod
    def _are_hours(cls, value: str) -> str:
        parse_quiet_hours(value)
        return value

    def policies(self) -> DeskSettings:
        """The desk's settings as the platform works with them."""
        dispatch = self.dispatch.given() | {"shifts": replace(DEFAULTS.dispatch.shifts, **self.dispatch.shifts.given())}
        return replace(
            DEFAULTS,
            joining=replace(DEFAULTS.joining, **self.joining.given()),
            dispatch=replace(DEFAULTS.dispatch, **dispatch),
            deadlines=_deadlines(self.deadlines),
            calendar=self.calendar.policy(),
            escalation=self.escalation.policy(),
            storm=StormPolicy(**self.storm.given()),
            chattering=ChatterPolicy(**self.chattering.given()),
            still_bad=StillBadPolicy(**self.still_bad.given()),
            quiet_hours=self.quiet_hours,
            inhibitors=self._inhibitors(),
        )

    def _inhibitors(self) -> tuple[Inhibitor, ...]:
        own = self.inhibitors
        return DEFAULTS.inhibitors if own is None else tuple(each.inhibitor() for each in own)


def _deadlines(section: DeadlinesSection) -> DeadlinePolicy:
    own = DEFAULTS.deadlines
    limits: dict[Severity, Limits] = {
        level: limits._replace(**getattr(section, level.name.lower()).given()) for level, limits in own.limits.items()
    }
    more = {name: value for name, value in section.given().items() if name in ("name", "reply", "longest_suspension")}
    name = own.name if limits == own.limits else _OWN
    return replace(own, **({"name": name, "limits": limits} | more))
