"""How tickets are routed, as data: shifts, how many hear at once, what counts for whom, when night's news is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Literal

from alerts.duty import ShiftHours
from alerts.working_time import WorkCalendar
from core.clock import MINUTE, SHANGHAI, local, moment_of
from detectors.words import Severity

Period = Literal["day", "evening", "night", "day_off"]


@dataclass(frozen=True)
class DispatchPolicy:
    """How tickets are routed. Distances in metres, spans in µs.

    `evening_is_day`: the evening is routed like the day. `first_told`: how many of a team hear at once where neither
    life is at stake nor it is 紧急; the others follow a step later. `cascade`: how many teams further off (by night:
    stations) follow, a step each, of the `neighbours` nearest. `morning`: the local hour at which night's 预警 and 提示
    are told.

    Of a team whoever has the skill that `skills` names for the hazard comes first, then who is nearest: each ticket in
    hand counts like `load_metres`, a rest of less than `rest` since the last acceptance like `rest_metres`. A live
    position counts while it is fresher than `position_fresh` and no coarser than `position_accuracy`. `detour`: how
    much longer than the straight line a way is taken to be, where a routing service knows only some of the ways.
    """

    shifts: ShiftHours = field(default_factory=ShiftHours)
    evening_is_day: bool = True
    first_told: int = 3
    cascade: int = 2
    neighbours: int = 4
    morning: int = 8
    skills: Mapping[str, str] = field(default_factory=lambda: {"gas": "gas", "toxic": "gas"})
    load_metres: float = 1_000.0
    rest: int = 20 * MINUTE
    rest_metres: float = 2_000.0
    position_fresh: int = 30 * MINUTE
    position_accuracy: float = 500.0
    detour: float = 1.4


def period_at(at: int, policy: DispatchPolicy, calendar: WorkCalendar) -> Period:
    """The routing period of a moment: the night first, then days off, then evening or day."""
    shift = policy.shifts.shift_at(local(at).hour)
    if shift == "night":
        return "night"
    return shift if calendar.day(local(at).date()).worked else "day_off"


def due_at(severity: Severity, life_safety: bool, now: int, policy: DispatchPolicy, calendar: WorkCalendar) -> int:
    """When notices go out: now, or at the next morning for 预警 and 提示 at night where no life is at stake."""
    if life_safety or severity >= Severity.ALARM or period_at(now, policy, calendar) != "night":
        return now
    morning = datetime.combine(local(now).date(), time(policy.morning), SHANGHAI)
    return moment_of(morning if moment_of(morning) > now else morning + timedelta(days=1))
