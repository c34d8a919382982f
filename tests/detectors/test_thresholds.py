"""Rules on readings: limits in both directions, dwell, recovery, over-range, rates, frozen and out of range."""

import pytest

from core.clock import SECOND
from detectors.rules import RuleSet
from detectors.words import Severity
from ingest.words import Quality
from tests.detectors.stage import Device, Row, Stage, moment, short

OUT = int(Quality.OUT_OF_RANGE)


def gas() -> Stage:
    return Stage.of(Device("GAS-1", "gas"))


def test_a_level_opens_after_its_dwell_and_closes_at_the_recovery_limit() -> None:
    stage = gas()
    for at, value in ((0, 3), (10, 30), (14, 31), (16, 32), (20, 22), (21, 19)):
        stage.read(at, value)
    assert [short(d) for d in stage.found] == [
        ("OPENED", "GAS-1", "gas.leak", 3, 10, True, "threshold"),
        ("CLEARED", "GAS-1", "gas.leak", 0, 10, True, "recovered"),
    ]
    opened = stage.found[0]
    assert (opened.value, opened.limit, opened.series) == (32, 25, 0)
    assert opened.evidence["dwell_s"] == 5
    assert opened.evidence["recovery"] == 20


def test_a_dip_below_the_limit_starts_the_dwell_anew() -> None:
    stage = gas()
    for at, value in ((0, 30), (4, 24), (5, 30), (9, 30)):
        stage.read(at, value)
    assert stage.found == []
    assert short(stage.read(10, 30)[0])[4] == 5


def test_each_level_has_its_own_dwell() -> None:
    stage = gas()
    for at, value in ((0, 30), (4, 60), (6, 60), (9, 60), (10, 45), (11, 44)):
        stage.read(at, value)
    assert [short(d)[:1] + short(d)[3:] for d in stage.found] == [
        ("OPENED", 3, 0, True, "threshold"),
        ("UPDATED", 4, 0, True, "threshold"),
        ("UPDATED", 3, 0, True, "eased"),
    ]


def test_the_limit_itself_violates_upwards_but_not_downwards() -> None:
    stage = Stage.of(Device("ELE-1", "electrical"), Device("GAS-1", "gas"))
    stage.read(0, 300, "ELE-1", "residual_current")
    stage.read(0, 20, "GAS-1", "battery")
    assert [short(d)[2] for d in stage.read(30, 300, "ELE-1", "residual_current")] == ["electrical.residual_current"]
    assert [short(d)[2] for d in stage.read(31, 19.9, "GAS-1", "battery")] == ["device.battery"]
    assert stage.read(32, 24, "GAS-1", "battery") == []
    assert short(stage.read(33, 25, "GAS-1", "battery")[0])[0] == "CLEARED"


def test_congestion_is_a_lower_limit_and_an_empty_road_is_none() -> None:
    stage = Stage.of(Device("TRF-1", "traffic"))
    for minute in range(21):
        stage.read(60 * minute, 0, "TRF-1", "speed")
    assert stage.found == []
    for minute in range(21, 33):
        stage.read(60 * minute, 15 if minute < 25 else 8 + minute / 100, "TRF-1", "speed")
    assert [short(d)[3:5] for d in stage.found] == [(2, 21 * 60)]
    assert [short(d)[3] for d in stage.read(35 * 60, 9, "TRF-1", "speed")] == [3]


def test_over_range_on_a_life_safety_metric_is_its_highest_severity() -> None:
    stage = gas()
    stage.read(0, 120, quality=OUT)
    assert [short(d)[3:] for d in stage.read(5, 121, quality=OUT)] == [(4, 0, True, "over_range")]
    assert not [d for d in stage.read(10, 122, quality=OUT) if "out_of_range" in d.rule]


def test_under_range_on_a_life_safety_metric_is_a_fault_of_the_device() -> None:
    stage = gas()
    stage.read(0, 30)
    for at in (1, 2, 3):
        stage.read(at, -8, quality=OUT)
    assert [short(d) for d in stage.found] == [
        ("OPENED", "GAS-1", "device.out_of_range.gas_lel", 2, 1, True, "out_of_range")
    ]
    assert [short(d)[2] for d in stage.read(5, 30)] == ["device.out_of_range.gas_lel", "gas.leak"]


def test_out_of_range_readings_of_other_metrics_reach_no_limit() -> None:
    stage = Stage.of(Device("WHS-1", "warehouse"))
    for at in (0, 60, 120):
        stage.read(at, 400, "WHS-1", "temperature", quality=OUT)
    assert [d.rule for d in stage.found] == ["device.out_of_range.temperature"]
    assert stage.found[0].evidence["readings"] == 3


@pytest.mark.parametrize(
    ("kind", "metric", "value", "rule", "severity"),
    [
        ("electrical", "residual_current", 5000, "electrical.residual_current", 4),
        ("electrical", "cable_temp", 300, "electrical.cable_temperature", 4),
        ("ebike_shed", "temperature", 300, "ebike.temperature", 4),
        ("water_depth", "depth_cm", 400, "flood.road", 4),
        ("oxygen", "o2", 45, "gas.oxygen_high", 3),
        ("oxygen", "o2", -2, "gas.oxygen_low", 3),
    ],
)
def test_what_is_beyond_the_sensor_is_a_danger_and_no_jump(
    kind: str, metric: str, value: float, rule: str, severity: int
) -> None:
    stage = Stage.of(Device("D-1", kind))
    stage.read(0, 0 if metric == "depth_cm" else 20, "D-1", metric)
    stage.read(1, value, "D-1", metric, quality=OUT)
    stage.ticks(70)
    said = [(d.rule, int(d.severity), d.page) for d in stage.found if d.received_at > moment(1) or d.rule == rule]
    assert said == [(rule, severity, True)]


def test_a_fast_rise_within_the_window_and_none_over_a_longer_one() -> None:
    stage = Stage.of(Device("ELE-1", "electrical"))
    for minute in range(20):
        stage.read(60 * minute, 20 + 1.5 * minute, "ELE-1", "cable_temp")
    assert stage.found == []
    stage.read(60 * 20, 55, "ELE-1", "cable_temp")
    assert [short(d)[2:4] for d in stage.found] == [("electrical.cable_rise", 2)]
    assert stage.found[0].evidence["change"] == pytest.approx(55 - 44)
    for minute in range(21, 27):
        stage.read(60 * minute, 55, "ELE-1", "cable_temp")
    assert short(stage.found[-1])[0] == "CLEARED"


def test_a_value_that_never_moves_is_frozen_but_not_at_rest() -> None:
    stage = Stage.of(Device("NOI-1", "noise"))
    for at in range(0, 35, 5):
        stage.read(at, 51.3, "NOI-1", "laeq")
    assert [short(d) for d in stage.found] == [("OPENED", "NOI-1", "device.frozen.laeq", 2, 0, True, "frozen")]
    assert short(stage.read(40, 51.4, "NOI-1", "laeq")[0])[0] == "CLEARED"
    resting = Stage.of(Device("WTR-1", "water_depth"))
    for minute in range(400):
        resting.read(60 * minute, 0, "WTR-1", "depth_cm")
    assert resting.found == []


def test_smoke_and_an_open_cover_are_critical_at_once() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"), Device("MHL-1", "manhole"))
    said = stage.rows(Row("SMK-1", "smoke", 0, 1), Row("MHL-1", "cover_open", 0, 1))
    assert [short(d)[2:4] for d in said] == [("smoke.detected", 4), ("manhole.open", 4)]


def test_an_override_holds_for_its_device_alone() -> None:
    from detectors.rules import Override
    from tests.detectors.stage import with_rules

    own = Override(device="GAS-2", limits={Severity.ALARM: 10.0}, dwell=SECOND)
    rules = with_rules(1, gas__leak={"overrides": (own, Override(site="S-9", enabled=False))})
    stage = Stage.of(Device("GAS-1", "gas"), Device("GAS-2", "gas"), Device("GAS-3", "gas", site="S-9"), rules=rules)
    for at in (0, 2, 60):
        stage.rows(
            Row("GAS-1", "gas_lel", at, 12), Row("GAS-2", "gas_lel", at, 12), Row("GAS-3", "gas_lel", at, 90 + at / 99)
        )
    assert [(d.subject.id, d.limit) for d in stage.found] == [("GAS-2", 10)]


def test_a_reading_of_an_unknown_series_is_counted_and_harmless() -> None:
    from core.journal import RecordKind
    from ingest.words import Block

    stage = gas()
    block = Block.of([-1, 99, 0], [1, 1, 1], [1, 1, 1], [1.0, 1.0, 1.0])
    assert stage.apply(RecordKind.BLOCK, block.to_bytes(), 1) == []
    assert stage.detector.unknown_readings == 2


def test_without_rules_nothing_is_said() -> None:
    stage = Stage.of(Device("GAS-1", "gas"), rules=RuleSet(1))
    stage.read(0, 99)
    assert stage.ticks(600, 30) == []
