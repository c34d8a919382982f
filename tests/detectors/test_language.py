"""What each part of the rule language makes of readings: means, counts, baselines, hours, delays, expressions."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from core.clock import HOUR, MINUTE, SECOND
from detectors.compile import compile_rules
from detectors.rule import FromAttribute, Override
from detectors.rules import RuleSet
from detectors.words import Severity
from ingest.words import Quality, Rearm, RegistryChanged
from tests.detectors.stage import Device, Row, Stage, moment, registry_of, short
from tests.detectors.wide import rule

GAS, CABLE, NOISE = "gas.leak", "electrical.cable_temperature", "noise.level"
DEVICES = (
    Device("GAS-1", "gas"),
    Device("GAS-2", "gas", site="S-2"),
    Device("ELE-1", "electrical"),
    Device("NOI-1", "noise"),
)
LIMIT = {Severity.ALARM: 25.0}


def stage(
    like: str, attributes: dict[str, Any] | None = None, sites: dict[str, Any] | None = None, **own: Any
) -> Stage:
    """The devices under one rule, "own", and no other."""
    town = dataclasses.replace(registry_of(DEVICES), attributes=attributes or {}, site_attributes=sites or {})
    return Stage(town, RuleSet(1, {"own": rule(like, "own", **{"limits": LIMIT, "recovery": 20.0, **own})}))


def said(stage: Stage) -> list[tuple[str, int, int, str]]:
    return [(short(d)[0], short(d)[3], short(d)[4], d.reason) for d in stage.found]


def test_a_mean_is_judged_once_enough_of_its_span_has_data() -> None:
    its = stage(GAS, mean=24 * SECOND, coverage=50.0)
    for at in range(11):
        its.read(at, 60 if at % 2 else 0)
    assert said(its) == []
    its.read(11, 0)
    assert said(its) == [("OPENED", 3, 11, "threshold")]
    its.read(60, 90)
    assert len(its.found) == 1, "a part of the span is no judgement"


def test_readings_count_only_within_the_window() -> None:
    its = stage(GAS, count=3, window=10 * SECOND)
    for at, value in ((0, 30), (20, 30), (25, 3), (29, 40), (31, 30), (32, 5)):
        its.read(at, value)
    assert said(its) == []
    its.read(34, 30)
    assert said(its) == [("OPENED", 3, 34, "threshold")]


def test_harmless_readings_in_between_push_none_out_of_the_window() -> None:
    its = stage(GAS, count=3, window=600 * SECOND)
    for at in range(1, 181):
        its.read(at, 30 if at % 60 == 0 else 1)
    assert said(its) == [("OPENED", 3, 180, "threshold")]


def test_more_readings_than_are_kept_end_no_episode_that_goes_on() -> None:
    its = stage(GAS, count=3, window=60 * SECOND)
    for at in range(200):
        its.read(at, 60 if at < 40 else 26)
    assert [row[:2] for row in said(its)] == [("OPENED", 3)]


@pytest.mark.parametrize(("attributes", "opened"), [({}, False), ({"GAS-1": {"usual": 40}}, True)])
def test_a_baseline_is_given_or_learnt(attributes: dict[str, Any], opened: bool) -> None:
    its = stage(GAS, attributes, baseline="usual", baseline_readings=3)
    its.read(0, 10)
    assert bool(its.found) == opened
    for at, value in ((1, 11), (2, 12), (3, 35)):
        its.read(at, value)
    assert bool(its.found) == opened, "11 is usual"
    its.read(4, 37)
    assert its.found


def test_a_learnt_baseline_outlives_a_snapshot() -> None:
    its = stage(GAS, baseline="usual", baseline_readings=2)
    its.read(0, 10)
    its.read(1, 12)
    later = Stage(its.registry, its.rules, n=its.n, now=its.now)
    later.detector.restore(*its.detector.snapshot())
    assert [d.value for d in later.read(2, 36)] == [36]


def test_outside_its_hours_a_rule_says_nothing_and_ends_what_stands() -> None:
    its = stage(NOISE, hours=("22:14-22:15",))  # the stage starts at 22:13:20
    its.read(0, 90, "NOI-1", "laeq")
    its.tick(30)
    its.read(50, 90, "NOI-1", "laeq")
    its.tick(99)
    assert said(its) == [("OPENED", 3, 50, "threshold")]
    its.tick(100)
    assert said(its)[1:] == [("CLEARED", 0, 50, "schedule_ended")]
    its.read(101, 95, "NOI-1", "laeq")
    its.tick(102)
    assert len(its.found) == 2


def test_a_latched_episode_ends_only_when_a_person_closes_it() -> None:
    its = stage(GAS, latch=True)
    its.read(0, 30)
    its.read(1, 0)
    its.tick(2)
    assert said(its) == [("OPENED", 3, 0, "threshold")]
    its.control(Rearm("device", "GAS-1", "own"))
    its.tick(3)
    its.read(4, 0)
    assert len(its.found) == 1
    its.read(5, 31)
    assert said(its)[1:] == [("OPENED", 3, 5, "threshold")]


def test_a_delay_off_waits_and_starts_anew_when_the_limit_is_passed_again() -> None:
    its = stage(GAS, dwell_off=10 * SECOND)
    for at, value in ((0, 30), (1, 5), (8, 30), (9, 5), (18, 5)):
        its.read(at, value)
    assert said(its) == [("OPENED", 3, 0, "threshold")]
    its.tick(18.5)
    assert len(its.found) == 1
    its.tick(19)
    assert said(its)[1:] == [("CLEARED", 0, 0, "recovered")]


def test_readings_with_a_masked_quality_are_not_for_the_rule() -> None:
    its = stage(GAS, not_when=("clock_off",))
    its.read(0, 60, quality=int(Quality.CLOCK_OFF))
    its.tick(1)
    assert its.found == []
    its.read(2, 61)
    its.read(3, 0, quality=int(Quality.CLOCK_OFF))
    assert said(its) == [("OPENED", 3, 2, "threshold")]


def test_limits_come_from_the_device_or_else_its_site() -> None:
    own = {"limits": {}, "limits_from": {Severity.ALARM: FromAttribute("permit", times=0.5)}}
    its = stage(GAS, {"GAS-1": {"permit": 20}}, {"S-1": {"permit": 80}}, **own)
    its.rows(Row("GAS-1", "gas_lel", 0, 12), Row("GAS-2", "gas_lel", 0, 99))
    assert [(d.subject.id, d.limit) for d in its.found] == [("GAS-1", 10.0)]


def test_devices_of_equal_terms_share_a_plan() -> None:
    its = stage(
        GAS,
        {"GAS-1": {"class": "1"}, "GAS-2": {"class": "1"}},
        overrides=(Override(attribute={"class": "1"}, limits={Severity.ALARM: 5.0}), Override(site="S-9", dwell=HOUR)),
    )
    assert [plan.terms.limits for plan in compile_rules(its.rules, its.registry).plans] == [{Severity.ALARM: 5.0}]


def both(**own: Any) -> Stage:
    return stage(CABLE, metric="", expression="cable_temp - residual_current", max_age=MINUTE, **own)


def test_an_expression_is_judged_when_all_its_inputs_are_young_enough() -> None:
    its = both()
    its.read(0, 50, "ELE-1", "cable_temp")
    its.read(61, 10, "ELE-1", "residual_current")
    assert its.found == []
    its.read(70, 50, "ELE-1", "cable_temp")
    assert [(d.value, d.series, short(d)[4]) for d in its.found] == [(40.0, 4, 70)]
    its.read(71, 60, "ELE-1", "residual_current")
    assert said(its)[1:] == [("CLEARED", 0, 70, "recovered")]


def test_an_input_out_of_range_gives_no_value() -> None:
    its = both()
    its.read(0, 10, "ELE-1", "residual_current")
    its.read(1, 999, "ELE-1", "cable_temp", quality=int(Quality.OUT_OF_RANGE))
    its.read(2, 9, "ELE-1", "residual_current")
    assert its.found == []


def test_an_episode_on_an_expression_outlives_a_snapshot() -> None:
    its = both(dwell=30 * SECOND)
    its.read(0, 10, "ELE-1", "residual_current")
    its.read(0, 50, "ELE-1", "cable_temp")
    later = Stage(its.registry, its.rules, n=its.n, now=its.now)
    later.detector.restore(*its.detector.snapshot())
    assert [short(d)[3:5] for d in later.tick(30)] == [(3, 0)]


def test_a_sensor_that_scatters_more_than_usual_is_noisy() -> None:
    its = stage(CABLE, kind="noise", limits={Severity.WARNING: 4.0}, recovery=2.0, beyond=False)
    random = np.random.default_rng(1)
    for at in range(400):
        its.read(at, 30 + random.normal(0, 1), "ELE-1", "cable_temp")
    assert its.found == []
    for at in range(400, 440):
        its.read(at, 30 + random.normal(0, 12), "ELE-1", "cable_temp")
    assert said(its)[0][0] == "OPENED"


@pytest.mark.parametrize(("attributes", "base"), [({}, 11.0), ({"GAS-1": {"usual": 4}}, 4.0)])
def test_the_baseline_stands_in_the_evidence(attributes: dict[str, Any], base: float) -> None:
    its = stage(GAS, attributes, baseline="usual", baseline_readings=2)
    for at, value in ((0, 10), (1, 12), (2, 40)):
        its.read(at, value)
    (found,) = its.found
    assert found.evidence["baseline"] == base
    assert found.evidence["measure"] == 40 - base


def test_a_lost_snapshot_learns_what_it_finds_and_a_given_baseline_does_not() -> None:
    """Why the attribute is the better baseline: a cover that stands open is taken for usual."""
    for attributes, opened in (({}, False), ({"GAS-1": {"usual": 3}}, True)):
        its = stage(GAS, attributes, baseline="usual", baseline_readings=2)
        for at in range(3):
            its.read(at, 45)
        assert bool(its.found) == opened


def test_a_device_that_comes_into_service_anew_learns_anew() -> None:
    its = stage(GAS, baseline="usual", baseline_readings=2)
    for at, value in ((0, 10), (1, 12)):
        its.read(at, value)
    its.registry = registry_of([device._replace(in_service_at=moment(2)) for device in DEVICES], version=2)
    its.control(RegistryChanged(2))
    for at in (3, 4, 5):
        its.read(at, 60)
    assert its.found == [], "it was set up anew at 60"
    its.read(6, 10)
    assert [d.evidence["baseline"] for d in its.found] == [60.0]


@pytest.mark.parametrize(
    "own",
    [
        {"kind": "rate", "window": 50 * SECOND, "limits": {Severity.WARNING: 12.0, Severity.ALARM: 20.0}},
        {
            "kind": "rate",
            "window": 19 * SECOND,
            "limits": {Severity.WARNING: 9.0},
            "direction": "below",
            "recovery": 4.0,
        },
        {"kind": "noise", "limits": {Severity.WARNING: 2.0}, "recovery": 1.5},
    ],
)
def test_a_rule_judged_the_short_way_says_the_same_as_in_full(own: dict[str, Any]) -> None:
    """What minds a flag that no reading has is judged in full."""
    random = np.random.default_rng(3)
    short_way, in_full = stage(CABLE, **own), stage(CABLE, not_when=("clock_off",), **own)
    now, value = 0, 50.0
    for step in range(1_500):
        now += int(random.choice([1, 1, 2, 7, 40]))
        value += random.normal(0, 1 if step % 400 < 330 else 8)
        for its in (short_way, in_full):
            its.read(now, value, "ELE-1", "cable_temp")
            its.tick(now)
    assert said(short_way) == said(in_full)
    assert len(said(short_way)) > 4
    for name, kept in short_way.detector.snapshot()[1].items():
        np.testing.assert_array_equal(kept, in_full.detector.snapshot()[1][name], name)
