"""Which ticket an alert belongs to, and what a ticket does when its alerts are over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from alerts.lifecycle import UNACCEPTED, UNREGISTERED, WORKED_OFF
from core.clock import HOUR, MINUTE
from detectors.words import Severity
from devices.geometry import distance_m

TicketAction = Literal["create", "join", "send_back", "link", "none"]
RecoveryAction = Literal["none", "recovered", "self_recover"]


@dataclass(frozen=True)
class JoinPolicy:
    """When alerts share a ticket: metres around it, and µs since its last alert; µs after closing for a link."""

    radius: float = 150.0
    road_radius: float = 300.0
    window: int = 30 * MINUTE
    linked_within: int = 24 * HOUR


class AlertFacts(NamedTuple):
    """What of an alert decides. `ticket` is the one that it had before it was closed and opened again.

    `members` are the tickets of the alerts that a compound is made of.
    """

    paged: bool
    site: str | None
    road: bool
    hazard: str
    lng: float | None
    lat: float | None
    ticket: int | None = None
    members: tuple[int, ...] = ()


class TicketFacts(NamedTuple):
    """What of a ticket decides; moments in µs UTC, `closed_at` None while it is live."""

    id: int
    status: str
    site: str | None
    hazard: str
    lng: float | None
    lat: float | None
    last_alert_at: int
    closed_at: int | None = None


class TicketDecision(NamedTuple):
    """`ticket` is the one to join, to send back or to link to."""

    action: TicketAction
    ticket: int | None
    reason: str


def decide_ticket(
    alert: AlertFacts, live: Sequence[TicketFacts], ended: Sequence[TicketFacts], now: int, policy: JoinPolicy
) -> TicketDecision:
    """Choose the ticket of an alert that opened, opened again or is paged now.

    It joins no report that still waits for somebody to register it: nobody would be sent.
    """
    if not alert.paged:
        return TicketDecision("none", None, "recorded_only")
    if found := _joined(alert, live, now, policy):
        ticket, reason = found
        if ticket.status in WORKED_OFF:
            return TicketDecision("send_back", ticket.id, "alert_after_handling")
        return TicketDecision("join", ticket.id, reason)
    if found := _followed(alert, ended, now, policy):
        return TicketDecision("link", found[0].id, found[1])
    return TicketDecision("create", None, "no_ticket_near")


def decide_recovery(
    status: str, severity: int, life_safety: bool, open_alerts: bool, chattering: bool = False, wanted: str = ""
) -> tuple[RecoveryAction, str]:
    """What a live ticket does when one of its alerts was closed: life-safety still needs arrival.

    One whose alert chatters stays: the next opening would only make another. So does one that a person wants looked
    at: `wanted` names why.
    """
    if open_alerts:
        return "none", "alerts_still_open"
    if life_safety:
        return "recovered", "life_safety_needs_arrival"
    if chattering:
        return "recovered", "chattering_until_somebody_looks"
    if wanted:
        return "recovered", wanted
    if status in UNACCEPTED and severity <= Severity.WARNING:
        return "self_recover", "recovered_before_acceptance"
    return "recovered", "all_alerts_closed"


def _joined(
    alert: AlertFacts, live: Sequence[TicketFacts], now: int, policy: JoinPolicy
) -> tuple[TicketFacts, str] | None:
    own = next((each for each in live if each.id == alert.ticket), None)
    if own:
        return own, "its_own_ticket"
    live = [each for each in live if each.status not in UNREGISTERED]
    members = [each for each in live if each.id in alert.members]
    if members:
        return max(members, key=lambda each: (each.hazard == alert.hazard, each.last_alert_at)), "its_members_ticket"
    same = [each for each in live if each.hazard == alert.hazard]
    at_site = [each for each in same if each.site is not None and each.site == alert.site]
    if at_site:
        return max(at_site, key=lambda each: each.last_alert_at), "same_site_and_hazard"
    radius = policy.road_radius if alert.road else policy.radius
    near = [(_metres(alert, each), each) for each in same if now - each.last_alert_at <= policy.window]
    close = [(metres, each) for metres, each in near if metres is not None and metres <= radius]
    return (min(close)[1], "near_in_space_and_time") if close else None


def _followed(
    alert: AlertFacts, ended: Sequence[TicketFacts], now: int, policy: JoinPolicy
) -> tuple[TicketFacts, str] | None:
    own = next((each for each in ended if each.id == alert.ticket), None)
    if own:
        return own, "opened_again"
    recent = [
        each
        for each in ended
        if each.hazard == alert.hazard
        and each.site is not None
        and each.site == alert.site
        and each.closed_at is not None
        and now - each.closed_at <= policy.linked_within
    ]
    return (max(recent, key=lambda each: each.closed_at or 0), "closed_within_a_day") if recent else None


def _metres(alert: AlertFacts, ticket: TicketFacts) -> float | None:
    if alert.lng is None or alert.lat is None or ticket.lng is None or ticket.lat is None:
        return None
    return distance_m(alert.lng, alert.lat, ticket.lng, ticket.lat)
