"""How many tickets a backtest's alerts would make, by the decision that makes the real ones, without a database.

What nobody can know of the past is how soon people would have come: a ticket is taken to live until the last of its
alerts is over, and to be closed then.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alerts.lifecycle import Status
from alerts.ticket_decisions import AlertFacts, JoinPolicy, TicketFacts, decide_ticket
from alerts.town_view import Place, TownView
from detectors.backtest_result import Episode, Result
from detectors.rule import Rule
from detectors.words import Subject

_FOR_EVER = 2**62


@dataclass
class _Desk:
    """The live tickets of one hazard; `ends` by id, µs. What ended decides nothing: a linked ticket is a new one."""

    policy: JoinPolicy
    tickets: list[TicketFacts] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    made: int = 0

    def place(self, episode: Episode, alert: AlertFacts) -> bool:
        """Put an alert on a ticket; whether that is a new one."""
        now = episode.told
        self.tickets = [each for each in self.tickets if self.ends[each.id] > now]
        decision = decide_ticket(alert, self.tickets, (), now, self.policy)
        end = _FOR_EVER if episode.end is None else episode.end
        if decision.action in ("join", "send_back") and decision.ticket is not None:
            self.ends[decision.ticket] = max(self.ends[decision.ticket], end)
            self.tickets = [
                each._replace(last_alert_at=now) if each.id == decision.ticket else each for each in self.tickets
            ]
            return False
        self.made += 1
        facts = (Status.REGISTERED, alert.site, alert.hazard, alert.lng, alert.lat, now)
        self.tickets.append(TicketFacts(self.made, *facts))
        self.ends[self.made] = end
        return True


def count_tickets(
    episodes: Sequence[Episode], rules: Mapping[str, Rule], town: TownView, policy: JoinPolicy | None = None
) -> Counter[str]:
    """The tickets that the paged episodes make together, by the site of each one's first alert ("" for none)."""
    joining = policy or JoinPolicy()
    desks: dict[str, _Desk] = defaultdict(lambda: _Desk(joining))
    made: Counter[str] = Counter()
    for episode in sorted((each for each in episodes if each.paged), key=lambda each: each.told):
        hazard = rules[episode.rule].hazard
        place = town.place(Subject("device", episode.device))
        if desks[hazard].place(episode, _facts(hazard, place)):
            made[place.site or episode.site] += 1
    return made


def with_tickets(result: Result, today: Counter[str], tried: Counter[str]) -> Result:
    """The result with both sides' tickets, in all and by site."""
    result.today.tickets, result.tried.tickets = today.total(), tried.total()
    for site, row in result.by_site.items():
        row.tickets_today, row.tickets_tried = today[site], tried[site]
    return result


def _facts(hazard: str, place: Place) -> AlertFacts:
    return AlertFacts(paged=True, site=place.site, road=place.road, hazard=hazard, lng=place.lng, lat=place.lat)
