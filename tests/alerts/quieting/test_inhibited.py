"""Inhibition by topology: a dead gateway holds its devices' silence, a site without power its devices' faults."""

import pytest

from alerts.inhibition import INHIBITORS, Inhibitor
from alerts.matching import matcher
from core.clock import HOUR, MINUTE, SECOND
from detectors.rules import load_packs
from detectors.words import Change
from tests.alerts.quieting.quiet_scene import QuietScene


def test_a_dead_gateway_holds_the_silence_of_its_devices_and_of_no_others(quiets: QuietScene) -> None:
    quiets.detect("GW-0001", rule="gateway")
    quiets.detect("FAR-1", rule="silence")
    quiets.detect("ROAD-1", rule="frozen")
    quiets.detect("S3-1", rule="silence")
    quiets.detect("GHOST-1", rule="silence")
    assert quiets.holds() == [
        ("GW-0001", None),
        ("FAR-1", "inhibited"),
        ("ROAD-1", "inhibited"),
        ("S3-1", None),
        ("GHOST-1", None),
    ]
    assert quiets.alerts[1]["held_by"] == 1
    assert quiets.alerts[1]["evidence"]["held"]["reason"] == "gateway_offline"


def test_life_safety_behind_a_dead_gateway_is_told(quiets: QuietScene) -> None:
    quiets.detect("GW-0001", rule="gateway")
    assert quiets.detect("FAR-1").notices > 0


def test_a_gateway_that_is_only_recorded_inhibits_nothing(quiets: QuietScene) -> None:
    quiets.detect("GW-0001", rule="gateway", page=False)
    assert quiets.detect("FAR-1", rule="silence").held == 0


def test_both_in_one_transaction(quiets: QuietScene) -> None:
    found = quiets.found(
        quiets.detection("PLANT-1", rule="silence"),
        quiets.detection("GW-0001", rule="gateway"),
        quiets.detection("FAR-1", rule="silence"),
        quiets.detection("GW-0001", Change.CLEARED, rule="gateway"),
        quiets.detection("ROAD-1", rule="silence"),
    )
    assert quiets.apply(found).held == 1
    assert quiets.holds() == [("PLANT-1", None), ("FAR-1", "inhibited"), ("ROAD-1", None)]


def test_when_the_gateway_is_back_its_devices_have_some_time_then_they_are_told(quiets: QuietScene) -> None:
    quiets.detect("GW-0001", rule="gateway")
    quiets.detect("FAR-1", rule="silence")
    quiets.detect("ROAD-1", rule="silence")
    quiets.detect("GW-0001", Change.CLEARED, rule="gateway")
    quiets.clock.advance(5 * MINUTE - 1)
    assert quiets.release() == 0
    quiets.detect("ROAD-1", Change.CLEARED, rule="silence")
    quiets.clock.advance(1)
    assert quiets.release() == 1
    assert quiets.holds() == [("FAR-1", None)]
    assert quiets.alert_of("FAR-1")["ticket"] is not None


def test_a_silenced_gateway_still_inhibits_so_that_its_devices_stay_quiet_too(quiets: QuietScene) -> None:
    quiets.quiet(matcher("gateway", "=", "GW-0001"), matcher("subject_kind", "=", "gateway"))
    quiets.detect("GW-0001", rule="gateway")
    quiets.detect("FAR-1", rule="silence")
    assert quiets.holds() == [("GW-0001", "silence"), ("FAR-1", "inhibited")]
    quiets.clock.advance(HOUR)
    assert quiets.release() == 1
    assert quiets.holds() == [("GW-0001", None), ("FAR-1", "inhibited")]


def test_a_site_without_power_holds_its_devices_but_no_danger(quiets: QuietScene) -> None:
    quiets.detect("PLANT", rule="power")
    quiets.detect("PLANT-1", rule="silence")
    quiets.detect("PLANT-2")
    quiets.detect("FAR-1", rule="silence")
    assert quiets.holds() == [("PLANT", None), ("PLANT-1", "inhibited"), ("PLANT-2", None), ("FAR-1", None)]
    quiets.clock.advance(SECOND)
    quiets.detect("PLANT", Change.CLEARED, rule="power")
    quiets.clock.advance(5 * MINUTE)
    assert quiets.detect("ROAD-1", rule="noise").opened == 1
    assert quiets.release() == 1


def test_what_a_site_without_power_measures_is_told(quiets: QuietScene) -> None:
    quiets.detect("PLANT", rule="power")
    assert quiets.detect("PLANT-1", rule="noise").held == 0


@pytest.mark.parametrize("inhibitor", INHIBITORS, ids=lambda each: each.name)
def test_the_packs_have_rules_on_both_sides_of_an_inhibitor(inhibitor: Inhibitor) -> None:
    known = [
        {"rule": each.id, "kind": each.kind, "hazard": each.hazard, "category": each.category}
        for each in load_packs().rules.values()
    ]
    for side in (inhibitor.source, inhibitor.target):
        assert any(all(one.label not in labels or one.holds(labels) for one in side) for labels in known)


def test_the_hold_of_a_gateway_cleared_by_hand_ends_and_is_taken_up_again(quiets: QuietScene) -> None:
    quiets.detect("GW-0001", rule="gateway")
    quiets.detect("FAR-1", rule="silence")
    quiets.clear(1)
    assert quiets.detect("GW-0001", rule="gateway").reopened == 1
    quiets.clock.advance(HOUR)
    assert quiets.release() == 0
    assert quiets.holds() == [("GW-0001", None), ("FAR-1", "inhibited")]
