"""A number that an event brings, against limits that may hang on what else it says."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.event_values import judge
from detectors.rule import FromAttribute, Override
from detectors.safety import SafetyDetector
from detectors.words import Change, Detection
from ingest.words import Quality, Rearm, RulesChanged
from tests.detectors.linked import ALARM, OVERLOAD, WARNING, only, rule
from tests.detectors.stage import Device, Stage, short

SCALE = Device("WIM-1", "weighing")


def weighed(stage: Stage, at: float, **said: Any) -> list[Detection]:
    return stage.event("device", "WIM-1", "weighed", at, **said)


def scale(**changes: Any) -> Stage:
    return Stage.of(SCALE, rules=only(msgspec.structs.replace(OVERLOAD, **changes)))


@pytest.mark.parametrize(
    ("axles", "tonnes", "severity"),
    [
        (2, 18.0, 0),
        (2, 18.01, 2),
        (2, 24.0, 2),
        (2, 24.01, 3),
        (3, 25.0, 0),
        (3, 25.5, 2),
        ("3", 25.5, 2),
        (3.0, 26, 2),
    ],
)
def test_the_limit_is_the_tables(axles: object, tonnes: float, severity: int) -> None:
    found = weighed(scale(), 5, axles=axles, weight_t=tonnes, plate="苏E12345")
    assert [int(each.severity) for each in found] == ([severity] if severity else [])
    for each in found:
        assert (each.value, each.page, each.reason) == (float(tonnes), True, "event")
        assert each.limit == {2: {2: 18.0, 3: 24.0}, 3: {2: 25.0}}[int(float(str(axles)))][severity]
        assert each.evidence["said"]["plate"] == "苏E12345"
        assert each.evidence["unit"] == "t"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"weight_t": 99.0},
        {"axles": 2},
        {"axles": 9, "weight_t": 99.0},
        {"axles": None, "weight_t": 99.0},
        {"axles": [2], "weight_t": 99.0},
        {"axles": 2, "weight_t": "99"},
        {"axles": 2, "weight_t": None},
        {"axles": 2, "weight_t": True},
        {"axles": 2, "weight_t": float("nan")},
        {"axles": 2, "weight_t": float("inf")},
        {"axles": 2, "weight_t": 10**400},
    ],
)
def test_what_is_missing_or_no_number_is_not_judged(said: dict[str, Any]) -> None:
    stage = scale()
    device = stage.registry.device_index["WIM-1"]
    assert OVERLOAD.terms("weighing", "S-1", "WIM-1", stage.registry.attributes_of(device)).enabled
    terms = OVERLOAD.terms("weighing", "S-1", "WIM-1")
    assert judge(OVERLOAD, terms, said) is None
    if said.get("weight_t") != 10**400:  # no message can carry it
        assert weighed(stage, 5, **said) == []


PLAIN: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 2, -3, 10**400, 2.5, 1e308, float("nan"), float("inf"), "", "2", "x", [2], {}]
)
SAID = st.fixed_dictionaries({}, optional=dict.fromkeys(("axles", "weight_t", "active", "plate"), PLAIN))


@given(SAID)
def test_nothing_that_an_event_may_say_breaks_it(said: dict[str, Any]) -> None:
    judge(OVERLOAD, OVERLOAD.terms("weighing", "S-1", "WIM-1"), said)


def test_at_the_limit_or_over_it() -> None:
    assert weighed(scale(beyond=False), 5, axles=2, weight_t=18.0)
    assert not weighed(scale(beyond=True), 5, axles=2, weight_t=18.0)
    low = {"direction": "below", "by": "", "table": {}, "limits": {WARNING: 2.0}}
    assert not weighed(scale(**low), 5, weight_t=2.0)
    assert weighed(scale(**low), 5, weight_t=1.9)


def test_the_worst_of_several_lorries_is_told_and_a_person_closes_it() -> None:
    stage = scale()
    assert short(weighed(stage, 5, axles=2, weight_t=19.0)[0])[:5] == ("OPENED", "WIM-1", "lorry.overload", 2, 5)
    assert not weighed(stage, 6, axles=2, weight_t=10.0)
    assert not weighed(stage, 7, axles=2, weight_t=20.0)
    (worse,) = weighed(stage, 8, axles=2, weight_t=30.0)
    assert (short(worse)[:5], worse.value) == (("UPDATED", "WIM-1", "lorry.overload", 3, 5), 30.0)
    assert not weighed(stage, 9, axles=2, weight_t=19.0)
    stage.control(Rearm("device", "WIM-1", "lorry.overload"), 20)
    assert not stage.ticks(25)
    assert short(weighed(stage, 30, axles=2, weight_t=19.0)[0])[:5] == ("OPENED", "WIM-1", "lorry.overload", 2, 30)


def test_an_episode_that_says_active_ends_by_its_number_or_by_itself() -> None:
    stage = scale()
    weighed(stage, 5, axles=2, weight_t=19.0, active=True)
    assert short(weighed(stage, 6, axles=2, weight_t=9.0, active=True)[0])[:2] == ("CLEARED", "WIM-1")
    weighed(stage, 7, axles=2, weight_t=19.0, active=True)
    assert weighed(stage, 8, active=False)[0].change == Change.CLEARED


def test_aged_and_resting_ones_are_recorded() -> None:
    stage = scale()
    (said,) = weighed(stage, 5, axles=2, weight_t=19.0, quality=int(Quality.AGED))
    assert (said.page, said.reason) == (False, "aged_recorded")
    stage = Stage.of(SCALE._replace(state="commissioning"), rules=only(OVERLOAD))
    assert [found.page for found in weighed(stage, 5, axles=2, weight_t=19.0)] == [False]


def test_limits_may_be_the_devices_own_and_be_overridden() -> None:
    own = rule(
        "own",
        "event_value",
        device_types=("weighing",),
        event="weighed",
        value="weight_t",
        limits={},
        limits_from={ALARM: FromAttribute("permit", times=2.0)},
        overrides=(Override(device="WIM-2", limits={ALARM: 10.0}),),
    )
    stage = Stage.of(SCALE, Device("WIM-2", "weighing"), rules=only(own))
    assert not weighed(stage, 1, weight_t=99.0)
    assert stage.event("device", "WIM-2", "weighed", 2, weight_t=10.0)
    stage.registry.attributes["WIM-1"] = {"permit": 8}
    assert not weighed(stage, 3, weight_t=15.9)
    assert [each.limit for each in weighed(stage, 4, weight_t=16.0)] == [16.0]


def test_it_goes_on_after_a_snapshot_and_ends_with_its_rule() -> None:
    stage = scale()
    weighed(stage, 5, axles=2, weight_t=19.0)
    later = SafetyDetector(stage.registry, stage.rules, lambda version: stage.versions[version])
    later.restore(*stage.detector.snapshot())
    stage.detector = later
    assert not weighed(stage, 6, axles=2, weight_t=20.0)
    assert weighed(stage, 7, axles=2, weight_t=30.0)[0].change == Change.UPDATED
    stage.versions[2] = only(version=2)
    assert [short(each)[:3] for each in stage.control(RulesChanged(2), 8)] == [("CLEARED", "WIM-1", "lorry.overload")]
