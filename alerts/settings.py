"""All the policies of the desk in one value, with defaults that a town can override."""

from dataclasses import dataclass, field

from alerts.assignment import DispatchPolicy
from alerts.chattering import ChatterPolicy
from alerts.deadlines import DeadlinePolicy
from alerts.escalation import EscalationPolicy
from alerts.inhibition import INHIBITORS, Inhibitor
from alerts.still_bad_policy import StillBadPolicy
from alerts.storm_decisions import StormPolicy
from alerts.ticket_decisions import JoinPolicy
from alerts.working_time import WorkCalendar


@dataclass(frozen=True)
class DeskSettings:
    """How alerts are quieted, grouped, routed, timed and escalated.

    `quiet_hours` are those of whoever has none of their own, such as "22:00-06:00"; empty: none.
    """

    joining: JoinPolicy = field(default_factory=JoinPolicy)
    dispatch: DispatchPolicy = field(default_factory=DispatchPolicy)
    deadlines: DeadlinePolicy = field(default_factory=DeadlinePolicy)
    calendar: WorkCalendar = field(default_factory=WorkCalendar)
    escalation: EscalationPolicy = field(default_factory=EscalationPolicy)
    inhibitors: tuple[Inhibitor, ...] = INHIBITORS
    storm: StormPolicy = field(default_factory=StormPolicy)
    chattering: ChatterPolicy = field(default_factory=ChatterPolicy)
    still_bad: StillBadPolicy = field(default_factory=StillBadPolicy)
    quiet_hours: str = ""


DEFAULTS = DeskSettings()
