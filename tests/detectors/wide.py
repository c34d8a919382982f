"""Rules that use all of the language, over the town of `streams`, with spans short enough for a random stream."""

import dataclasses
from typing import Any

import msgspec

from core.clock import SECOND
from detectors.rule import FromAttribute, Override, Rule
from detectors.rules import RuleSet
from detectors.words import Severity
from tests.detectors.streams import BRISK, TOWN

NOTICE, WARNING, ALARM, CRITICAL = Severity.NOTICE, Severity.WARNING, Severity.ALARM, Severity.CRITICAL
WIDE_TOWN = dataclasses.replace(
    TOWN,
    attributes={"NOI-1": {"permit": 20, "tilt_baseline": 9.0}, "GAS-1": {"class": "1"}, "GAS-2": {"permit": 24}},
    site_attributes={"S-1": {"class": "2", "usual_speed": 19}},
)
EVERY_OTHER_MINUTE = tuple(f"22:{minute:02}-22:{minute + 1:02}" for minute in range(14, 59, 2))


def rule(like: str, code: str, **changes: Any) -> Rule:
    """A rule like one of the packs', without its limits on the ways of a reading."""
    plain: dict[str, Any] = {"dwell": 0, "over_range": None, "overrides": (), "life_safety_from": None}
    return msgspec.structs.replace(BRISK.rules[like], id=code, **{**plain, **changes})


_GAS, _CABLE, _NOISE, _SPEED = "gas.leak", "electrical.cable_temperature", "noise.level", "traffic.congestion"
_TWO = {WARNING: 10.0, ALARM: 25.0}
RULES = [
    rule(_GAS, "gas.mean", limits=_TWO, recovery=8.0, mean=48 * SECOND, coverage=10.0),
    rule(_GAS, "gas.ignoring_mean", limits=_TWO, recovery=8.0, mean=96 * SECOND, coverage=4.0, ignore=0.0),
    rule(_GAS, "gas.count", limits=_TWO, recovery=8.0, count=3, window=30 * SECOND),
    rule(_GAS, "gas.off", limits=_TWO, recovery=8.0, dwell_off=6 * SECOND, life_safety_from=ALARM),
    rule(_GAS, "gas.latched", limits={ALARM: 50.0}, recovery=40.0, latch=True, over_range=CRITICAL),
    rule(_GAS, "gas.both", limits={WARNING: 9.0}, recovery=9.0, dwell=3 * SECOND, dwell_off=3 * SECOND, anomaly=True),
    rule(
        _GAS,
        "gas.own",
        limits={},
        limits_from={WARNING: FromAttribute("permit", times=0.9), ALARM: FromAttribute("permit", default=60.0)},
        overrides=(Override(attribute={"class": "1"}, limits={WARNING: 5.0}, dwell=2 * SECOND),),
    ),
    rule(_CABLE, "cable.base", limits={WARNING: 15.0}, recovery=10.0, baseline="usual_temp", baseline_readings=3),
    rule(_NOISE, "noise.base", limits={WARNING: 15.0}, recovery=10.0, baseline="tilt_baseline", count=2, window=SECOND),
    rule(_SPEED, "speed.base", limits={WARNING: 5.0}, recovery=9.0, baseline="usual_speed", mean=24 * SECOND),
    rule(_NOISE, "noise.hours", limits={WARNING: 20.0}, recovery=20.0, hours=EVERY_OTHER_MINUTE),
    rule(_NOISE, "noise.latched_hours", limits={WARNING: 60.0}, recovery=60.0, latch=True, hours=("22:15-22:17",)),
    rule(_CABLE, "cable.unmasked", limits={ALARM: 50.0}, recovery=45.0, not_when=("aged", "time_replaced")),
    rule(
        _CABLE,
        "electrical.both",
        metric="",
        expression="max(cable_temp, 10) - residual_current / (cable_temp - 9)",
        limits={WARNING: 9.0, ALARM: 30.0},
        recovery=5.0,
        max_age=40 * SECOND,
        dwell_off=2 * SECOND,
    ),
    rule(
        _SPEED,
        "traffic.both",
        metric="",
        expression="abs(-speed * flow) + min(flow, 0.1)",
        limits={WARNING: 400.0},
        recovery=500.0,
        max_age=0,
        mean=48 * SECOND,
        coverage=5.0,
        anomaly=True,
    ),
    rule(_CABLE, "cable.noisy", kind="noise", limits={WARNING: 2.0, ALARM: 4.0}, recovery=1.5),
    rule(_SPEED, "speed.noisy", kind="noise", limits={WARNING: 2.0}, recovery=1.5, anomaly=True, direction="above"),
]
WIDE = RuleSet(1, {**BRISK.rules, **{its.id: its for its in RULES}})
