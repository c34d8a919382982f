"""All the policies of the desk in one value, with defaults that a town can override."""

from dataclasses import dataclass, field

from alerts.assignment import DispatchPolicy
from alerts.deadlines import DeadlinePolicy
from alerts.ticket_decisions import JoinPolicy
from alerts.working_time import WorkCalendar


@dataclass(frozen=True)
class DeskSettings:
    """How alerts are grouped, routed and timed."""

    joining: JoinPolicy = field(default_factory=JoinPolicy)
    dispatch: DispatchPolicy = field(default_factory=DispatchPolicy)
    deadlines: DeadlinePolicy = field(default_factory=DeadlinePolicy)
    calendar: WorkCalendar = field(default_factory=WorkCalendar)


DEFAULTS = DeskSettings()
