"""All that decides who a ticket goes to, gathered before anything is decided."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from alerts.dispatch_policy import DispatchPolicy
from alerts.distances import Routes
from alerts.responders import Responder
from alerts.town_view import Contact, Station, Team
from alerts.working_time import WorkCalendar
from detectors.words import Severity
from devices.geometry import Position


@dataclass(frozen=True)
class StationFacts:
    """A station, its officers and its own (group) contacts."""

    station: Station
    officers: Sequence[Responder] = ()
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True)
class TeamFacts:
    """A grid's patrol, its people, its own (group) contacts, and the middle of its grid."""

    team: Team
    people: Sequence[Responder]
    contacts: tuple[Contact, ...] = ()
    middle: Position | None = None


@dataclass(frozen=True)
class AssignmentFacts:
    """All that decides. `grid` is None outside every grid; `team` and `station` fix the dispatcher's own choice.

    `teams` are the containing grid's and those nearest to it; `routes` what a routing service said of ways to the site.
    `whole_town` is an incident at many sites: the desk, the leaders and every station. `site_team` and `site_station`
    are those that the site names for itself.
    """

    severity: Severity
    road: bool
    grid: str | None
    lng: float | None
    lat: float | None
    teams: Sequence[TeamFacts]
    stations: Sequence[StationFacts]
    leaders: Sequence[Responder]
    dispatchers: Sequence[Responder]
    policy: DispatchPolicy = field(default_factory=DispatchPolicy)
    calendar: WorkCalendar = field(default_factory=WorkCalendar)
    team: str | None = None
    station: str | None = None
    life_safety: bool = False
    hazard: str = ""
    routes: Routes = field(default_factory=dict)
    whole_town: bool = False
    site_team: str | None = None
    site_station: str | None = None

    @property
    def place(self) -> Position | None:
        """The position, where it has one."""
        return None if self.lng is None or self.lat is None else (self.lng, self.lat)

    @property
    def placed(self) -> bool:
        """Whether it is anywhere in the town: a fault of the platform itself is not."""
        return self.grid is not None or self.place is not None

    @property
    def by_hand(self) -> bool:
        """Whether the dispatcher has chosen."""
        return bool(self.team or self.station)

    @property
    def everybody_at_once(self) -> bool:
        """Whether all who are on duty hear at once."""
        return self.life_safety or self.severity >= Severity.CRITICAL
