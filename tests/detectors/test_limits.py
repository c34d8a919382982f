"""Every limit that the packs ship, through the detector: just under, at, and just over it."""

from collections.abc import Iterator, Mapping
from datetime import datetime, time
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from core.clock import SECOND, SHANGHAI, moment_of
from detectors.rule import Rule
from detectors.schedule import minute_of_week, week_of
from ingest.words import Quality
from tests.detectors.stage import PACKS, START, TYPES, Device, Row, Stage

NOTICE, WARNING, ALARM, CRITICAL = 1, 2, 3, 4
HOUR_S = 3600


class Limit(NamedTuple):
    """A limit of a rule with the severity on its good and on its bad side, for a device with these attributes."""

    rule: str
    type: str
    metric: str
    limit: float
    under: int
    over: int
    attributes: Mapping[str, Any] = MappingProxyType({})


def gas(metric: str, alarm: float, critical: float, kind: str = "", rule: str = "") -> list[Limit]:
    named = (rule or f"gas.{metric}", kind or metric, metric)
    return [Limit(*named, alarm, 0, ALARM), Limit(*named, critical, ALARM, CRITICAL)]


def permit(rule: str, kind: str, metric: str, name: str, own: float = 50) -> list[Limit]:
    """A permit warns at nine tenths."""
    named = (rule, kind, metric)
    return [Limit(*named, own * 0.9, 0, WARNING, {name: own}), Limit(*named, own, WARNING, ALARM, {name: own})]


REACHED = [
    *gas("gas_lel", 25, 50, "gas", "gas.leak"),
    *gas("gas_lel", 25, 50, "multi_gas", "gas.leak"),
    *gas("co", 20, 40),
    *gas("co", 20, 40, "multi_gas"),
    *gas("h2s", 10, 20),
    *gas("h2s", 10, 20, "multi_gas"),
    *gas("nh3", 20, 40),
    *gas("cl2", 1, 2),
    *gas("so2", 5, 10),
    *gas("benzene", 6, 12),
    Limit("smoke.detected", "smoke", "smoke", 1, 0, CRITICAL),
    Limit("electrical.residual_current", "electrical", "residual_current", 300, 0, ALARM),
    Limit("electrical.residual_current", "electrical", "residual_current", 500, ALARM, CRITICAL),
    Limit("electrical.cable_temperature", "electrical", "cable_temp", 60, 0, ALARM),
    Limit("electrical.cable_temperature", "electrical", "cable_temp", 80, ALARM, CRITICAL),
    Limit("warehouse.temperature", "warehouse", "temperature", 35, 0, WARNING),
    Limit("warehouse.temperature", "warehouse", "temperature", 45, WARNING, ALARM),
    Limit("warehouse.humidity", "warehouse", "humidity", 75, 0, WARNING),
    Limit("warehouse.humidity", "warehouse", "humidity", 85, WARNING, ALARM),
    Limit("flood.road", "water_depth", "depth_cm", 5, 0, WARNING),
    Limit("flood.road", "water_depth", "depth_cm", 15, WARNING, ALARM),
    Limit("flood.road", "water_depth", "depth_cm", 25, ALARM, CRITICAL),
    Limit("canal.level", "canal", "level_m", 3.80, 0, WARNING),
    Limit("canal.level", "canal", "level_m", 3.50, 0, WARNING, {"warning_level": 3.5, "guaranteed_level": 4.2}),
    Limit("canal.level", "canal", "level_m", 4.20, WARNING, ALARM, {"warning_level": 3.5, "guaranteed_level": 4.2}),
    Limit("manhole.open", "manhole", "cover_open", 1, 0, CRITICAL),
    Limit("structure.tilt", "tilt", "tilt", 0.6, 0, WARNING, {"tilt_baseline": 0}),
    Limit("structure.tilt", "tilt", "tilt", 1.2, WARNING, ALARM, {"tilt_baseline": 0}),
    Limit("structure.tilt", "tilt", "tilt", 5, ALARM, CRITICAL, {"tilt_baseline": 8}),
    Limit("lift.trapped_state", "lift", "trapped", 1, 0, CRITICAL),
    Limit("ebike.smoke", "ebike_shed", "smoke", 1, 0, CRITICAL),
    Limit("ebike.temperature", "ebike_shed", "temperature", 50, 0, ALARM),
    Limit("ebike.temperature", "ebike_shed", "temperature", 60, ALARM, CRITICAL),
]
NOISE_BY_CLASS = {"0": (50, 40), "1": (55, 45), "2": (60, 50), "3": (65, 55), "4a": (70, 55), "4b": (70, 60)}
EXCEEDED = [
    Limit("gas.oxygen_high", "oxygen", "o2", 23.5, 0, ALARM),
    Limit("fire_water.tank_overflow", "fire_tank", "tank_level", 105, 0, WARNING),
    Limit("manhole.tilt", "manhole", "tilt", 10, 0, ALARM, {"tilt_baseline": 3}),
    Limit("manhole.overturned", "manhole", "tilt", 90, 0, CRITICAL),
    Limit("noise.level", "noise", "laeq", 70, 0, WARNING),
    Limit("noise.level_night", "noise", "laeq", 60, 0, WARNING),
    *(
        Limit(rule, "noise", "laeq", limit, 0, WARNING, {"noise_class": area})
        for area, limits in NOISE_BY_CLASS.items()
        for rule, limit in zip(("noise.level", "noise.level_night"), limits, strict=True)
    ),
    Limit("construction.noise_day", "construction", "laeq", 70, 0, WARNING),
    Limit("construction.noise_night", "construction", "laeq", 55, 0, WARNING),
    Limit("construction.noise_peak", "construction", "lafmax", 55 + 15, 0, WARNING),
    Limit("dust.pm10", "construction", "pm10", 80, 0, WARNING),
    Limit("dust.pm10", "dust", "pm10", 80, 0, WARNING),
    Limit("dust.tsp", "construction", "tsp", 500, 0, WARNING),
    Limit("dust.pm25", "dust", "pm25", 60, 0, WARNING),
    Limit("dust.pm25_from_2031", "dust", "pm25", 50, 0, WARNING),
    Limit("fume.concentration", "fume", "fume", 2.0, 0, WARNING),
    *permit("emission.so2", "outlet_air", "stack_so2", "permit_so2"),
    *permit("emission.nox", "outlet_air", "stack_nox", "permit_nox"),
    *permit("emission.particulate", "outlet_air", "stack_pm", "permit_pm"),
    *permit("emission.voc", "outlet_air", "stack_voc", "permit_voc"),
    *permit("emission.cod", "outlet_water", "cod", "permit_cod"),
    *permit("emission.ammonia", "outlet_water", "ammonia_n", "permit_ammonia_n"),
    *permit("emission.phosphorus", "outlet_water", "total_p", "permit_total_p", 20),
    *permit("emission.nitrogen", "outlet_water", "total_n", "permit_total_n"),
    Limit("emission.ph_high", "outlet_water", "ph", 9, 0, ALARM),
    Limit("emission.ph_high", "outlet_water", "ph", 8.5, 0, ALARM, {"permit_ph_high": 8.5}),
]
FALLEN_BELOW = [
    Limit("gas.oxygen_low", "oxygen", "o2", 19.5, 0, ALARM),
    Limit("gas.oxygen_low", "multi_gas", "o2", 19.5, 0, ALARM),
    Limit("fire_water.hydrant_pressure", "hydrant", "water_pressure", 0.10, 0, ALARM),
    Limit("fire_water.hydrant_pressure", "hydrant", "water_pressure", 0.10, 0, ALARM, {"building": "industrial"}),
    Limit(
        "fire_water.hydrant_pressure",
        "hydrant",
        "water_pressure",
        0.07,
        0,
        ALARM,
        {"building": "high_rise_residential"},
    ),
    Limit("fire_water.tank_level", "fire_tank", "tank_level", 90, 0, WARNING),
    Limit("fire_water.tank_level", "fire_tank", "tank_level", 80, WARNING, ALARM),
    Limit("power.mains", "mains", "mains_on", 1, 0, ALARM),
    Limit("traffic.congestion", "traffic", "speed", 20, 0, WARNING),
    Limit("traffic.congestion", "traffic", "speed", 10, WARNING, ALARM),
    Limit("emission.ph_low", "outlet_water", "ph", 6, 0, ALARM),
    *(
        Limit("device.battery", kind.code, "battery", 20, 0, WARNING)
        for kind in TYPES.values()
        if "battery" in kind.metrics
    ),
]
RISES = [("electrical.cable_rise", "electrical", "cable_temp", 10, WARNING)]
RISES += [("ebike.temperature_rise", "ebike_shed", "temperature", 10, ALARM)]
ANNOUNCED = [
    ("smoke.alarm", "smoke", "smoke_alarm", CRITICAL),
    ("smoke.call_point", "smoke", "call_point", CRITICAL),
    ("manhole.opened", "manhole", "cover_open", CRITICAL),
    ("ebike.smoke_alarm", "ebike_shed", "smoke_alarm", CRITICAL),
    ("lift.trapped", "lift", "person_trapped", CRITICAL),
    ("lift.emergency_call", "lift", "emergency_call", ALARM),
    ("lift.overspeed", "lift", "overspeed", ALARM),
    ("lift.off_level", "lift", "stopped_off_level", ALARM),
    ("lift.door", "lift", "door_fault", WARNING),
    ("power.mains_lost", "mains", "mains_lost", ALARM),
]
WEIGHTS = [(2, 18, 0, WARNING), (3, 25, 0, NOTICE), (3, 27, NOTICE, WARNING), (4, 31, 0, NOTICE)]
WEIGHTS += [(4, 36, NOTICE, WARNING), (5, 43, 0, WARNING), (6, 49, 0, WARNING)]


def begin(rule: Rule) -> int:
    """Seconds after START when the rule is in force and its hours are open for some hours."""
    at = 0
    if rule.effective_from:
        at = max(0, (moment_of_day(rule) - START) // SECOND)
    if rule.hours:
        week = week_of(rule.hours)
        at = next(at + hour * HOUR_S for hour in range(168) if is_open(week, START + (at + hour * HOUR_S) * SECOND))
    return at


def moment_of_day(rule: Rule) -> int:
    assert rule.effective_from
    return moment_of(datetime.combine(rule.effective_from, time(1), SHANGHAI))


def is_open(week: Any, moment: int) -> bool:
    minutes = [minute_of_week(moment + minute * 60 * SECOND) for minute in (0, 60)]
    return bool(week[minutes].all())


def severity(case: Limit, value: float) -> int:
    """The highest severity after the rule's dwell, or its mean's span, at a value; 0 for none."""
    rule, physical = PACKS.rules[case.rule], TYPES[case.type].metrics[case.metric]
    stage = Stage.of(Device("DEV-1", case.type, attributes=case.attributes))
    value += case.attributes.get(rule.baseline, 0)
    quality = int(Quality.GOOD if physical.low <= value <= physical.high else Quality.OUT_OF_RANGE)
    first, span, steps = begin(rule), max(rule.dwell, rule.mean) // SECOND, 96 if rule.mean else 2
    for step in range(steps + 1):
        stage.rows(Row("DEV-1", case.metric, first + span * step / steps, value, quality=quality))
    return max((int(d.severity) for d in stage.found if d.rule == case.rule), default=0)


def around(case: Limit) -> Iterator[float]:
    """Just under, at and just over the limit, by what the sensor can tell apart."""
    step = 10 ** -max(TYPES[case.type].metrics[case.metric].decimals, 1)
    yield from (round(case.limit + sign * step, 6) for sign in (-1, 0, 1))


@pytest.mark.parametrize("case", REACHED, ids=str)
def test_a_limit_that_is_reached(case: Limit) -> None:
    highest = TYPES[case.type].metrics[case.metric].high
    values = list(around(case))
    assert [severity(case, value) for value in values] == [
        case.under,
        case.over,
        case.over if values[2] <= highest else 0,
    ]


@pytest.mark.parametrize("case", EXCEEDED, ids=str)
def test_a_limit_that_is_itself_allowed(case: Limit) -> None:
    assert [severity(case, value) for value in around(case)] == [case.under, case.under, case.over]


@pytest.mark.parametrize("case", FALLEN_BELOW, ids=str)
def test_a_lower_limit(case: Limit) -> None:
    assert [severity(case, value) for value in around(case)] == [case.over, case.under, case.under]


@pytest.mark.parametrize(("rule", "kind", "metric", "limit", "over"), RISES)
def test_a_rise_within_five_minutes(rule: str, kind: str, metric: str, limit: float, over: int) -> None:
    found = []
    for rise in (limit - 0.1, limit, limit + 0.1):
        stage = Stage.of(Device("DEV-1", kind))
        stage.rows(Row("DEV-1", metric, 0, 20))
        stage.rows(Row("DEV-1", metric, 240, 20 + rise))
        found.append(max((int(d.severity) for d in stage.found if d.rule == rule), default=0))
    assert found == [0, over, over]
    assert PACKS.rules[rule].window == 300 * SECOND


@pytest.mark.parametrize(("rule", "kind", "event", "expected"), ANNOUNCED)
def test_what_a_device_announces_counts_at_once(rule: str, kind: str, event: str, expected: int) -> None:
    stage = Stage.of(Device("DEV-1", kind))
    said = stage.event("device", "DEV-1", event, 0, active=True)
    assert [(d.rule, int(d.severity), d.page) for d in said] == [(rule, expected, True)]


@pytest.mark.parametrize(("axles", "limit", "under", "over"), WEIGHTS)
def test_a_vehicles_weight_by_its_axles(axles: int, limit: float, under: int, over: int) -> None:
    found = []
    for weight in (limit - 0.1, limit, limit + 0.1):
        stage = Stage.of(Device("WIM-1", "weighing"))
        stage.event("device", "WIM-1", "weighed", 0, plate="苏E·00001", axles=axles, weight_t=weight)
        found.append(max((int(d.severity) for d in stage.found if d.rule == "overload.vehicle"), default=0))
    assert found == [under, under, over]


@pytest.mark.parametrize(("value", "expected"), [(100.0, CRITICAL), (100.1, CRITICAL), (1e9, CRITICAL), (-8.0, 0)])
def test_gas_at_and_beyond_its_range(value: float, expected: int) -> None:
    assert severity(REACHED[0], value) == expected


@pytest.mark.parametrize("metric", ["co", "h2s", "nh3", "cl2", "so2", "benzene"])
def test_a_toxic_gas_beyond_its_range_is_critical(metric: str) -> None:
    beyond = TYPES[metric].metrics[metric].high * 1.1
    assert severity(next(case for case in REACHED if case.type == metric), beyond) == CRITICAL


def test_noise_is_judged_by_day_by_the_days_limit_and_by_night_by_the_nights() -> None:
    """54 dB(A) in a quiet quarter: allowed at 9:00, not at 23:00."""
    stage = Stage.of(Device("NOI-1", "noise", attributes={"noise_class": "1"}))
    for hour in (23, 24 + 9):  # START is 22:13 local
        for at in (0, 300, 600):
            stage.rows(Row("NOI-1", "laeq", (hour - 22) * HOUR_S + at, 54))
    assert {d.rule for d in stage.found if d.severity and d.rule.startswith("noise.")} == {"noise.level_night"}


def test_without_a_permit_in_the_register_nothing_is_judged() -> None:
    case = Limit("emission.so2", "outlet_air", "stack_so2", 50, 0, 0)
    assert severity(case, 2900) == 0


def test_gas_and_smoke_at_one_site_are_one_graver_detection() -> None:
    stage = Stage.of(Device("GAS-1", "gas"), Device("SMK-1", "smoke"), Device("SMK-2", "smoke", site="S-2"))
    stage.event("device", "SMK-2", "smoke_alarm", 0, active=True)
    for at in (0, 6):
        stage.rows(Row("GAS-1", "gas_lel", at, 30))
    stage.tick(7)
    assert [d for d in stage.found if d.rule == "site.fire"] == []
    stage.event("device", "SMK-1", "smoke_alarm", 8, active=True)
    stage.tick(9)
    assert [(d.subject.id, int(d.severity)) for d in stage.found if d.rule == "site.fire"] == [("S-1", CRITICAL)]


def test_two_gauges_on_one_road_section_are_one_graver_detection() -> None:
    stage = Stage.of(*(Device(f"WTR-{n}", "water_depth") for n in (1, 2)))
    for at in (0, 30, 60):
        stage.rows(*(Row(f"WTR-{n}", "depth_cm", at, 6) for n in (1, 2)))
    stage.tick(61)
    assert [(d.rule, int(d.severity)) for d in stage.found if d.subject.kind == "site"] == [("site.road_flood", ALARM)]


def test_every_limit_of_the_packs_stands_here() -> None:
    stands: dict[str, set[float]] = {}
    named: dict[str, list[Limit]] = {}
    for case in (*REACHED, *EXCEEDED, *FALLEN_BELOW):
        stands.setdefault(case.rule, set()).add(case.limit)
        named.setdefault(case.rule, []).append(case)
    for rule in PACKS.rules.values():
        if rule.kind != "threshold":
            continue
        own = [rule.terms(case.type, "S-1", "DEV-1", case.attributes).limits for case in named.get(rule.id, ())]
        assert {limit for limits in own for limit in limits.values()} == stands.get(rule.id, set()), rule.id
        given = [dict(case.attributes) for case in named[rule.id]]
        assert all(override.attribute in given for override in rule.overrides if override.attribute), rule.id
    assert {rule.id for rule in PACKS.rules.values() if rule.kind == "rate"} == {rule for rule, *_ in RISES}
    assert {rule.id for rule in PACKS.rules.values() if rule.kind == "event"} == {rule for rule, *_ in ANNOUNCED}
    table = PACKS.rules["overload.vehicle"].table
    assert sorted((int(axles), limit) for row in table.values() for axles, limit in row.items()) == sorted(
        (axles, limit) for axles, limit, *_ in WEIGHTS
    )
