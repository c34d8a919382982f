"""The pure decisions on alerts and tickets, case by case, each with its named reason."""

from typing import Any

import pytest

from alerts.alert_decisions import decide_alert
from alerts.ticket_decisions import AlertFacts, JoinPolicy, TicketFacts, decide_recovery, decide_ticket
from core.clock import HOUR, MINUTE
from detectors.words import Change, Detection, Severity, Subject
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH

OPENED, UPDATED, CLEARED = Change.OPENED, Change.UPDATED, Change.CLEARED
ALARM, CRITICAL, WARNING = Severity.ALARM, Severity.CRITICAL, Severity.WARNING
ALERT = {"onset": 5, "severity": ALARM, "level": ALARM, "paged": True}
NOW = 100 * HOUR


def detection(change: Change, severity: Severity = ALARM, page: bool = True, reason: str = "") -> Detection:
    return Detection(change, Subject("device", "d"), "r", severity, 5, 5, 5, page=page, reason=reason)


@pytest.mark.parametrize(
    ("existing", "same", "found", "decided"),
    [
        (None, None, detection(OPENED), ("create", "new_episode")),
        (None, None, detection(UPDATED), ("create", "episode_under_way")),
        (None, ALERT, detection(OPENED), ("reopen", "same_onset")),
        (None, ALERT, detection(UPDATED), ("ignore", "episode_closed")),
        (None, ALERT, detection(UPDATED, CRITICAL), ("reopen", "raised_after_closing")),
        (ALERT, ALERT, detection(OPENED), ("note", "already_open")),
        (ALERT, None, detection(OPENED, CRITICAL), ("raise", "severity_raised")),
        (ALERT, ALERT, detection(UPDATED), ("note", "repeated")),
        (ALERT, ALERT, detection(UPDATED, CRITICAL), ("raise", "severity_raised")),
        (ALERT, ALERT, detection(UPDATED, CRITICAL, page=False), ("note", "recorded_only")),
        (ALERT, ALERT, detection(UPDATED, WARNING), ("note", "severity_fell")),
        ({**ALERT, "paged": False}, None, detection(UPDATED), ("page", "now_paged")),
        ({**ALERT, "paged": False}, None, detection(UPDATED, page=False), ("note", "repeated")),
        (ALERT, ALERT, detection(CLEARED), ("close", "recovered")),
        (ALERT, ALERT, detection(CLEARED, reason="retired"), ("close", "retired")),
        (ALERT, ALERT, detection(CLEARED, reason="back to normal"), ("close", "recovered")),
        (None, ALERT, detection(CLEARED), ("ignore", "not_open")),
        (None, None, detection(CLEARED), ("ignore", "not_open")),
    ],
)
def test_what_a_detection_does(existing: Any, same: Any, found: Detection, decided: tuple[str, str]) -> None:
    assert decide_alert(existing, same, found) == decided


def alert(metres: float = 0, site: str | None = "A", **more: Any) -> AlertFacts:
    return AlertFacts(True, site, False, "gas", LNG, LAT + metres * METRE_NORTH)._replace(**more)


def ticket(number: int = 1, metres: float = 0, site: str | None = "B", age: int = 0, **more: Any) -> TicketFacts:
    place = LNG, LAT + metres * METRE_NORTH
    return TicketFacts(number, "accepted", site, "gas", *place, NOW - age)._replace(**more)


@pytest.mark.parametrize(
    ("about", "live", "decided"),
    [
        (alert(paged=False), [ticket(site="A")], ("none", None, "recorded_only")),
        (alert(), [], ("create", None, "no_ticket_near")),
        (alert(), [ticket(site="A", age=9 * HOUR)], ("join", 1, "same_site_and_hazard")),
        (alert(), [ticket(site="A", hazard="noise")], ("create", None, "no_ticket_near")),
        (alert(), [ticket(metres=149)], ("join", 1, "near_in_space_and_time")),
        (alert(), [ticket(metres=152)], ("create", None, "no_ticket_near")),
        (alert(road=True), [ticket(metres=298)], ("join", 1, "near_in_space_and_time")),
        (alert(), [ticket(metres=10, age=30 * MINUTE)], ("join", 1, "near_in_space_and_time")),
        (alert(), [ticket(metres=10, age=31 * MINUTE)], ("create", None, "no_ticket_near")),
        (alert(), [ticket(1, metres=90), ticket(2, metres=50)], ("join", 2, "near_in_space_and_time")),
        (alert(), [ticket(1, metres=1), ticket(2, site="A", metres=100)], ("join", 2, "same_site_and_hazard")),
        (alert(site=None, lng=None), [ticket(site=None, lng=None)], ("create", None, "no_ticket_near")),
        (alert(ticket=7), [ticket(1, site="A"), ticket(7, age=9 * HOUR)], ("join", 7, "its_own_ticket")),
        (alert(members=(2,)), [ticket(1, site="A"), ticket(2, hazard="noise")], ("join", 2, "its_members_ticket")),
        (alert(members=(1, 2)), [ticket(1), ticket(2, hazard="noise", age=-1)], ("join", 1, "its_members_ticket")),
        (alert(ticket=1, members=(2,)), [ticket(1), ticket(2)], ("join", 1, "its_own_ticket")),
        (alert(members=(2,)), [ticket(2, status="handled")], ("send_back", 2, "alert_after_handling")),
        (alert(), [ticket(site="A", status="handled")], ("send_back", 1, "alert_after_handling")),
        (alert(), [ticket(site="A", status="checked")], ("send_back", 1, "alert_after_handling")),
    ],
)
def test_which_live_ticket_an_alert_joins(
    about: AlertFacts, live: list[TicketFacts], decided: tuple[str, int | None, str]
) -> None:
    assert decide_ticket(about, live, [], NOW, JoinPolicy()) == decided


@pytest.mark.parametrize(
    ("about", "ended", "decided"),
    [
        (alert(), ticket(site="A", closed_at=NOW - 24 * HOUR), ("link", 1, "closed_within_a_day")),
        (alert(), ticket(site="A", closed_at=NOW - 24 * HOUR - 1), ("create", None, "no_ticket_near")),
        (alert(), ticket(site="B", closed_at=NOW), ("create", None, "no_ticket_near")),
        (alert(site=None), ticket(site=None, closed_at=NOW), ("create", None, "no_ticket_near")),
        (alert(ticket=1), ticket(site="B", closed_at=NOW - 90 * HOUR), ("link", 1, "opened_again")),
    ],
)
def test_which_ended_ticket_a_new_one_follows(
    about: AlertFacts, ended: TicketFacts, decided: tuple[str, int | None, str]
) -> None:
    assert decide_ticket(about, [], [ended], NOW, JoinPolicy()) == decided


@pytest.mark.parametrize(
    ("status", "severity", "life_safety", "left", "decided"),
    [
        ("dispatched", WARNING, False, 1, ("none", "alerts_still_open")),
        ("dispatched", WARNING, False, 0, ("self_recover", "recovered_before_acceptance")),
        ("registered", WARNING, False, 0, ("self_recover", "recovered_before_acceptance")),
        ("dispatched", WARNING, True, 0, ("recovered", "life_safety_needs_arrival")),
        ("dispatched", ALARM, False, 0, ("recovered", "all_alerts_closed")),
        ("accepted", WARNING, False, 0, ("recovered", "all_alerts_closed")),
    ],
)
def test_what_a_ticket_does_when_an_alert_is_over(
    status: str, severity: int, life_safety: bool, left: int, decided: tuple[str, str]
) -> None:
    assert decide_recovery(status, severity, life_safety, left) == decided
