"""What a detection tells of how it was made, for the page and the notice."""

from typing import Any

import numpy as np
import pytest

from core.clock import HOUR, SECOND
from detectors.words import Severity
from tests.detectors.test_language import CABLE, GAS, NOISE, stage


def first_of(its: Any) -> dict[str, Any]:
    found: dict[str, Any] = its.found[0].evidence
    return found


def test_a_mean_tells_its_span_and_how_much_of_it_had_to_have_data() -> None:
    its = stage(GAS, mean=24 * SECOND, coverage=50.0)
    for at in range(12):
        its.read(at, 20 + at)
    said = first_of(its)
    assert (said["judged"], said["mean_s"], said["window_s"], said["coverage"]) == ("mean", 24, 24, 50)
    assert said["measure"] == pytest.approx(25.5)
    assert its.found[0].value == 31


def test_a_count_tells_how_often_within_what() -> None:
    its = stage(GAS, count=3, window=10 * SECOND)
    for at, value in enumerate((40, 30, 50)):
        its.read(at, value)
    said = first_of(its)
    assert (said["judged"], said["count"], said["window_s"], said["measure"]) == ("count", 3, 10, 30)


def test_a_distance_tells_the_baseline_that_it_is_from() -> None:
    given = stage(GAS, {"GAS-1": {"usual": 40}}, baseline="usual", baseline_readings=2)
    given.read(0, 10)
    said = first_of(given)
    assert (said["judged"], said["measure"], said["baseline"]) == ("distance", 30, 40)
    learnt = stage(GAS, baseline="usual", baseline_readings=2)
    for at, value in enumerate((1, 3, 42)):
        learnt.read(at, value)
    said = first_of(learnt)
    assert (said["measure"], said["baseline_readings"], said["baseline"]) == (40, 2, 2)


def test_a_noisy_sensor_tells_how_many_times_its_usual_scatter() -> None:
    its = stage(CABLE, kind="noise", limits={Severity.WARNING: 4.0}, recovery=2.0, beyond=False)
    random = np.random.default_rng(1)
    for at in range(440):
        its.read(at, 30 + random.normal(0, 1 if at < 400 else 12), "ELE-1", "cable_temp")
    said = first_of(its)
    assert said["judged"] == "scatter"
    assert 4 <= said["measure"] < 8


def test_a_rule_of_certain_hours_names_them() -> None:
    its = stage(NOISE, schedule="evening", hours=("22:00-23:00",))
    its.read(0, 90, "NOI-1", "laeq")
    assert (first_of(its)["schedule"], first_of(its)["hours"]) == ("evening", ["22:00-23:00"])


def test_a_rule_over_several_metrics_names_its_expression() -> None:
    its = stage(CABLE, metric="", expression="cable_temp - residual_current", max_age=HOUR)
    its.read(0, 1, "ELE-1", "residual_current")
    its.read(1, 60, "ELE-1", "cable_temp")
    assert first_of(its)["expression"] == "cable_temp - residual_current"


def test_a_plain_limit_tells_no_more_than_it_needs() -> None:
    its = stage(GAS)
    its.read(0, 60)
    assert set(first_of(its)) == {"metric", "unit", "limits", "recovery", "dwell_s"}
