"""Devices that their gateway, or their last will, reports out of reach."""

from typing import Any

import pytest

from detectors.words import Severity
from ingest.words import Connected, Lost, Rearm
from tests.detectors.stage import Device, Row, Stage, moment, short, with_rules

TWO = (Device("GAS-1", "gas"), Device("GAS-2", "gas"))
TOLD = ("OPENED", "GAS-2", "device.silence", 2, 20, True, "reported_unreachable")


def speaking(stage: Stage, until: int, *codes: str) -> None:
    """Time passes in steps of ten seconds while these devices speak."""
    while stage.now + 10 <= until:
        now = stage.now + 10
        if codes:
            stage.rows(*(Row(code, "gas_lel", now, (now / 7) % 5) for code in codes))
        stage.tick(now)


@pytest.fixture
def stage() -> Stage:
    """Two gas detectors that spoke at 0 and 10; GAS-1 goes on, GAS-2 was reported out of reach at 20."""
    made = Stage.of(*TWO)
    made.tick(0)
    speaking(made, 10, "GAS-1", "GAS-2")
    reach(made, "GAS-2", 20, online=False)
    return made


def reach(stage: Stage, code: str, at: float, received: float | None = None, **more: Any) -> None:
    assert stage.event("device", code, "status", at, received, **more) == []


def test_it_is_told_after_its_gateways_dwell_and_long_before_it_is_silent(stage: Stage) -> None:
    speaking(stage, 70, "GAS-1")
    assert stage.found == []
    speaking(stage, 80, "GAS-1")
    assert [short(d) for d in stage.found] == [TOLD]
    assert stage.found[0].evidence["reported_at"] == moment(20)
    assert stage.found[0].evidence["last_received"] == moment(10)
    speaking(stage, 300, "GAS-1")
    assert len(stage.found) == 1, "that it is silent too by then is the same episode"


@pytest.mark.parametrize("back", [25, 75])
def test_one_that_connects_anew_alarms_nobody(stage: Stage, back: int) -> None:
    speaking(stage, back, "GAS-1")
    reach(stage, "GAS-2", back, online=True)
    speaking(stage, back + 60, "GAS-1", "GAS-2")
    assert stage.found == []


def test_back_online_ends_it_and_counts_as_heard(stage: Stage) -> None:
    speaking(stage, 100, "GAS-1")
    reach(stage, "GAS-2", 105, online=True)
    speaking(stage, 115, "GAS-1")
    assert [short(d)[::6] for d in stage.found] == [("OPENED", "reported_unreachable"), ("CLEARED", "recovered")]
    assert stage.found[1].onset == moment(20)
    speaking(stage, 195, "GAS-1")
    assert len(stage.found) == 2
    speaking(stage, 205, "GAS-1")
    assert short(stage.found[2])[4:] == (105, True, "silence")


def test_a_newer_reading_ends_it_an_older_one_that_comes_late_does_not(stage: Stage) -> None:
    speaking(stage, 100, "GAS-1")
    stage.read(15, 1, "GAS-2", received=101)
    speaking(stage, 110, "GAS-1")
    assert [short(d) for d in stage.found] == [TOLD]
    stage.read(112, 1, "GAS-2")
    assert [short(d)[:3] for d in stage.tick(113)] == [("CLEARED", "GAS-2", "device.silence")]


def test_a_reading_overtakes_a_report_that_was_under_way() -> None:
    stage = Stage.of(*TWO)
    stage.tick(0)
    speaking(stage, 30, "GAS-1", "GAS-2")
    reach(stage, "GAS-2", 25, 31, online=False)
    speaking(stage, 100, "GAS-1", "GAS-2")
    assert stage.found == []


def test_a_repeated_report_neither_delays_nor_doubles_it(stage: Stage) -> None:
    for at in range(30, 80, 10):
        reach(stage, "GAS-2", at, online=False)
        speaking(stage, at, "GAS-1")
    speaking(stage, 90, "GAS-1")
    assert [short(d) for d in stage.found] == [TOLD]


def test_a_second_report_after_a_reading_counts_anew(stage: Stage) -> None:
    stage.read(22, 1, "GAS-2")
    reach(stage, "GAS-2", 24, online=False)
    speaking(stage, 90, "GAS-1")
    assert [short(d)[4] for d in stage.found] == [24]


def test_an_old_report_changes_nothing(stage: Stage) -> None:
    speaking(stage, 40, "GAS-1")
    reach(stage, "GAS-2", 19, 41, online=True)
    speaking(stage, 90, "GAS-1")
    assert [short(d) for d in stage.found] == [TOLD]


def test_a_dead_gateway_counts_once_with_all_that_it_reports() -> None:
    """As a node's death says it: the gateway is offline, and so is each of its devices."""
    stage = Stage.of(*(Device(f"GAS-{n}", "gas") for n in range(5)))
    codes = [f"GAS-{n}" for n in range(5)]
    stage.tick(0)
    speaking(stage, 10, *codes)
    for code in codes:
        reach(stage, code, 20, online=False)
    stage.event("gateway", "GW-1", "status", 20, online=False)
    speaking(stage, 600)
    assert [short(d) for d in stage.found] == [("OPENED", "GW-1", "gateway.offline", 3, 20, True, "gateway_offline")]
    assert stage.found[0].evidence["inhibited"] == 5
    stage.event("gateway", "GW-1", "status", 605, online=True)
    for code in codes[:4]:
        reach(stage, code, 606, online=True)
    speaking(stage, 640, *codes[:4])
    assert [short(d)[:2] for d in stage.found[1:]] == [("CLEARED", "GW-1")]
    speaking(stage, 700, *codes[:4])
    assert [short(d)[1:2] + short(d)[-1:] for d in stage.found[2:]] == [("GAS-4", "reported_unreachable")], (
        "the one that the node did not find again"
    )


def test_devices_that_go_at_once_without_a_word_of_the_gateway_count_once() -> None:
    """A wire is cut: each device's last will speaks, the gateway itself has none."""
    stage = Stage.of(*(Device(f"GAS-{n}", "gas") for n in range(5)))
    stage.tick(0)
    speaking(stage, 30, *(f"GAS-{n}" for n in range(5)))
    for n in range(5):
        reach(stage, f"GAS-{n}", 75, online=False)
    speaking(stage, 400)
    assert [d.subject.id for d in stage.found] == ["GW-1"]


@pytest.mark.parametrize("state", ["commissioning", "retired"])
def test_only_a_device_in_service_is_told(state: str) -> None:
    stage = Stage.of(TWO[0], TWO[1]._replace(state=state))
    reach(stage, "GAS-2", 0, online=False)
    speaking(stage, 200, "GAS-1")
    assert stage.found == []


def test_a_device_without_a_silence_rule_is_not_told() -> None:
    stage = Stage.of(*TWO, rules=with_rules(0, device__silence=None))
    reach(stage, "GAS-2", 0, online=False)
    speaking(stage, 200, "GAS-1")
    assert stage.found == []


def test_its_own_words_are_no_report() -> None:
    """What says nothing of being online is an event as any other; a report is no event of a rule."""
    rules = with_rules(0, smoke__alarm={"event": "status"})
    stage = Stage.of(Device("SMK-1", "smoke"), rules=rules)
    reach(stage, "SMK-1", 0, online=True)
    reach(stage, "SMK-1", 1, online="no")
    assert [d.rule for d in stage.event("device", "SMK-1", "status", 2, active=True)] == ["smoke.alarm"]


def test_a_restart_waits_for_what_may_come_back(stage: Stage) -> None:
    stage.control(Lost(moment(30)), 30)
    stage.control(Connected(moment(600)), 600)
    speaking(stage, 640, "GAS-1")
    assert stage.found == []
    speaking(stage, 660, "GAS-1")
    assert [short(d) for d in stage.found] == [TOLD]


def test_closed_by_hand_it_is_told_again_with_its_onset(stage: Stage) -> None:
    speaking(stage, 80, "GAS-1")
    stage.control(Rearm("device", "GAS-2", "device.silence"))
    speaking(stage, 90, "GAS-1")
    assert [short(d) for d in stage.found] == [TOLD, TOLD]


def test_a_snapshot_from_before_such_reports_is_taken(stage: Stage) -> None:
    meta, arrays = stage.detector.snapshot()
    for name in ("offline_at", "offline_received", "status_at"):
        del arrays[f"device.{name}"]
    stage.detector.restore(meta, arrays)
    speaking(stage, 90, "GAS-1")
    assert stage.found == []
    reach(stage, "GAS-2", 95, online=False)
    speaking(stage, 160, "GAS-1")
    assert [(d.severity, d.reason) for d in stage.found] == [(Severity.WARNING, "reported_unreachable")]


SLOW = (Device("MHL-1", "manhole"), Device("MHL-2", "manhole"))


def slow() -> Stage:
    """Two manhole covers, which speak every few hours."""
    made = Stage.of(*SLOW)
    made.tick(0)
    made.rows(Row("MHL-1", "tilt", 1, 0), Row("MHL-2", "tilt", 1, 0))
    return made


def test_a_report_after_our_own_restart_does_not_wait_for_a_slow_devices_interval() -> None:
    stage = slow()
    stage.control(Lost(moment(30)), 30)
    stage.control(Connected(moment(60)), 60)
    reach(stage, "MHL-2", 70, online=False)
    assert [short(d)[1:2] + short(d)[4:] for d in stage.ticks(140)] == [("MHL-2", 70, True, "reported_unreachable")]


def test_nor_one_after_its_gateways_return() -> None:
    stage = slow()
    stage.event("gateway", "GW-1", "status", 10, online=False)
    stage.ticks(100)
    stage.event("gateway", "GW-1", "status", 101, online=True)
    stage.ticks(110)
    reach(stage, "MHL-2", 120, online=False)
    stage.ticks(200)
    assert [short(d)[:2] for d in stage.found] == [("OPENED", "GW-1"), ("CLEARED", "GW-1"), ("OPENED", "MHL-2")]


def test_while_we_hear_nothing_nothing_is_told() -> None:
    stage = slow()
    reach(stage, "MHL-2", 10, online=False)
    stage.control(Lost(moment(20)), 20)
    assert stage.ticks(200) == []


def test_without_a_rule_on_gateways_it_waits_a_minute_too() -> None:
    stage = Stage.of(*TWO, rules=with_rules(0, gateway__offline=None))
    stage.tick(0)
    speaking(stage, 10, "GAS-1", "GAS-2")
    reach(stage, "GAS-2", 20, online=False)
    speaking(stage, 70, "GAS-1")
    assert stage.found == []
    speaking(stage, 80, "GAS-1")
    assert [short(d) for d in stage.found] == [TOLD]
