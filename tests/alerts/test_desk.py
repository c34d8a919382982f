"""Detections become alerts, tickets and notices: once, together, on both databases."""

from collections import Counter
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from alerts import desk, event_tables, tables
from alerts.alert_rows import read_alert
from alerts.desk import applied_offset
from alerts.desk_work import DeskWork
from alerts.moves import clear_alert_by_hand
from core.clock import HOUR, MINUTE
from core.database import reading, writing
from core.journal import Offset
from detectors.words import Change, Severity
from ingest.words import Rearm
from tests.alerts.desk_scene import RULES, Scene

CLEARED, UPDATED = Change.CLEARED, Change.UPDATED
ALARM, CRITICAL, WARNING, NOTICE = Severity.ALARM, Severity.CRITICAL, Severity.WARNING, Severity.NOTICE


def deadlines_of(scene: Scene) -> list[tuple[int, ...]]:
    return [(ticket["accept_by"], ticket["arrive_by"], ticket["done_by"]) for ticket in scene.tickets]


def test_an_opening_makes_alert_ticket_log_notices_changes_and_offset_together(scene: Scene) -> None:
    applied = scene.detect("PLANT-1", severity=CRITICAL)

    assert (applied.opened, applied.tickets) == (1, 1)
    (alert,), (ticket,) = scene.alerts, scene.tickets
    assert (alert["state"], alert["ticket"], alert["journal_n"]) == ("open", ticket["id"], 1)
    assert (ticket["number"], ticket["status"], ticket["team"]) == ("20260921-0001", "dispatched", "T-G17")
    assert (ticket["station"], ticket["title"], ticket["title_en"]) == ("ST1", "gas超限", "gas too high")
    assert scene.log == ["report", "verify", "register", "dispatch"]
    told = {notice["recipient"] for notice in scene.notices}
    assert told == {"G17-01", "G17-02", "G17-03", "ST1-01"}
    assert applied.notices == len(told)
    assert [row["kind"] for row in scene.rows(event_tables.change)] == ["ticket", "alert"]
    with reading(scene.engine) as connection:
        assert applied_offset(connection, "safety") == Offset(0, 1)


def test_the_policies_in_force_are_kept_with_the_ticket(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    policy = scene.tickets[0]["policy"]
    assert policy["limits"]["critical"] == "accept 5 min, on scene 30 min, done 2 h"
    assert policy["dispatch"]["first_told"] == scene.settings.dispatch.first_told
    assert policy["joining"]["radius"] == scene.settings.joining.radius
    assert policy["rule"] == {"id": "gas.lel", "standard": "", "edition": "", "version": 0}


def test_a_replay_changes_nothing(scene: Scene) -> None:
    found = scene.found(scene.detection("PLANT-1"), scene.detection("PLANT-1", UPDATED, severity=CRITICAL))
    scene.apply(found)
    before = scene.alerts, scene.tickets, scene.notices, scene.log, scene.rows(event_tables.change)

    again = scene.apply(found)

    assert again == desk.Applied(replayed=2)
    assert before == (scene.alerts, scene.tickets, scene.notices, scene.log, scene.rows(event_tables.change))


def test_consumers_have_offsets_of_their_own(scene: Scene) -> None:
    found = scene.found(scene.detection("PLANT-1"))
    scene.apply(found, "safety")
    other = scene.apply(found, "anomaly")
    assert (other.replayed, other.noted) == (0, 1)


def test_two_consumers_at_once_make_one_ticket_of_one_incident(scene: Scene) -> None:
    found = {
        "safety": scene.found(scene.detection("PLANT-1")),
        "anomaly": scene.found(scene.detection("PLANT-2", rule="gas.co")),
    }
    barrier = Barrier(2)

    def apply(consumer: str) -> None:
        barrier.wait()
        scene.apply(found[consumer], consumer)

    threads = [Thread(target=apply, args=(consumer,)) for consumer in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(scene.alerts) == 2
    assert [ticket["number"] for ticket in scene.tickets] == ["20260921-0001"]


def test_an_offset_never_goes_back(scene: Scene) -> None:
    scene.n = 9
    scene.apply([])
    scene.n = 4
    scene.apply([])
    with reading(scene.engine) as connection:
        assert applied_offset(connection, "safety") == Offset(0, 9)


@pytest.mark.parametrize("breaks_at", ["alert_changed", "ticket_changed", "notify", "finish"])
def test_what_breaks_midway_leaves_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch, breaks_at: str) -> None:
    def die(*_anything: object) -> None:
        raise KeyboardInterrupt

    found = scene.found(scene.detection("PLANT-1"))
    with monkeypatch.context() as broken:
        broken.setattr(DeskWork, breaks_at, die)
        with pytest.raises(KeyboardInterrupt):
            scene.apply(found)
    assert not any((scene.alerts, scene.tickets, scene.notices, scene.log, scene.rows(tables.ticket_number)))

    scene.apply(found)
    assert [ticket["number"] for ticket in scene.tickets] == ["20260921-0001"]


def test_two_openings_at_once_are_one_alert(scene: Scene) -> None:
    found = scene.found(scene.detection("PLANT-1"), scene.detection("PLANT-1", onset=2))
    applied = scene.apply(found)
    assert (applied.opened, applied.noted, applied.tickets) == (1, 1, 1)


@pytest.mark.parametrize("changed", [{"onset": 7}, {"state": "closed"}])
def test_the_database_itself_refuses_a_second_alert(scene: Scene, changed: dict[str, object]) -> None:
    scene.detect("PLANT-1")
    (row,) = scene.alerts
    twin = {**row, "id": None, **changed}
    del twin["id"]
    with pytest.raises(IntegrityError), writing(scene.engine) as connection:
        connection.execute(insert(tables.alert).values(**twin))


def test_an_unpaged_opening_is_recorded_and_makes_a_ticket_once_it_pages(scene: Scene) -> None:
    assert scene.detect("PLANT-1", page=False).tickets == 0
    assert scene.alerts[0]["ticket"] is None
    applied = scene.detect("PLANT-1", UPDATED)
    assert (applied.paged, applied.tickets) == (1, 1)


def test_a_reopening_that_may_not_page_is_recorded_until_it_may(scene: Scene) -> None:
    scene.detect("PLANT-1")
    with writing(scene.engine) as connection:
        clear_alert_by_hand(connection, 1, "DISP-1", scene.clock.now(), scene.town)
    assert scene.detect("PLANT-1", page=False).notices == 0
    assert scene.alerts[0]["state"] == "open"
    applied = scene.detect("PLANT-1", UPDATED)
    assert (applied.paged, applied.tickets) == (1, 0)
    assert Counter(notice["cause"] for notice in scene.notices)["reopened"] == 4


def test_a_rise_updates_the_alert_notifies_again_and_tightens_the_deadline(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=ALARM)
    (before,) = scene.tickets
    scene.clock.advance(MINUTE)

    applied = scene.detect("PLANT-1", UPDATED, severity=CRITICAL)

    assert applied.raised == 1
    assert len(scene.alerts) == 1
    (ticket,) = scene.tickets
    assert ticket["severity"] == CRITICAL
    assert ticket["arrive_by"] == scene.clock.now() + 30 * MINUTE
    assert ticket["done_by"] == scene.clock.now() + 2 * HOUR < before["done_by"]
    assert Counter(notice["cause"] for notice in scene.notices)["raised"] == 4
    assert scene.log[-1] == "alert_raised"


def test_a_fall_tells_nobody_and_a_second_rise_to_the_same_height_neither(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=CRITICAL)
    notices, deadlines = len(scene.notices), deadlines_of(scene)
    scene.clock.advance(MINUTE)
    scene.detect("PLANT-1", UPDATED, severity=ALARM)
    scene.detect("PLANT-1", UPDATED, severity=CRITICAL)
    assert (len(scene.notices), deadlines_of(scene)) == (notices, deadlines)
    assert (scene.alerts[0]["severity"], scene.alerts[0]["level"]) == (CRITICAL, CRITICAL)


def test_a_rise_that_may_not_be_told_yet_is_told_when_it_may(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=ALARM)
    assert scene.detect("PLANT-1", UPDATED, severity=CRITICAL, page=False).notices == 0
    assert scene.detect("PLANT-1", UPDATED, severity=CRITICAL).raised == 1


def test_an_opening_with_a_closed_alerts_onset_reopens_it_and_notifies_again(scene: Scene) -> None:
    scene.detect("PLANT-1")
    with writing(scene.engine) as connection:
        rearm = clear_alert_by_hand(connection, 1, "DISP-1", scene.clock.now(), scene.town)
    assert rearm == Rearm("device", "PLANT-1", "gas.lel")
    assert (scene.alerts[0]["state"], scene.alerts[0]["closed_how"]) == ("closed", "by_hand")
    assert scene.tickets[0]["recovered_at"] is not None

    applied = scene.detect("PLANT-1")

    assert applied.reopened == 1
    (alert,) = scene.alerts
    assert (alert["state"], alert["reopened"], alert["closed_at"]) == ("open", 1, None)
    assert scene.tickets[0]["recovered_at"] is None
    assert Counter(notice["cause"] for notice in scene.notices)["reopened"] == 4
    assert scene.log[-1] == "alert_reopened"


def test_clearing_by_hand_twice_changes_nothing_and_rearms_again(scene: Scene) -> None:
    scene.detect("PLANT-1")
    for _ in range(2):
        with writing(scene.engine) as connection:
            rearm = clear_alert_by_hand(connection, 1, "DISP-1", scene.clock.now(), scene.town)
    assert rearm.id == "PLANT-1"
    assert scene.log.count("alert_closed") == 1


def test_a_reopening_after_the_end_makes_a_linked_ticket(scene: Scene) -> None:
    scene.detect("PLANT-1")
    assert scene.finish().rearm == [Rearm("device", "PLANT-1", "gas.lel")]
    scene.clock.advance(40 * HOUR)
    scene.detect("PLANT-1")
    assert [ticket["linked_to"] for ticket in scene.tickets] == [None, 1]
    assert scene.alerts[0]["ticket"] == 2


def test_a_new_alert_at_the_same_site_and_hazard_joins_and_life_safety_is_told_again(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.move("accept", "G17-01")
    scene.clock.advance(2 * HOUR)
    applied = scene.detect("PLANT-2")
    assert (applied.tickets, applied.joined) == (0, 1)
    joined = [notice["recipient"] for notice in scene.notices if notice["cause"] == "joined"]
    assert "G17-01" in joined


def test_an_ordinary_alert_that_joins_tells_nobody_again(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=WARNING)
    before = len(scene.notices)
    assert scene.detect("PLANT-2", rule="noise", severity=WARNING).joined == 1
    assert len(scene.notices) == before


def test_a_neighbour_joins_within_radius_and_window_only(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.clock.advance(29 * MINUTE)
    assert scene.detect("NEXT-1").joined == 1
    scene.clock.advance(HOUR)
    assert scene.detect("FAR-1").tickets == 1
    assert scene.detect("NEXT-1", rule="gas.co").tickets == 1


def test_another_hazard_never_joins(scene: Scene) -> None:
    scene.detect("PLANT-1")
    assert scene.detect("PLANT-1", rule="noise", severity=WARNING).tickets == 1


def test_an_alert_after_handling_sends_the_ticket_back(scene: Scene) -> None:
    scene.detect("PLANT-1")
    scene.handle()
    applied = scene.detect("PLANT-2")
    assert applied.sent_back == 1
    (ticket,) = scene.tickets
    assert (ticket["status"], ticket["handled_at"], ticket["on_scene_at"]) == ("accepted", None, None)
    assert "send_back" in scene.log
    assert "G17-01" in {notice["recipient"] for notice in scene.notices if notice["cause"] == "sent_back"}


@pytest.mark.parametrize(("later", "linked"), [(23 * HOUR, 1), (25 * HOUR, None)])
def test_within_a_day_after_the_end_a_new_ticket_is_linked(scene: Scene, later: int, linked: int | None) -> None:
    scene.detect("PLANT-1")
    scene.detect("PLANT-1", CLEARED)
    scene.finish()
    scene.clock.advance(later)
    scene.detect("PLANT-1", onset=scene.clock.now())
    assert scene.tickets[1]["linked_to"] == linked


def test_recovery_of_an_unaccepted_warning_ends_it_by_itself(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=WARNING)
    scene.detect("PLANT-2", rule="noise", severity=WARNING)
    scene.detect("PLANT-1", CLEARED, rule="noise")
    assert scene.tickets[0]["status"] == "dispatched"
    applied = scene.detect("PLANT-2", CLEARED, rule="noise")
    (ticket,) = scene.tickets
    assert (applied.self_recovered, ticket["status"], ticket["result"]) == (1, "closed", "self_recovered")
    assert ticket["recovered_at"] == ticket["closed_at"] == scene.clock.now()
    assert scene.log[-1] == "self_recover"


def test_recovery_of_life_safety_still_needs_arrival(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=WARNING)
    scene.detect("PLANT-1", CLEARED)
    (ticket,) = scene.tickets
    assert (ticket["status"], ticket["recovered_at"]) == ("dispatched", scene.clock.now())
    assert scene.log[-2:] == ["alert_closed", "recovered"]


def test_recovery_of_an_accepted_warning_leaves_it_to_its_people(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=WARNING)
    scene.move("accept", "G17-01")
    scene.detect("PLANT-1", CLEARED, rule="noise")
    assert scene.tickets[0]["status"] == "accepted"
    assert scene.tickets[0]["recovered_at"] is not None


@pytest.mark.parametrize("reason", ["rule_withdrawn", "schedule_ended"])
def test_an_end_that_is_no_recovery_says_so(scene: Scene, reason: str) -> None:
    scene.detect("PLANT-1")
    scene.detect("PLANT-1", CLEARED, reason=reason)
    assert scene.alerts[0]["closed_how"] == reason


def test_false_alarm_leaves_its_alert_quiet_until_it_clears_and_opens_anew(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=WARNING)
    scene.move("false_alarm", "DISP-1", cause="works")
    before = len(scene.notices)
    scene.detect("PLANT-1", UPDATED, rule="noise", severity=ALARM)
    assert (len(scene.notices), scene.log[-1]) == (before, "alert_raised")
    scene.detect("PLANT-1", CLEARED, rule="noise")
    assert scene.detect("PLANT-1", rule="noise", onset=scene.clock.now()).tickets == 1
    assert scene.tickets[1]["linked_to"] == 1


def test_life_safety_that_rises_after_a_false_alarm_speaks_again(scene: Scene) -> None:
    scene.detect("PLANT-1", severity=ALARM)
    scene.move("false_alarm", "DISP-1", cause="works")
    applied = scene.detect("PLANT-1", UPDATED, severity=CRITICAL)
    assert (applied.tickets, scene.tickets[1]["linked_to"], applied.notices) == (1, 1, 4)


def test_a_dead_gateway_is_one_ticket_that_says_how_many_devices(scene: Scene) -> None:
    scene.detect("GW-0001", rule="gateway", severity=NOTICE)
    (ticket,) = scene.tickets
    assert (ticket["severity"], ticket["site"]) == (NOTICE, "PLANT")
    assert ticket["title"] == "device超限（所带设备 6 台）"


def test_nothing_known_about_the_device_still_reaches_the_dispatcher(scene: Scene) -> None:
    scene.detect("GHOST-1", rule="gone", severity=WARNING)
    (ticket,) = scene.tickets
    assert (ticket["status"], ticket["team"], ticket["hazard"]) == ("registered", None, "unknown")
    assert [notice["recipient"] for notice in scene.notices] == ["DISP-1"]
    assert scene.log[-1] == "await_dispatcher"


def test_a_site_outside_every_grid_goes_to_the_dispatcher_and_can_be_sent_from_there(scene: Scene) -> None:
    scene.detect("OUTSIDE-1", rule="noise", severity=WARNING)
    assert scene.tickets[0]["status"] == "registered"
    assert scene.move("dispatch", "DISP-1", team="T-G18").status == "dispatched"
    assert scene.tickets[0]["team"] == "T-G18"
    assert "G18-01" in {notice["recipient"] for notice in scene.notices}


def test_a_nights_warning_waits_for_the_morning(scene: Scene) -> None:
    scene.clock.advance(13 * HOUR)  # 23:00
    scene.detect("PLANT-1", rule="noise", severity=WARNING)
    due = {notice["due_at"] for notice in scene.notices}
    assert due == {scene.clock.now() + 9 * HOUR}


def test_at_night_a_rise_below_alarm_tells_its_holder_now_and_the_others_in_the_morning(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="noise", severity=NOTICE)
    scene.move("accept", "G17-01")
    scene.clock.advance(13 * HOUR)
    scene.detect("PLANT-1", UPDATED, rule="noise", severity=WARNING)
    due = {row["recipient"]: row["due_at"] for row in scene.notices if row["cause"] == "raised"}
    assert due.pop("G17-01") == scene.clock.now()
    assert due
    assert set(due.values()) == {scene.clock.now() + 9 * HOUR}


def test_numbers_follow_the_local_date_without_gaps(scene: Scene) -> None:
    for days in range(2):
        for device in ("PLANT-1", "FAR-1"):
            scene.detect(device, rule="noise" if days else "gas.lel", severity=WARNING)
        scene.clock.advance(24 * HOUR)
    numbers = [ticket["number"] for ticket in scene.tickets]
    assert numbers == ["20260921-0001", "20260921-0002", "20260922-0001", "20260922-0002"]


def test_a_storm_of_silent_devices_is_a_handful_of_tickets(scene: Scene) -> None:
    devices = [code for code in scene.town.devices if not code.startswith("OUT")]
    found = scene.found(*(scene.detection(code, rule="silence", severity=NOTICE) for code in devices))
    applied = scene.apply(found)
    assert (applied.opened, applied.tickets) == (5, 3)


def test_the_alert_keeps_the_chain_of_the_reading_that_opened_it(engine: Engine) -> None:
    scene = Scene(engine)
    scene.detect("PLANT-1")
    opened_at = scene.clock.now()
    scene.clock.advance(MINUTE)
    scene.detect("PLANT-1", UPDATED, severity=CRITICAL)
    with reading(engine) as connection:
        alert = read_alert(connection, 1)
    assert {alert[name] for name in ("at", "received_at", "journalled_at", "opened_at")} == {opened_at}
    assert RULES.rules[alert["rule"]].is_life_safety(Severity(alert["severity"]))
