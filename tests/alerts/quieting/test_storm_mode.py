"""Storm mode: many sites at once are one incident, never a matter of life and safety."""

import re
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine

from alerts.claims import outgoing_notice
from alerts.event_tables import change
from alerts.quiet_tables import storm
from alerts.settings import DeskSettings
from alerts.sms_texts import sms_variables
from alerts.storm_decisions import StormPolicy, decide_storm, storm_over
from alerts.tables import ticket_log
from alerts.texts import phone_text, robot_text
from core.clock import MINUTE, SECOND
from detectors.words import Change, Severity
from tests.alerts.quieting.quiet_scene import QuietScene

FOUR = DeskSettings(storm=StormPolicy(sites=4))


@pytest.fixture
def stormy(engine: Engine) -> QuietScene:
    return QuietScene(engine, FOUR)


def floods(scene: QuietScene, sites: Sequence[int], rule: str = "noise", severity: Severity = Severity.WARNING) -> None:
    for n in sites:
        scene.clock.advance(SECOND)
        scene.detect(f"S{n}-1", rule=rule, severity=severity, onset=scene.clock.now())


def test_the_fourth_site_makes_it_an_incident_and_later_ones_join_it(stormy: QuietScene) -> None:
    floods(stormy, range(4))
    incident = stormy.tickets[-1]
    assert (incident["source"], incident["status"], incident["hazard"]) == ("storm", "registered", "noise")
    assert incident["title"] == "noise超限（4 处同时报警）"
    before = len(stormy.notices)
    floods(stormy, range(4, 20))
    assert len(stormy.tickets) == 4, "three before it, and the incident"
    assert len(stormy.notices) == before
    assert [alert["ticket"] for alert in stormy.alerts] == [1, 2, 3, *[4] * 17]
    (row,) = stormy.rows(storm)
    assert (row["sites"], row["alerts"], row["ticket"], row["ended_at"]) == (17, 17, 4, None)
    assert incident["storm"] == row["id"]
    grown = [each["details"]["sites"] for each in stormy.rows(ticket_log) if each["action"] == "storm_grew"]
    assert grown == [2, 4, 8, 16]


def test_the_desk_the_leaders_and_all_stations_are_told(stormy: QuietScene) -> None:
    floods(stormy, range(4))
    told = {notice["recipient"] for notice in stormy.notices if notice["ticket"] == 4}
    assert told == {"DISP-1", "LEAD-1", "ST1-01", "ST2-01", "ST1"}
    assert {notice["due_at"] for notice in stormy.notices if notice["ticket"] == 4} == {stormy.clock.now()}
    kept = stormy.tickets[-1]["assignment"]
    assert {each["code"] for each in kept["candidates"]} == told


@pytest.mark.parametrize("joining", [0, 8])
def test_its_notices_speak_of_the_storm_and_of_no_single_site(stormy: QuietScene, joining: int) -> None:
    floods(stormy, range(4))
    floods(stormy, range(4, 4 + joining), severity=Severity.WARNING)
    floods(stormy, range(20, 21) if joining else (), severity=Severity.ALARM)
    (number, *_) = [ticket["number"] for ticket in stormy.tickets if ticket["source"] == "storm"]
    cause, sites = ("raised", 9) if joining else ("storm", 4)
    (told, *_) = [row for row in stormy.notices if (row["ticket"], row["cause"]) == (4, cause)]
    notice = outgoing_notice(told, stormy.clock.now())
    facts = notice.facts
    assert (facts.hazard, facts.number) == ("noise", number)
    assert facts.sites >= sites - 1
    assert (facts.device, facts.address, facts.area_zh, facts.contact) == ("", "", "", "")
    assert (facts.value, facts.limit, facts.lng, facts.lat) == (None, None, None, None)
    for text in (robot_text(notice, "https://sw.example/tickets/4", "zh", 4096), phone_text(notice, "zh")):
        assert "noise超限（4 处同时报警）" in text
        assert f"{facts.sites} 处" in text
        assert "并入这一张工单" in text
        assert "导航" not in text
        assert not re.search(r"S\d+", text)
    assert "https://sw.example/tickets/4" in robot_text(notice, "https://sw.example/tickets/4", "en", 4096)
    assert "one incident ticket" in phone_text(notice, "en")
    assert sms_variables(notice, "zh")["place"] == f"{facts.sites} 处点位"


def test_life_safety_keeps_its_own_tickets_in_the_middle_of_a_storm(stormy: QuietScene) -> None:
    floods(stormy, range(6), rule="flood")
    assert stormy.rows(storm)[0]["hazard"] == "flood"
    for n in range(10, 14):
        applied = stormy.detect(f"S{n}-1", rule="flood", severity=Severity.ALARM)
        assert (applied.tickets, applied.notices > 0) == (1, True)
    floods(stormy, range(20, 24), rule="gas.lel")
    assert len(stormy.rows(storm)) == 1


def test_one_of_the_storm_that_becomes_life_safety_gets_its_own_ticket(stormy: QuietScene) -> None:
    floods(stormy, range(6), rule="flood")
    applied = stormy.detect("S5-1", Change.UPDATED, rule="flood", severity=Severity.ALARM)
    assert (applied.tickets, applied.notices > 0) == (1, True)
    ticket = stormy.tickets[-1]
    assert (ticket["source"], ticket["life_safety"]) == ("iot", True)
    assert stormy.alert_of("S5-1")["ticket"] == ticket["id"]


def test_a_rise_is_told_once_a_severity(stormy: QuietScene) -> None:
    floods(stormy, range(6))
    before = len(stormy.notices)
    floods(stormy, range(6, 9), severity=Severity.ALARM)
    raised = stormy.notices[before:]
    assert {(notice["cause"], notice["recipient"]) for notice in raised} == {
        ("raised", code) for code in ("DISP-1", "LEAD-1", "ST1-01", "ST2-01", "ST1")
    }
    assert len(raised) == 5
    assert stormy.tickets[3]["severity"] == Severity.ALARM


def test_it_ends_when_nothing_new_came_for_its_quiet_time_and_says_so(stormy: QuietScene) -> None:
    floods(stormy, range(6))
    stormy.clock.advance(10 * MINUTE - 1)
    stormy.release()
    assert stormy.rows(storm)[0]["ended_at"] is None
    stormy.clock.advance(1)
    stormy.release()
    assert stormy.rows(storm)[0]["ended_at"] == stormy.clock.now()
    (said,) = [each for each in stormy.rows(ticket_log) if each["action"] == "storm_ended"]
    assert (said["ticket"], said["details"]["alerts"]) == (4, 3)
    assert stormy.tickets[3]["recovered_at"] is None, "its alerts are open"
    told = [row["what"]["action"] for row in stormy.rows(change) if row["kind"] == "storm"]
    assert (told[0], told[-1]) == ("began", "ended")
    floods(stormy, [9])
    assert stormy.tickets[-1]["source"] == "iot", "after it each has its own again"


def test_when_all_is_over_the_incident_has_recovered(stormy: QuietScene) -> None:
    floods(stormy, range(6))
    lines = len(stormy.rows(ticket_log))
    for n in range(6):
        stormy.detect(f"S{n}-1", Change.CLEARED, rule="noise")
    assert stormy.tickets[3]["recovered_at"] is None
    assert len([each for each in stormy.rows(ticket_log)[lines:] if each["ticket"] == 4]) == 0
    stormy.clock.advance(10 * MINUTE)
    stormy.release()
    assert stormy.tickets[3]["recovered_at"] == stormy.clock.now()


def test_alerts_that_end_after_the_storm_let_it_recover_too(stormy: QuietScene) -> None:
    floods(stormy, range(5))
    stormy.clock.advance(10 * MINUTE)
    stormy.release()
    for n in range(5):
        stormy.detect(f"S{n}-1", Change.CLEARED, rule="noise")
    assert stormy.tickets[3]["recovered_at"] == stormy.clock.now()


def test_an_incident_that_somebody_ended_is_followed_by_another(stormy: QuietScene) -> None:
    floods(stormy, range(5))
    stormy.move("void", "DISP-1", 4, opinion="演习")
    floods(stormy, range(6, 8))
    first, second = stormy.rows(storm)
    assert (first["ended_at"] is None, second["ended_at"]) == (False, None)
    assert second["ticket"] == stormy.tickets[-1]["id"]


def test_two_hazards_are_two_storms(stormy: QuietScene) -> None:
    floods(stormy, range(5))
    floods(stormy, range(5, 10), rule="flood")
    assert [row["hazard"] for row in stormy.rows(storm)] == ["noise", "flood"]


def test_what_is_held_or_only_recorded_makes_no_storm(stormy: QuietScene) -> None:
    stormy.detect("GW-0002", rule="gateway")
    floods(stormy, range(8), rule="silence")
    assert stormy.rows(storm) == []
    for n in range(8, 16):
        stormy.detect(f"S{n}-1", rule="noise", page=False)
    floods(stormy, [20])
    assert stormy.rows(storm) == []


def test_the_same_site_again_and_again_is_no_storm(stormy: QuietScene) -> None:
    for n in range(8):
        stormy.clock.advance(SECOND)
        stormy.detect("S1-1", Change.OPENED if n % 2 == 0 else Change.CLEARED, rule="noise", onset=stormy.clock.now())
    assert stormy.rows(storm) == []


def test_slow_is_no_storm() -> None:
    policy = StormPolicy(sites=3)
    newest = {"S1": 0, "S2": 3 * MINUTE}
    assert decide_storm(False, False, newest, "S3", 5 * MINUTE, policy).action == "declare"
    assert decide_storm(False, False, newest, "S3", 5 * MINUTE + 1, policy).reason == "too_few_sites"
    assert decide_storm(False, False, newest, None, 5 * MINUTE, policy).reason == "no_site"
    assert decide_storm(False, False, newest, "S2", 5 * MINUTE, policy).action == "none"


def test_a_clock_that_was_set_back_ends_a_storm_too() -> None:
    policy = StormPolicy()
    assert not storm_over(0, policy.quiet - 1, policy)
    assert storm_over(0, policy.quiet, policy)
    assert storm_over(policy.quiet, 0, policy)
