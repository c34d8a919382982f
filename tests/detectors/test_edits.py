"""Rules and attributes edited while their episodes are open: nothing stays open for ever, nothing closes wrongly."""

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.clock import HOUR, MINUTE, SECOND
from detectors.rule import FromAttribute, Override, Rule
from detectors.rules import RuleSet
from detectors.words import Severity
from ingest.words import RegistryChanged, RulesChanged
from tests.detectors.stage import Device, Row, Stage, registry_of, short
from tests.detectors.wide import rule

ALARM, CRITICAL, WARNING = Severity.ALARM, Severity.CRITICAL, Severity.WARNING
DEVICES = (
    Device("GAS-1", "gas"),
    Device("MUL-1", "multi_gas"),
    Device("NOI-1", "noise"),
    Device("CBL-1", "electrical"),
)
LEAK = rule("gas.leak", "own", limits={ALARM: 25.0, CRITICAL: 50.0}, recovery=20.0, device_types=("gas",))


def edited(before: Rule, after: dict[str, Any] | None, play: Callable[[Stage], object]) -> Stage:
    """A stage on which `play` ran under one rule that then was changed."""
    stage = Stage(registry_of(DEVICES), RuleSet(1, {"own": before}))
    stage.versions[2] = RuleSet(2, {"own": msgspec.structs.replace(before, **after)} if after is not None else {})
    play(stage)
    stage.control(RulesChanged(2), stage.now + 1)
    return stage


def steps(stage: Stage) -> list[tuple[str, int, int, str]]:
    return [(short(d)[0], short(d)[3], short(d)[4], d.reason) for d in stage.found]


def leak(stage: Stage, *values: float) -> None:
    for value in values:
        stage.read(stage.now + 1, value)


OPENED = ("OPENED", 3, 1, "threshold")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({}, []),
        ({"limits": {ALARM: 35.0}, "recovery": 29.0}, []),
        ({"limits": {ALARM: 35.0}, "recovery": 32.0}, [("CLEARED", 0, 1, "recovered")]),
        ({"limits": {ALARM: 10.0, CRITICAL: 28.0}, "recovery": 9.0}, [("UPDATED", 4, 1, "held")]),
        ({"limits": {WARNING: 25.0}, "recovery": 20.0}, [("UPDATED", 2, 1, "eased")]),
        ({"limits": {CRITICAL: 25.0}, "recovery": 20.0}, [("UPDATED", 4, 1, "held")]),
        ({"dwell": MINUTE}, []),
        ({"dwell_off": MINUTE}, []),
        ({"beyond": True}, []),
        ({"hours": ("00:00-00:01",)}, [("CLEARED", 0, 1, "schedule_ended")]),
        ({"direction": "below", "limits": {ALARM: 10.0}, "recovery": 12.0}, [("CLEARED", 0, 1, "recovered")]),
        ({"device_types": ("multi_gas",)}, [("CLEARED", 0, 1, "rule_withdrawn")]),
        ({"metric": "battery", "unit": "%", "limits": {ALARM: 99.0}}, [("CLEARED", 0, 1, "rule_withdrawn")]),
        ({"kind": "rate", "window": MINUTE, "limits": {ALARM: 10.0}, "recovery": 5.0}, []),
        ({"overrides": (Override(device_type="gas", enabled=False),)}, [("CLEARED", 0, 1, "rule_withdrawn")]),
        ({"overrides": (Override(device_type="gas", limits={ALARM: 40.0}),)}, [("CLEARED", 0, 1, "recovered")]),
        ({"limits": {}, "limits_from": {ALARM: FromAttribute("permit")}}, [("CLEARED", 0, 1, "rule_withdrawn")]),
        (None, [("CLEARED", 0, 1, "rule_withdrawn")]),
    ],
)
def test_an_open_leak_under_an_edited_rule(after: dict[str, Any] | None, said: list[Any]) -> None:
    stage = edited(LEAK, after, lambda stage: leak(stage, 30.0))
    stage.tick(stage.now + 1)
    assert steps(stage) == [OPENED, *said]
    assert stage.detector.open_episodes == (not said or said[-1][0] != "CLEARED")


def test_a_dwell_that_runs_is_kept_and_judged_by_the_new_one() -> None:
    slow = msgspec.structs.replace(LEAK, dwell=10 * MINUTE)
    stage = edited(slow, {"dwell": 5 * SECOND}, lambda stage: leak(stage, 30.0, 30.0, 30.0, 30.0))
    stage.tick(stage.now + 1)
    assert steps(stage) == [("OPENED", 3, 1, "held")]
    fast = msgspec.structs.replace(LEAK, dwell=10 * SECOND)
    stage = edited(fast, {"dwell": 20 * SECOND}, lambda stage: leak(stage, 30.0, 30.0))
    stage.ticks(20)
    assert steps(stage) == []
    stage.ticks(22)
    assert steps(stage) == [("OPENED", 3, 1, "held")]


MIXED = rule(
    "gas.leak",
    "own",
    metric="",
    expression="co / 20",
    max_age=MINUTE,
    unit="",
    device_types=("multi_gas",),
    limits={ALARM: 1.0},
    recovery=0.9,
)


def mixed(stage: Stage, co: float, h2s: float = 0.0) -> None:
    at = stage.now + 1
    stage.rows(Row("MUL-1", "co", at, co), Row("MUL-1", "h2s", at, h2s))


@pytest.mark.parametrize(
    ("expression", "open_before", "open_after"),
    [("co / 40", True, False), ("co / 10", True, True), ("max(co / 40, h2s / 10)", True, True)],
)
def test_an_edited_expression_is_judged_by_its_own_value(expression: str, open_before: bool, open_after: bool) -> None:
    """Never what the old expression made of the same readings against the new limits."""
    stage = edited(MIXED, {"expression": expression}, lambda stage: mixed(stage, 30.0, 15.0))
    assert bool(steps(stage)) == open_before
    stage.tick(stage.now + 1)
    mixed(stage, 30.0, 15.0)
    stage.tick(stage.now + 1)
    assert bool(stage.detector.open_episodes) == open_after


def test_an_expression_that_comes_back_is_judged_by_what_is_known() -> None:
    """As any other rule: not only with the next reading, which may be an hour away."""
    stage = edited(MIXED, None, lambda stage: mixed(stage, 30.0))
    stage.versions[3] = RuleSet(3, {"own": MIXED})
    stage.control(RulesChanged(3), stage.now + 1)
    stage.tick(stage.now + 1)
    assert [step[0] for step in steps(stage)] == ["OPENED", "CLEARED", "OPENED"]


def test_an_expression_that_is_lower_now_opens_nothing_by_its_old_value() -> None:
    stage = edited(
        MIXED,
        {"expression": "co / 400", "limits": {ALARM: 0.5}, "recovery": 0.4},
        lambda stage: mixed(stage, 15.0),
    )
    stage.tick(stage.now + 1)
    assert steps(stage) == []
    mixed(stage, 15.0)
    assert steps(stage) == []


MEAN = rule(
    "noise.level", "own", hours=(), schedule="", mean=24 * MINUTE, coverage=75.0, limits={WARNING: 70.0}, recovery=67.0
)


def loud(stage: Stage, minutes: int, value: float) -> None:
    for _ in range(minutes):
        stage.rows(Row("NOI-1", "laeq", stage.now + 60, value))


def test_another_span_of_a_mean_keeps_what_stands_until_it_has_data_of_its_own() -> None:
    stage = edited(MEAN, {"mean": 48 * MINUTE}, lambda stage: loud(stage, 24, 80.0))
    stage.tick(stage.now + 1)
    loud(stage, 10, 60.0)
    assert [each[0] for each in steps(stage)] == ["OPENED"]
    loud(stage, 40, 60.0)
    assert [each[0] for each in steps(stage)] == ["OPENED", "CLEARED"]


@pytest.mark.parametrize("after", [{"mean": 0}, {"mean": 0, "count": 2, "window": HOUR}])
def test_a_mean_that_is_none_any_more_is_judged_by_its_readings(after: dict[str, Any]) -> None:
    stage = edited(MEAN, after, lambda stage: loud(stage, 24, 80.0))
    stage.tick(stage.now + 1)
    loud(stage, 2, 60.0)
    assert [each[0] for each in steps(stage)] == ["OPENED", "CLEARED"]


PERMIT = msgspec.structs.replace(LEAK, limits={}, limits_from={ALARM: FromAttribute("permit", default=25.0)})


@pytest.mark.parametrize(
    ("permit", "said"),
    [(40.0, ["CLEARED"]), (28.0, []), ("forty", []), (10.0, [])],
)
def test_an_import_that_changes_a_devices_limit(permit: object, said: list[str]) -> None:
    stage = Stage(registry_of(DEVICES), RuleSet(1, {"own": PERMIT}))
    leak(stage, 30.0)
    stage.registry = dataclasses.replace(registry_of(DEVICES, version=2), attributes={"GAS-1": {"permit": permit}})
    stage.control(RegistryChanged(2), stage.now + 1)
    stage.tick(stage.now + 1)
    leak(stage, 30.0)
    assert [each[0] for each in steps(stage)] == ["OPENED", *said]


def test_an_import_that_lowers_a_limit_is_judged_without_a_reading() -> None:
    """A detector that speaks once a day must not wait for tomorrow."""
    stage = Stage(registry_of(DEVICES), RuleSet(1, {"own": PERMIT}))
    leak(stage, 22.0)
    stage.registry = dataclasses.replace(registry_of(DEVICES, version=2), attributes={"GAS-1": {"permit": 10.0}})
    stage.control(RegistryChanged(2), stage.now + 1)
    stage.tick(stage.now + 1)
    assert [each[0] for each in steps(stage)] == ["OPENED"]


def test_a_limit_that_vanishes_with_its_attribute_ends_its_episode() -> None:
    bare = msgspec.structs.replace(PERMIT, limits_from={ALARM: FromAttribute("permit")})
    stage = Stage(
        dataclasses.replace(registry_of(DEVICES), attributes={"GAS-1": {"permit": 10.0}}), RuleSet(1, {"own": bare})
    )
    leak(stage, 30.0)
    stage.registry = registry_of(DEVICES, version=2)
    assert [d.reason for d in stage.control(RegistryChanged(2), stage.now + 1)] == ["rule_withdrawn"]
    assert stage.detector.open_episodes == 0


def test_a_rate_under_other_limits_goes_on() -> None:
    rise = rule("electrical.cable_rise", "own", limits={WARNING: 10.0}, recovery=5.0)
    stage = edited(rise, {"limits": {WARNING: 30.0}, "recovery": 25.0}, lambda stage: warm(stage, 20.0, 33.0))
    assert [each[0] for each in steps(stage)] == ["OPENED"]
    warm(stage, 33.5)
    assert [each[0] for each in steps(stage)] == ["OPENED", "CLEARED"]


def warm(stage: Stage, *values: float) -> None:
    for value in values:
        stage.rows(Row("CBL-1", "cable_temp", stage.now + 30, value))
