"""A sick sensor's anomaly findings are held back and say so; its safety limits still count."""

import numpy as np

from detectors.rule import Override
from detectors.safety import SafetyDetector
from detectors.words import Detection, Severity
from ingest.words import Quality, Rearm, RegistryChanged, RulesChanged
from tests.detectors.linked import ALARM, only, rule
from tests.detectors.stage import Device, Row, Stage, registry_of, short

ODD = rule(
    "cable.odd",
    "threshold",
    device_types=("electrical",),
    metric="cable_temp",
    limits={ALARM: 50.0},
    recovery=50.0,
    unit="°C",
    anomaly=True,
)
ILL = "device.out_of_range.residual_current"
RULES = only(ODD, also=("electrical.cable_temperature", ILL))
TOWN = (Device("ELE-1", "electrical"), Device("ELE-2", "electrical"))
OUT = int(Quality.OUT_OF_RANGE)


def ill(stage: Stage, at: float, device: str = "ELE-1") -> None:
    """Its other metric is out of range until a tick has seen it."""
    for n in range(3):
        stage.read(at + n, 9e9, device, "residual_current", quality=OUT)
    stage.tick(at + 3)


def well(stage: Stage, at: float, device: str = "ELE-1") -> list[Detection]:
    stage.read(at, 1.0, device, "residual_current")
    stage.tick(at + 1)
    return stage.tick(at + 2)


def hot(stage: Stage, at: float, value: float = 60.0, device: str = "ELE-1") -> list[tuple[object, ...]]:
    return [(each.rule, each.page, each.reason) for each in stage.read(at, value, device, "cable_temp")]


def test_its_anomalies_are_held_back_until_it_is_well() -> None:
    stage = Stage.of(*TOWN, rules=RULES)
    ill(stage, 0)
    assert stage.detector.sick_devices() == ["ELE-1"]
    assert hot(stage, 10) == [("cable.odd", False, "sensor_sick")]
    assert hot(stage, 11, device="ELE-2") == [("cable.odd", True, "threshold")]
    told = [each for each in well(stage, 20) if each.rule == "cable.odd"]
    assert [(each.page, short(each)[4]) for each in told] == [(True, 10)]
    assert stage.detector.sick_devices() == []


def test_its_safety_limits_still_count() -> None:
    stage = Stage.of(*TOWN, rules=RULES)
    ill(stage, 0)
    hot(stage, 10, 95.0)
    hot(stage, 50, 95.0)
    paged = [each.rule for each in (*stage.found, *stage.ticks(120)) if each.page and each.subject.id == "ELE-1"]
    assert "electrical.cable_temperature" in paged
    assert "cable.odd" not in paged


def test_a_closed_health_alert_makes_nobody_well() -> None:
    stage = Stage.of(*TOWN, rules=RULES)
    ill(stage, 0)
    hot(stage, 10)
    stage.control(Rearm("device", "ELE-1", ILL), 20)
    assert not [each for each in stage.ticks(25) if each.rule == "cable.odd"]
    assert stage.detector.sick_devices() == ["ELE-1"]


def test_health_is_kept_by_snapshots_edits_and_growth() -> None:
    stage = Stage.of(*TOWN, rules=RULES)
    ill(stage, 0)
    meta, arrays = stage.detector.snapshot()
    old = {name: column for name, column in arrays.items() if not name.startswith("health.")}
    same = SafetyDetector(stage.registry, RULES)
    same.restore(meta, arrays)
    assert same.sick_devices() == ["ELE-1"]
    same.restore(meta, old)
    assert same.sick_devices() == []  # an older snapshot says it with the next tick

    stage.registry = registry_of([*TOWN, Device("AAA-1", "electrical")])
    stage.control(RegistryChanged(2), 10)
    assert stage.detector.sick_devices() == ["ELE-1"]
    stage.versions[2] = only(ODD, version=2)
    stage.control(RulesChanged(2), 20)
    stage.tick(21)
    assert stage.detector.sick_devices() == []


def test_what_was_not_seen_by_a_tick_makes_no_difference_between_one_block_and_two() -> None:
    one, two = Stage.of(*TOWN, rules=RULES), Stage.of(*TOWN, rules=RULES)
    rows = [Row("ELE-1", "residual_current", n, 9e9, quality=OUT) for n in range(3)]
    last = Row("ELE-1", "cable_temp", 3, 60.0)
    one.rows(*rows, last)
    two.rows(*(row._replace(received=3) for row in rows))
    two.rows(last)
    assert [short(each) for each in one.found] == [short(each) for each in two.found]
    assert [short(each) for each in one.tick(4)] == [short(each) for each in two.tick(4)]


def test_a_silence_may_be_switched_off_by_an_attribute() -> None:
    stage = Stage.of(*TOWN)
    silence = stage.rules.rules["device.silence"]
    off = rule(
        "device.silence",
        "silence",
        device_types=silence.device_types,
        overrides=(Override(attribute={"seasonal": "yes"}, enabled=False),),
        limits={Severity.NOTICE: 1.0},
    )
    stage = Stage.of(*TOWN, Device("ELE-3", "electrical"), rules=only(off))
    stage.registry.attributes["ELE-2"] = {"seasonal": "yes"}
    stage.detector = SafetyDetector(stage.registry, stage.rules)
    stage.read(0, 1.0, "ELE-3", "residual_current")
    for at in range(30, 4000, 30):
        stage.read(at, 1.0, "ELE-3", "residual_current")
        stage.tick(at)
    assert {each.subject.id for each in stage.found} == {"ELE-1"}
    assert np.count_nonzero([each.change == 1 for each in stage.found]) == 1
