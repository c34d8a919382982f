"""Alerts that chatter: the first three openings are told, then their ticket stands for them; danger is told again."""

from itertools import pairwise

from alerts.chattering import ChatterPolicy, Opening, decide_chattering
from alerts.tables import ticket_log
from core.clock import MINUTE, SECOND
from detectors.words import Change, Severity
from tests.alerts.quieting.quiet_scene import QuietScene

POLICY = ChatterPolicy()


def comes_and_goes(
    scene: QuietScene, times: int, rule: str = "noise", severity: Severity = Severity.WARNING, span: int = 10 * SECOND
) -> list[int]:
    """How many notices each opening caused."""
    told = []
    for _ in range(times):
        scene.clock.advance(span // 2)
        told.append(scene.detect("PLANT-1", rule=rule, severity=severity, onset=scene.clock.now()).notices)
        scene.clock.advance(span // 2)
        scene.detect("PLANT-1", Change.CLEARED, rule=rule)
    return told


def test_three_openings_within_a_minute_chatter() -> None:
    earlier = [Opening(30 * SECOND, None), Opening(0, None)]
    begins = decide_chattering(earlier, MINUTE, False, None, POLICY)
    assert begins == (0, "as_usual", "chattering_begins")
    assert decide_chattering(earlier, MINUTE + 1, False, None, POLICY).since is None
    assert decide_chattering(earlier[:1], MINUTE, False, None, POLICY).reason == "seldom"
    ahead = [Opening(2 * MINUTE, None), Opening(2 * MINUTE, None)]
    assert decide_chattering(ahead, MINUTE, False, None, POLICY).since is None, "the clock was set back"


def test_it_goes_on_until_ten_minutes_without() -> None:
    earlier = [Opening(MINUTE, 7)]
    assert decide_chattering(earlier, 11 * MINUTE, False, None, POLICY) == (7, "quietly", "still_chattering")
    assert decide_chattering(earlier, 11 * MINUTE + 1, False, None, POLICY).since is None


def test_danger_that_chatters_is_told_every_five_minutes() -> None:
    earlier = [Opening(MINUTE, 7)]
    assert decide_chattering(earlier, 6 * MINUTE, True, MINUTE, POLICY).told == "as_usual"
    assert decide_chattering(earlier, 6 * MINUTE - 1, True, MINUTE, POLICY).told == "quietly"


def test_a_warning_that_chatters_keeps_one_ticket_and_is_quiet_after_the_third(quiets: QuietScene) -> None:
    told = comes_and_goes(quiets, 8)
    assert [count > 0 for count in told] == [True, True, True, *[False] * 5]
    assert [alert["chattering"] is not None for alert in quiets.alerts] == [False, False, *[True] * 6]
    assert len(quiets.tickets) == 3, "the first two recovered by themselves"
    assert (quiets.tickets[-1]["status"], quiets.tickets[-1]["recovered_at"]) == ("dispatched", quiets.clock.now())
    (said,) = [row for row in quiets.rows(ticket_log) if row["action"] == "chattering"]
    assert (said["ticket"], said["details"]["openings"]) == (3, 3)


def test_after_ten_quiet_minutes_it_is_told_as_usual(quiets: QuietScene) -> None:
    comes_and_goes(quiets, 5, rule="gas.lel", severity=Severity.ALARM)
    quiets.clock.advance(11 * MINUTE)
    assert comes_and_goes(quiets, 1, rule="gas.lel", severity=Severity.ALARM)[0] > 0
    assert quiets.alerts[-1]["chattering"] is None


def test_danger_that_chatters_is_told_three_times_and_then_every_five_minutes(quiets: QuietScene) -> None:
    told = comes_and_goes(quiets, 40, rule="gas.lel", severity=Severity.ALARM, span=20 * SECOND)
    heard = [place for place, count in enumerate(told) if count]
    assert heard[:3] == [0, 1, 2]
    gaps = [(after - before) * 20 * SECOND for before, after in pairwise(heard[2:])]
    assert gaps
    assert max(gaps) <= 5 * MINUTE + 20 * SECOND
    assert len(heard) < 8
    assert len(quiets.tickets) == 1


def test_danger_that_chatters_and_rises_is_told_at_once(quiets: QuietScene) -> None:
    comes_and_goes(quiets, 5, rule="gas.lel", severity=Severity.ALARM)
    assert comes_and_goes(quiets, 1, rule="gas.lel", severity=Severity.CRITICAL)[0] > 0


def test_after_it_was_handled_the_ticket_goes_back_and_is_told(quiets: QuietScene) -> None:
    comes_and_goes(quiets, 4)
    quiets.handle(3)
    assert comes_and_goes(quiets, 1)[0] > 0
    assert quiets.tickets[-1]["status"] == "accepted"


def test_another_device_does_not_chatter_with_it(quiets: QuietScene) -> None:
    for device in ("PLANT-1", "PLANT-2", "FAR-1"):
        quiets.detect(device, rule="noise", onset=quiets.clock.now())
    assert not any(alert["chattering"] for alert in quiets.alerts)
