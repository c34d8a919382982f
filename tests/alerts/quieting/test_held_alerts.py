"""Held alerts: opened and shown, without ticket and notice until their hold is over; life-safety never by mistake."""

import pytest

from alerts.event_tables import change
from alerts.matching import matcher
from alerts.moves import Moved
from alerts.quiet_limits import QuietRefused
from alerts.quiet_tables import quiet
from alerts.tables import ticket_log
from core.clock import DAY, HOUR, MINUTE, SECOND
from detectors.words import Change, Severity
from tests.alerts.desk_scene import at_local
from tests.alerts.quieting.quiet_scene import QuietScene

NOISE = (matcher("rule", "=", "noise"),)


def test_what_a_silence_holds_is_opened_and_shown_without_ticket_or_notice(quiets: QuietScene) -> None:
    made = quiets.quiet(*NOISE)
    applied = quiets.detect("PLANT-1", rule="noise")
    (alert,) = quiets.alerts
    assert (applied.opened, applied.held, applied.tickets, applied.notices) == (1, 1, 0, 0)
    assert (alert["state"], alert["held"], alert["held_by"], alert["ticket"]) == ("open", "silence", made["id"], None)
    assert alert["evidence"]["held"]["reason"] == "silenced"
    told = [row["what"] for row in quiets.rows(change) if row["kind"] == "alert"]
    assert [(what["action"], what["held"]) for what in told] == [("opened", "silence")]


def test_a_double_click_makes_one_silence(quiets: QuietScene) -> None:
    made = quiets.quiet(*NOISE)
    quiets.clock.advance(SECOND)
    assert quiets.quiet(*NOISE)["id"] == made["id"]
    assert quiets.quiet(matcher("rule", "=", "other"))["id"] != made["id"]
    quiets.clock.advance(MINUTE)
    assert quiets.quiet(*NOISE)["id"] != made["id"]


def test_it_finds_its_ticket_when_the_hold_is_over(quiets: QuietScene) -> None:
    quiets.quiet(*NOISE)
    quiets.detect("PLANT-1", rule="noise")
    quiets.clock.advance(HOUR - 1)
    assert quiets.release() == 0
    quiets.clock.advance(1)
    assert quiets.release() == 1
    (alert,) = quiets.alerts
    assert (alert["held"], alert["held_by"], alert["ticket"]) == (None, None, 1)
    assert quiets.notices
    released = [row for row in quiets.rows(ticket_log) if row["action"] == "released"]
    assert [(row["reason"], row["details"]["held"]) for row in released] == [("hold_over", "silence")]
    assert quiets.release() == 0


def test_the_next_detection_releases_it_too(quiets: QuietScene) -> None:
    quiets.quiet(*NOISE)
    quiets.detect("PLANT-1", rule="noise")
    quiets.clock.advance(HOUR)
    assert quiets.detect("FAR-1").released == 1
    assert quiets.alert_of("PLANT-1")["ticket"] is not None


def test_ended_by_hand_it_releases_what_it_held(quiets: QuietScene) -> None:
    made = quiets.quiet(*NOISE)
    quiets.detect("PLANT-1", rule="noise")
    ended = quiets.end(made["id"])
    assert (ended["ended_by"], ended["ended_why"], ended["ended_at"]) == ("DISP-1", "by_hand", quiets.clock.now())
    assert quiets.release() == 1
    with pytest.raises(QuietRefused, match="over"):
        quiets.end(made["id"])


def test_what_clears_while_it_is_held_never_had_a_ticket(quiets: QuietScene) -> None:
    quiets.quiet(*NOISE)
    quiets.detect("PLANT-1", rule="noise")
    quiets.detect("PLANT-1", Change.CLEARED, rule="noise")
    quiets.clock.advance(2 * HOUR)
    assert quiets.release() == 0
    (alert,) = quiets.alerts
    assert (alert["state"], alert["held"], alert["ticket"]) == ("closed", None, None)
    assert alert["evidence"]["held"]["kind"] == "silence", "what held it stays said"


def test_another_quiet_takes_over(quiets: QuietScene) -> None:
    quiets.quiet(*NOISE)
    quiets.detect("PLANT-1", rule="noise")
    longer = quiets.quiet(matcher("site", "=", "PLANT"), span=2 * HOUR)
    assert quiets.release() == 0
    assert quiets.alerts[0]["held_by"] == longer["id"]
    quiets.clock.advance(HOUR)
    assert quiets.release() == 0
    quiets.clock.advance(HOUR)
    assert quiets.release() == 1


def test_a_plain_silence_never_holds_life_safety(quiets: QuietScene) -> None:
    quiets.quiet(matcher("site", "=", "PLANT"))
    assert quiets.detect("PLANT-1").notices > 0
    assert quiets.alerts[0]["held"] is None


def test_one_that_was_made_for_it_holds_life_safety_until_its_end(quiets: QuietScene) -> None:
    quiets.quiet(matcher("subject", "=", "PLANT-1"), life_safety=True)
    quiets.detect("PLANT-1")
    quiets.detect("PLANT-2")
    assert quiets.holds() == [("PLANT-1", "silence"), ("PLANT-2", None)]
    quiets.clock.advance(HOUR)
    assert quiets.release() == 1
    told = {notice["alert"] for notice in quiets.notices}
    assert told == {1, 2}


def test_what_becomes_a_matter_of_life_and_safety_is_released_at_once(quiets: QuietScene) -> None:
    quiets.quiet(matcher("site", "=", "PLANT"))
    quiets.detect("PLANT-1", rule="rise", severity=Severity.ALARM)
    assert quiets.holds() == [("PLANT-1", "silence")]
    applied = quiets.detect("PLANT-1", Change.UPDATED, rule="rise", severity=Severity.CRITICAL)
    assert (applied.raised, applied.released, applied.tickets) == (1, 1, 1)
    assert applied.notices > 0
    assert quiets.tickets[0]["life_safety"]


def test_what_rises_above_what_was_silenced_is_released(quiets: QuietScene) -> None:
    quiets.quiet(*NOISE, matcher("severity", "in", "notice", "warning"))
    quiets.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    quiets.detect("PLANT-1", Change.UPDATED, rule="noise", severity=Severity.WARNING)
    assert quiets.holds() == [("PLANT-1", "silence")]
    assert quiets.detect("PLANT-1", Change.UPDATED, rule="noise", severity=Severity.ALARM).tickets == 1


def test_what_is_only_recorded_is_not_held_until_it_is_paged(quiets: QuietScene) -> None:
    quiets.quiet(*NOISE)
    assert quiets.detect("PLANT-1", rule="noise", page=False).held == 0
    assert quiets.detect("PLANT-1", Change.UPDATED, rule="noise").held == 1
    quiets.clock.advance(HOUR)
    assert quiets.release() == 1


def test_a_ticket_that_is_there_goes_on(quiets: QuietScene) -> None:
    quiets.detect("PLANT-1", rule="noise", severity=Severity.WARNING)
    quiets.quiet(*NOISE)
    assert quiets.release() == 0
    before = len(quiets.notices)
    assert quiets.detect("PLANT-1", Change.UPDATED, rule="noise", severity=Severity.ALARM).held == 0
    assert len(quiets.notices) > before


def test_a_shelf_holds_the_same_rule_on_the_same_subject_until_its_end(quiets: QuietScene) -> None:
    quiets.detect("PLANT-1", rule="noise")
    quiets.shelve(1)
    quiets.detect("PLANT-1", Change.CLEARED, rule="noise")
    quiets.clock.advance(SECOND)
    quiets.detect("PLANT-1", rule="noise", onset=quiets.clock.now())
    quiets.detect("PLANT-2", rule="noise", onset=quiets.clock.now())
    assert quiets.holds() == [("PLANT-1", "shelf"), ("PLANT-2", None)]


def test_a_one_shot_shelf_ends_when_its_alert_clears(quiets: QuietScene) -> None:
    quiets.detect("PLANT-1", rule="noise")
    quiets.shelve(1, one_shot=True)
    quiets.detect("PLANT-2", rule="noise")
    quiets.detect("PLANT-2", Change.CLEARED, rule="noise")
    assert quiets.rows(quiet)[0]["ended_at"] is None, "another's end is nothing to it"
    quiets.detect("PLANT-1", Change.CLEARED, rule="noise")
    (shelf,) = quiets.rows(quiet)
    assert (shelf["ended_why"], shelf["ended_at"]) == ("cleared", quiets.clock.now())
    quiets.clock.advance(SECOND)
    assert quiets.detect("PLANT-1", rule="noise", onset=quiets.clock.now()).held == 0


def test_a_shelf_has_a_maximum_and_life_safety_a_shorter_one_that_only_a_leader_sets(quiets: QuietScene) -> None:
    quiets.detect("PLANT-1")
    for refusal, more in (
        ("life_safety_named", {}),
        ("leader_only", {"life_safety": True}),
        ("too_long", {"life_safety": True, "role": "leader", "span": HOUR + 1}),
    ):
        with pytest.raises(QuietRefused) as refused:
            quiets.shelve(1, **more)  # type: ignore[arg-type]
        assert refused.value.reason == refusal
    assert quiets.shelve(1, life_safety=True, role="leader")["ends_at"] == quiets.clock.now() + HOUR
    with pytest.raises(QuietRefused) as refused:
        quiets.shelve(99)
    assert refused.value.reason == "unknown_alert"
    quiets.detect("PLANT-1", Change.CLEARED)
    with pytest.raises(QuietRefused) as refused:
        quiets.shelve(1)
    assert refused.value.reason == "not_open"


def test_a_window_holds_night_after_night_and_lets_go_in_the_morning(quiets: QuietScene) -> None:
    hours = {"days": [1, 2, 3, 4, 5], "from": "22:00", "to": "06:00"}
    quiets.quiet(*NOISE, kind="window", span=30 * DAY, schedule=hours)
    assert quiets.detect("FAR-1", rule="noise").held == 0
    for night, device in (("2026-09-21 23:30", "PLANT-1"), ("2026-09-23 03:00", "NEXT-1")):
        quiets.clock.value = at_local(night)
        assert quiets.detect(device, rule="noise", onset=quiets.clock.now()).held == 1
    quiets.clock.value = at_local("2026-09-23 05:59")
    assert quiets.release() == 0
    quiets.clock.value = at_local("2026-09-23 06:00")
    assert quiets.release() == 2


def test_a_clock_set_back_before_a_silence_began_lets_go(quiets: QuietScene) -> None:
    quiets.quiet(*NOISE)
    quiets.detect("PLANT-1", rule="noise")
    quiets.clock.advance(-MINUTE)
    assert quiets.release() == 1


def test_cleared_by_hand_while_it_is_held_and_still_bad_it_is_held_again_and_released(quiets: QuietScene) -> None:
    quiets.quiet(*NOISE)
    quiets.detect("PLANT-1", rule="noise")
    rearm = quiets.clear(1)
    assert (rearm.rule, quiets.alerts[0]["state"], quiets.alerts[0]["held"]) == ("noise", "closed", None)
    applied = quiets.detect("PLANT-1", rule="noise")  # what the detector says when it is armed again
    assert (applied.reopened, applied.held, applied.tickets) == (1, 1, 0)
    quiets.clock.advance(HOUR)
    assert quiets.release() == 1
    assert quiets.alerts[0]["ticket"] is not None


def test_a_ticket_closed_by_hand_while_its_alert_is_silenced_comes_back_when_the_silence_is_over(
    quiets: QuietScene,
) -> None:
    quiets.detect("PLANT-1", rule="noise")
    closed = quiets.finish()
    assert isinstance(closed, Moved)
    assert [each.rule for each in closed.rearm] == ["noise"]
    quiets.quiet(*NOISE)
    quiets.detect("PLANT-1", rule="noise")
    assert quiets.holds() == [("PLANT-1", "silence")]
    quiets.clock.advance(HOUR)
    assert quiets.release() == 1
    assert quiets.tickets[-1]["linked_to"] == 1


def test_what_is_quieted_is_told_to_pages(quiets: QuietScene) -> None:
    made = quiets.quiet(*NOISE)
    quiets.end(made["id"])
    told = [(row["kind"], row["what"]["action"], row["what"]["owner"]) for row in quiets.rows(change)]
    assert told == [("quiet", "set", "LEAD-1"), ("quiet", "ended", "LEAD-1")]
