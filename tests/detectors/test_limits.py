"""Every limit of the packs for the eight device types: just under, at, and just over it."""

import pytest

from core.clock import SECOND
from ingest.words import Quality
from tests.detectors.stage import PACKS, TYPES, Device, Row, Stage

WARNING, ALARM, CRITICAL = 2, 3, 4
STEP = 0.1
"""What the finest of these sensors can tell apart."""

REACHED = [
    ("gas", "gas_lel", "gas.leak", 25, 0, ALARM),
    ("gas", "gas_lel", "gas.leak", 50, ALARM, CRITICAL),
    ("smoke", "smoke", "smoke.detected", 1, 0, CRITICAL),
    ("electrical", "residual_current", "electrical.residual_current", 300, 0, ALARM),
    ("electrical", "residual_current", "electrical.residual_current", 500, ALARM, CRITICAL),
    ("electrical", "cable_temp", "electrical.cable_temperature", 60, 0, ALARM),
    ("electrical", "cable_temp", "electrical.cable_temperature", 80, ALARM, CRITICAL),
    ("water_depth", "depth_cm", "flood.road", 5, 0, WARNING),
    ("water_depth", "depth_cm", "flood.road", 15, WARNING, ALARM),
    ("water_depth", "depth_cm", "flood.road", 25, ALARM, CRITICAL),
    ("manhole", "cover_open", "manhole.open", 1, 0, CRITICAL),
]
EXCEEDED = [
    ("manhole", "tilt", "manhole.tilt", 10, 0, ALARM),
    ("manhole", "tilt", "manhole.tilt", 90, ALARM, CRITICAL),
    ("noise", "laeq", "noise.level", 70, 0, WARNING),
    ("dust", "pm10", "dust.pm10", 80, 0, WARNING),
    ("dust", "pm25", "dust.pm25", 60, 0, WARNING),
]
FALLEN_BELOW = [
    ("traffic", "speed", "traffic.congestion", 20, 0, WARNING),
    ("traffic", "speed", "traffic.congestion", 10, WARNING, ALARM),
    ("gas", "battery", "device.battery", 20, 0, WARNING),
    ("smoke", "battery", "device.battery", 20, 0, WARNING),
    ("water_depth", "battery", "device.battery", 20, 0, WARNING),
    ("manhole", "battery", "device.battery", 20, 0, WARNING),
]


def severity(kind: str, metric: str, rule: str, value: float) -> int:
    """The highest severity after the rule's dwell at a value, 0 for none."""
    stage = Stage.of(Device("DEV-1", kind))
    physical, dwell = TYPES[kind].metrics[metric], PACKS.rules[rule].dwell // SECOND
    quality = int(Quality.GOOD if physical.low <= value <= physical.high else Quality.OUT_OF_RANGE)
    for at in (0, dwell // 2, dwell):
        stage.rows(Row("DEV-1", metric, at, value, quality=quality))
    return max((int(d.severity) for d in stage.found if d.rule == rule), default=0)


@pytest.mark.parametrize(("kind", "metric", "rule", "limit", "under", "over"), REACHED)
def test_a_limit_that_is_reached(kind: str, metric: str, rule: str, limit: float, under: int, over: int) -> None:
    measured = [severity(kind, metric, rule, value) for value in (limit - STEP, limit, limit + STEP)]
    physical = TYPES[kind].metrics[metric]
    assert measured == [under, over, over if limit + STEP <= physical.high else 0]


@pytest.mark.parametrize(("kind", "metric", "rule", "limit", "under", "over"), EXCEEDED)
def test_a_limit_that_is_itself_allowed(kind: str, metric: str, rule: str, limit: float, under: int, over: int) -> None:
    measured = [severity(kind, metric, rule, value) for value in (limit - STEP, limit, limit + STEP)]
    assert measured == [under, under, over]


@pytest.mark.parametrize(("kind", "metric", "rule", "limit", "under", "over"), FALLEN_BELOW)
def test_a_lower_limit(kind: str, metric: str, rule: str, limit: float, under: int, over: int) -> None:
    measured = [severity(kind, metric, rule, value) for value in (limit + STEP, limit, limit - STEP)]
    assert measured == [under, under, over]


@pytest.mark.parametrize(("value", "expected"), [(100.0, CRITICAL), (100.1, CRITICAL), (1e9, CRITICAL), (-8.0, 0)])
def test_gas_at_and_beyond_its_range(value: float, expected: int) -> None:
    assert severity("gas", "gas_lel", "gas.leak", value) == expected


def test_every_limit_of_the_packs_stands_here() -> None:
    graded = [rule for rule in PACKS.rules.values() if rule.kind == "threshold" and rule.effective_from is None]
    graded += [PACKS.rules[code] for code in ("gas.leak", "electrical.residual_current", "noise.level")]
    stands = {(rule, limit) for _, _, rule, limit, _, _ in (*REACHED, *EXCEEDED, *FALLEN_BELOW)}
    assert {(rule.id, limit) for rule in graded for limit in rule.limits.values()} == stands
