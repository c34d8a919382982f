"""A gateway that is lost again and again within a while, and not because the platform was away."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.journal import Record
from detectors.safety import SafetyDetector
from detectors.words import Detection, Severity
from ingest.words import Connected, Lost, Rearm, RegistryChanged, RulesChanged
from tests.detectors.linked import FLAPS, only
from tests.detectors.stage import START, Device, Stage, registry_of, short
from tests.detectors.streams import CONTROLS, EVENTS, TICKS, TOWN, moves, readings, records_of

OTHER = Device("GAS-2", "gas", "GW-2")


def town() -> Stage:
    return Stage.of(Device("GAS-1", "gas"), OTHER, rules=only(FLAPS))


def drop(stage: Stage, at: float, code: str = "GW-1") -> None:
    """Lost for five seconds."""
    stage.event("gateway", code, "status", at, online=False)
    stage.event("gateway", code, "status", at + 5, online=True)


def test_so_many_losses_within_the_window_open_rise_ease_and_end() -> None:
    stage = town()
    for at in (0, 100):
        drop(stage, at)
    assert not stage.tick(110)
    drop(stage, 200)
    (said,) = stage.tick(210)
    assert short(said) == ("OPENED", "GW-1", "gateway.flaps", 2, 200, True, "flapping")
    assert (said.value, said.limit, said.evidence["losses"]) == (3.0, 3.0, 3)
    drop(stage, 300)
    drop(stage, 400)
    assert [short(each)[:5] for each in stage.tick(410)] == [("UPDATED", "GW-1", "gateway.flaps", 3, 200)]
    assert stage.detector.open_episodes == 1
    # one passes the window after the other: five, four, three, two, one
    assert [short(each)[0:4:3] for each in stage.ticks(820, 10)] == [("UPDATED", 2)]
    assert not stage.ticks(890, 10)
    assert [short(each)[:5] for each in stage.ticks(910, 10)] == [("CLEARED", "GW-1", "gateway.flaps", 0, 200)]
    assert stage.detector.open_episodes == 0


def test_two_gateways_that_drop_once_each_are_not_one_that_drops_twice() -> None:
    stage = town()
    for at in (0, 100):
        drop(stage, at)
        drop(stage, at, "GW-2")
    assert not stage.ticks(200, 10)


def test_the_same_loss_said_again_counts_once() -> None:
    stage = town()
    for at in (0, 10, 20, 30, 40):
        stage.event("gateway", "GW-1", "status", at, online=False)
    assert not stage.tick(50)


def test_what_the_platform_lost_itself_is_no_loss() -> None:
    stage = town()
    drop(stage, 0)
    drop(stage, 50)
    drop(stage, 98)
    stage.control(Lost(START + 100_000_000), 103)
    drop(stage, 104)
    stage.control(Connected(START + 110_000_000), 110)
    drop(stage, 112)
    assert not stage.ticks(130)
    drop(stage, 140)
    assert [short(each)[:5] for each in stage.tick(141)] == [("OPENED", "GW-1", "gateway.flaps", 2, 140)]


def test_a_silence_is_a_loss_too_and_a_status_of_a_dead_gateway_is_none() -> None:
    stage = Stage.of(Device("GAS-1", "gas"), rules=only(FLAPS, also=("gateway.offline",)))
    stage.read(0, 1.0)
    stage.ticks(200)
    assert [short(each)[:3] for each in stage.found] == [("OPENED", "GW-1", "gateway.offline")]
    stage.event("gateway", "GW-1", "status", 201, online=False)
    stage.event("gateway", "GW-1", "status", 202, online=True)
    stage.tick(203)
    drop(stage, 210)
    assert not [each for each in stage.tick(216) if each.rule == "gateway.flaps"]
    drop(stage, 220)
    assert [each.value for each in stage.tick(226) if each.rule == "gateway.flaps"] == [3.0]


def test_a_closed_alert_is_announced_again_and_a_withdrawn_or_retired_one_ends() -> None:
    stage = town()
    for at in (0, 10, 20):
        drop(stage, at)
    stage.tick(30)
    stage.control(Rearm("gateway", "GW-1", "gateway.flaps"), 40)
    assert [short(each)[:5] for each in stage.tick(41)] == [("OPENED", "GW-1", "gateway.flaps", 2, 20)]
    before = stage.detector.snapshot()
    stage.versions[2] = only(version=2)
    assert [each.reason for each in stage.control(RulesChanged(2), 50)] == ["rule_withdrawn"]
    stage.detector = SafetyDetector(stage.registry, stage.rules, None, lambda: registry_of([OTHER]))
    stage.detector.restore(*before)
    assert [each.reason for each in stage.control(RegistryChanged(2), 60)] == ["retired"]


BUSY = only(FLAPS, also=("gateway.offline", "device.silence"))


@settings(max_examples=80, deadline=None)
@given(moves(EVENTS, EVENTS, TICKS, CONTROLS, readings()), st.floats(0, 1))
def test_a_snapshot_in_between_changes_nothing(stream: list[Any], share: float) -> None:
    def run(detector: SafetyDetector, records: list[Record]) -> list[Detection]:
        return [found for record in records for found in detector.apply(record)]

    records = records_of(stream)
    split = int(share * len(records))
    first, second = SafetyDetector(TOWN, BUSY), SafetyDetector(TOWN, BUSY)
    before = run(first, records[:split])
    second.restore(*first.snapshot())
    assert before + run(second, records[split:]) == run(SafetyDetector(TOWN, BUSY), records)


@pytest.mark.parametrize("limit", [0.0, 0.5, 1.0])
def test_a_limit_of_nothing_needs_a_loss(limit: float) -> None:
    stage = Stage.of(
        Device("GAS-1", "gas"),
        rules=only(msgspec.structs.replace(FLAPS, limits={Severity.WARNING: limit}, recovery=limit)),
    )
    assert not stage.tick(1)
    drop(stage, 2)
    assert [short(each)[:2] for each in stage.tick(8)] == [("OPENED", "GW-1")]
