"""Where holds, storms, merges, suspensions, moves and clocks meet: nothing grave is lost and nobody is stuck."""

import pytest
from sqlalchemy import update

from alerts import tables
from alerts.auditor import audit, mend
from alerts.categories import ensure_categories
from alerts.deadlines import DEFAULT_LIMITS
from alerts.desk_work import DeskWork
from alerts.dispatching import desk_recipients
from alerts.escalating import run_due
from alerts.fallback import fall_back
from alerts.manual_tickets import Report, report
from alerts.notices import change_state
from alerts.quiet_tables import storm as storm_table
from alerts.refusals import MoveRefused
from alerts.settings import DeskSettings
from alerts.storm_decisions import StormPolicy
from alerts.tables import notice, person
from alerts.town_view import load_town_view
from alerts.unsent import expire
from core.clock import DAY, HOUR, MINUTE, SECOND
from core.database import writing
from detectors.words import Change, Severity
from tests.alerts.desk_scene import MONDAY_TEN, RULES, Scene, at_local

STORM = DeskSettings(storm=StormPolicy(sites=3))


def escalate(scene: Scene) -> int:
    with writing(scene.engine) as connection:
        return run_due(connection, scene.town, RULES, scene.clock.now(), scene.settings)


def until(scene: Scene, moment: int) -> None:
    """Set the clock, forward or back."""
    scene.clock.advance(moment - scene.clock.now())


def sweep(scene: Scene) -> list[int]:
    with writing(scene.engine) as connection:
        return expire(connection, scene.clock.now())


def causes(scene: Scene, ticket: int = 1) -> list[str]:
    return [row["cause"] for row in scene.notices if row["ticket"] == ticket]


def storm(scene: Scene) -> None:
    """An incident of three sites, the last one's alert upon it."""
    scene.settings = STORM
    for device in ("PLANT-1", "FAR-1", "OUTSIDE-1"):
        scene.detect(device, rule="flood", severity=Severity.WARNING)
    assert scene.tickets[-1]["source"] == "storm"


def told_of(scene: Scene, **values: object) -> int:
    """A ticket of a report by hand; its id."""
    said = Report("居民来电", "安全生产", **{"site": "PLANT", **values})  # type: ignore[arg-type]
    with writing(scene.engine) as connection:
        ensure_categories(connection)
        made = report(connection, scene.town, said, scene.clock.now(), "12345", "DISP-1")
        return int(made["id"])


# Storms ---------------------------------------------------------------------------------------------------------------


def test_danger_to_life_that_opens_again_leaves_the_storm_that_it_was_part_of(scene: Scene) -> None:
    storm(scene)
    incident = scene.alerts[-1]["ticket"]
    scene.detect("OUTSIDE-1", Change.CLEARED, rule="flood")
    scene.detect("OUTSIDE-1", rule="flood", severity=Severity.ALARM)  # the same onset, now a matter of life and safety
    own = scene.tickets[-1]
    assert scene.alerts[-1]["ticket"] == own["id"] != incident
    assert (own["life_safety"], own["storm"]) == (True, None)


def test_a_finding_of_danger_to_life_made_of_a_storms_alerts_stands_alone(scene: Scene) -> None:
    storm(scene)
    members = {"members": [{"rule": "flood", "device": "OUTSIDE-1", "value": None, "unit": ""}]}
    scene.detect("FAR-1", rule="gas.lel", severity=Severity.CRITICAL, evidence=members)
    own = scene.tickets[-1]
    assert scene.alerts[-1]["ticket"] == own["id"]
    assert (own["life_safety"], own["storm"]) == (True, None)


def test_a_graver_alert_ends_the_suspension_of_an_incident(scene: Scene) -> None:
    storm(scene)
    incident = scene.tickets[-1]["id"]
    with writing(scene.engine) as connection:
        connection.execute(update(tables.alert).values(hazard="noise"))
        connection.execute(update(storm_table).values(hazard="noise"))
        values = {"status": "suspended", "suspended_from": "registered", "resume_at": MONDAY_TEN + 9 * DAY}
        its = update(tables.ticket).where(tables.ticket.c.id == incident)
        connection.execute(its.values(hazard="noise", **values))
    scene.detect("NEXT-1", rule="noise", severity=Severity.WARNING)
    assert scene.tickets[incident - 1]["status"] == "suspended"
    scene.detect("ROAD-1", rule="noise", severity=Severity.ALARM)
    assert scene.alerts[-1]["ticket"] == incident
    assert (scene.tickets[incident - 1]["status"], scene.tickets[incident - 1]["severity"]) == ("registered", 3)


# Merging and suspension -----------------------------------------------------------------------------------------------


def test_a_suspended_ticket_goes_on_when_a_graver_one_is_merged_into_it(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    scene.move("suspend", "LEAD-1", opinion="waits for a part", until=MONDAY_TEN + 9 * DAY)
    scene.detect("PLANT-2", rule="silence", severity=Severity.ALARM)
    scene.move("merge", "DISP-1", ticket=2, into=1)
    assert scene.tickets[0]["status"] == "dispatched"
    assert scene.tickets[0]["severity"] == Severity.ALARM


def test_a_suspended_ticket_goes_on_when_a_graver_report_without_alerts_is_merged_into_it(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    scene.move("suspend", "LEAD-1", opinion="waits for a part", until=MONDAY_TEN + 9 * DAY)
    grave = told_of(scene, severity=Severity.CRITICAL)
    scene.move("merge", "DISP-1", ticket=grave, into=1)
    assert scene.tickets[0]["status"] == "dispatched"
    assert "raised" in causes(scene)


def test_what_a_person_reported_does_not_end_by_itself_when_an_alert_on_it_does(scene: Scene) -> None:
    reported = told_of(scene, hazard="noise")
    for action in ("verify", "register", "dispatch"):
        scene.move(action, "DISP-1", ticket=reported)
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    assert scene.alerts[0]["ticket"] == reported
    scene.detect("PLANT-1", Change.CLEARED, rule="noise")
    assert scene.tickets[0]["status"] == "dispatched"


def test_what_took_a_report_in_does_not_end_by_itself(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    reported = told_of(scene)
    scene.move("merge", "DISP-1", ticket=reported, into=1)
    scene.detect("PLANT-1", Change.CLEARED, rule="noise")
    assert scene.tickets[0]["status"] == "dispatched"
    assert scene.tickets[0]["recovered_at"] is not None


def test_what_is_supervised_does_not_end_by_itself(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    scene.move("supervise", "LEAD-1", opinion="what is this?")
    scene.detect("PLANT-1", Change.CLEARED, rule="noise")
    assert scene.tickets[0]["status"] == "dispatched"


# Tickets that wait for the desk ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("verified", [False, True])
def test_an_alert_does_not_wait_on_a_report_that_nobody_has_registered(scene: Scene, verified: bool) -> None:
    reported = told_of(scene, hazard="gas")
    if verified:
        scene.move("verify", "DISP-1", ticket=reported)
    scene.detect("PLANT-1", severity=Severity.CRITICAL)
    own = scene.tickets[-1]
    assert scene.alerts[0]["ticket"] == own["id"] != reported
    assert own["status"] == "dispatched"
    assert "dispatched" in causes(scene, own["id"])


def test_the_desk_hears_at_once_of_danger_on_a_ticket_that_came_back_to_it(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.move("return", "G17-01", opinion="not ours")
    scene.clock.advance(MINUTE)
    scene.detect("PLANT-2", severity=Severity.CRITICAL)
    heard = [row["recipient"] for row in scene.notices if row["cause"] in ("joined", "raised")]
    assert "DISP-1" in heard


def test_without_dispatchers_leaders_hear_what_is_meant_for_the_desk(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        connection.execute(update(person).where(person.c.role == "dispatcher").values(retired=1))
        scene.town = load_town_view(connection)
        work = DeskWork(connection, scene.town, scene.clock.now(), scene.settings)
        assert [to.code for to in desk_recipients(work)] == ["LEAD-1"]


def test_what_is_nowhere_joins_the_ticket_that_it_has_already(scene: Scene) -> None:
    for _ in range(4):
        scene.detect("GHOST", rule="silence", onset=scene.clock.now())
        scene.clock.advance(5 * SECOND)
        scene.detect("GHOST", Change.CLEARED, rule="silence")
        scene.clock.advance(5 * SECOND)
    assert {row["ticket"] for row in scene.alerts} == {1}
    assert len(scene.tickets) == 1


# Moves ----------------------------------------------------------------------------------------------------------------


def test_a_second_reassignment_to_somebody_else_is_no_double_tap(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.move("accept", "G17-01")
    scene.move("reassign", "DISP-1", team="T-G18")
    scene.clock.advance(10 * SECOND)
    scene.move("reassign", "DISP-1", station="ST2")
    assert (scene.tickets[0]["team"], scene.tickets[0]["station"]) == (None, "ST2")
    scene.clock.advance(DAY)
    scene.move("reassign", "DISP-1", station="ST2")
    assert scene.tickets[0]["dispatched_at"] == scene.clock.now()


def test_a_double_tap_on_a_reassignment_tells_once(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.clock.advance(SECOND)
    scene.move("reassign", "DISP-1", team="T-G18")
    told = len(scene.notices)
    scene.clock.advance(SECOND)
    scene.move("reassign", "DISP-1", team="T-G18")
    assert len(scene.notices) == told


def test_whoever_an_escalation_told_may_accept(scene: Scene) -> None:
    """The shift has changed since the ticket was sent, so its first plan does not name who is told now."""
    until(scene, at_local("2026-09-21 21:58"))
    scene.detect("PLANT-1", rule="noise", severity=Severity.ALARM)
    first = {row["recipient"] for row in scene.notices}
    until(scene, at_local("2026-09-21 22:04"))
    for _ in range(3):
        escalate(scene)
        scene.clock.advance(10 * MINUTE)
    patrol = {"ST1-01", "ST2-01"}
    new = {row["recipient"] for row in scene.notices} - first
    assert new & patrol
    for who in sorted(new & patrol):
        assert scene.move("accept", who).status == "accepted"
        break


def test_somebody_whom_nobody_told_may_not_accept(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=Severity.ALARM)
    with pytest.raises(MoveRefused, match="not_yours"):
        scene.move("accept", "ST2-01")


def test_a_reassignment_keeps_an_extension_that_was_granted(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.move("accept", "G17-01")
    scene.move("extend", "LEAD-1")
    granted = scene.tickets[0]["done_by"]
    scene.move("reassign", "DISP-1", team="T-G18")
    assert scene.tickets[0]["done_by"] == granted
    assert granted > DEFAULT_LIMITS[Severity.ALARM].done.after(MONDAY_TEN, scene.settings.calendar)


def test_a_rework_of_who_has_been_there_is_no_missing_arrival(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=Severity.CRITICAL)
    scene.handle()
    scene.clock.advance(40 * MINUTE)
    scene.move("rework", "DISP-1", opinion="still smells")
    scene.clock.advance(SECOND)
    escalate(scene)
    assert "not_arrived" not in causes(scene)


# Clocks and notices ---------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_makes_no_notice_moot(scene: Scene) -> None:
    scene.detect("PLANT-1")
    until(scene, MONDAY_TEN - 2 * MINUTE)
    scene.detect("PLANT-1", Change.OPENED, severity=Severity.CRITICAL)
    sweep(scene)
    raised = [row["state"] for row in scene.notices if row["cause"] == "raised"]
    assert {*raised} == {"queued"}


def test_a_clock_that_is_set_back_puts_off_no_escalation(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=Severity.CRITICAL)
    until(scene, MONDAY_TEN - HOUR)
    with writing(scene.engine) as connection:
        found = audit(connection, scene.clock.now(), scene.settings).findings
        assert [each.why for each in found] == ["astray"]
        mend(connection, found, scene.clock.now(), scene.settings)
    scene.clock.advance(MINUTE)
    with writing(scene.engine) as connection:
        assert audit(connection, scene.clock.now(), scene.settings).findings == ()
    scene.clock.advance(MINUTE)
    assert escalate(scene) == 1
    assert "not_accepted" in causes(scene)


def test_a_later_notice_that_was_not_sent_supersedes_nothing(scene: Scene) -> None:
    until(scene, at_local("2026-09-21 23:00"))
    scene.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    digest = {row["id"] for row in scene.notices}
    scene.detect("PLANT-1", Change.OPENED, rule="noise", severity=Severity.ALARM)
    with writing(scene.engine) as connection:
        change_state(connection, notice.c.id.not_in(digest), "failed")
    sweep(scene)
    assert {row["state"] for row in scene.notices if row["id"] in digest} == {"queued"}


def test_what_fails_after_a_ticket_was_sent_anew_is_told_to_nobody_else(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.clock.advance(SECOND)
    scene.move("reassign", "DISP-1", team="T-G18")
    told = len(scene.notices)
    with writing(scene.engine) as connection:
        assert fall_back(connection, scene.notices[0], scene.clock.now()) == 0
    assert len(scene.notices) == told


def test_whose_notice_was_not_sent_in_time_counts_as_not_told(scene: Scene) -> None:
    """The senders were down; the first rank never heard, so the next step tells it."""
    scene.detect("PLANT-1")
    first = {row["recipient"] for row in scene.notices}
    until(scene, MONDAY_TEN + 61 * MINUTE)
    sweep(scene)
    assert {row["error"] for row in scene.notices} == {"not_sent_in_time"}
    until(scene, MONDAY_TEN + 6 * MINUTE)
    escalate(scene)
    again = {row["recipient"] for row in scene.notices if row["cause"] == "not_accepted"}
    assert first & again


def test_danger_to_life_is_never_put_off_by_quiet_hours_for_a_lesser_alert_on_its_ticket(scene: Scene) -> None:
    scene.settings = DeskSettings(quiet_hours="09:00-17:00")
    scene.detect("PLANT-1", rule="flood", severity=Severity.ALARM)
    scene.detect("PLANT-2", rule="flood", severity=Severity.WARNING)
    scene.detect("PLANT-1", Change.CLEARED, rule="flood")
    scene.clock.advance(6 * MINUTE)
    escalate(scene)
    told = {(row["due_at"], row["life_safety"]) for row in scene.notices if row["cause"] == "not_accepted"}
    assert told == {(scene.clock.now(), True)}


def test_quiet_hours_that_nobody_can_read_keep_nothing_from_being_told(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        connection.execute(update(person).values(quiet_hours="10-18"))
    scene.detect("PLANT-1", rule="noise")
    assert {row["due_at"] for row in scene.notices} == {MONDAY_TEN}
