"""The town's budget of warnings, on candidates of known strength."""

import numpy as np
import pytest

from core.clock import HOUR, MINUTE
from detectors.anomaly.budget import FLOOR, KEPT, MOST, QUIET, WAIT, Budget, Candidate, Change


def candidate(device: str, score: float, metric: str | None = None) -> Candidate:
    return Candidate(device, metric or device, 0, score, "cheap", {"low": 1.0})


def warned(changes: list[Change]) -> list[str]:
    return [change.weighed.candidate.device for change in changes if change.active]


def test_the_strongest_go_first_and_no_hour_has_more_than_the_budget() -> None:
    budget = Budget(3)
    for number in range(10):
        budget.offer(0, candidate(f"P-{number}", 10 + number))
    assert warned(budget.tick(0)) == ["P-9", "P-8", "P-7"]
    assert warned(budget.tick(MINUTE)) == []
    budget.offer(MINUTE, candidate("P-99", 30))
    assert warned(budget.tick(HOUR - 1)) == []


def test_one_that_waited_goes_out_when_the_hour_is_over_and_else_is_listed_with_its_reason() -> None:
    budget = Budget(1)
    budget.offer(0, candidate("first", 20))
    budget.tick(0)
    budget.offer(10 * MINUTE, candidate("early", 20))
    budget.offer(40 * MINUTE, candidate("late", 20))
    for minute in range(10, 60):
        assert warned(budget.tick(minute * MINUTE)) == []
    assert [(one.weighed.candidate.device, one.reason) for one in budget.held_back] == [("early", "spent")]
    assert budget.held_back[0].at == 10 * MINUTE + WAIT
    assert warned(budget.tick(HOUR)) == ["late"]
    assert budget.counts == {"warned": 2, "weak": 0, "spent": 1}


@pytest.mark.parametrize("seed", range(3))
def test_over_days_of_too_many_candidates_the_budget_holds_in_every_hour_and_strength_decides(seed: int) -> None:
    random = np.random.default_rng(seed)
    budget, times, went, held = Budget(6), [], [], []
    for minute in range(3 * 24 * 60):
        for number in range(random.poisson(0.5)):
            budget.offer(minute * MINUTE, candidate(f"P-{minute}-{number}", FLOOR + random.exponential(0.6)))
        for change in budget.tick(minute * MINUTE):
            if change.active:
                times.append(change.at)
                went.append(change.weighed.weight)
    held = [one.weighed.weight for one in budget.held_back]
    assert all(np.searchsorted(times, at + HOUR) - place <= 6 for place, at in enumerate(times))
    assert len(times) > 3 * 24 * 4
    assert np.median(went) > np.median(held) + 0.4
    assert len(budget.held_back) == KEPT < budget.counts["weak"] + budget.counts["spent"]


def test_the_threshold_sinks_to_its_floor_and_is_never_deaf() -> None:
    budget = Budget(6)
    for minute in range(600):
        budget.offer(minute * MINUTE, candidate(f"P-{minute}", 20))
        budget.tick(minute * MINUTE)
    assert FLOOR < budget.threshold <= FLOOR + MOST
    budget.tick(600 * MINUTE)
    budget.tick(600 * MINUTE + WAIT)
    budget.tick(600 * MINUTE + 7 * HOUR)
    assert budget.threshold == FLOOR


def test_one_device_is_warned_of_once_until_it_was_quiet() -> None:
    budget = Budget()
    budget.offer(0, candidate("P-1", 9, "gas"))
    assert warned(budget.tick(0)) == ["P-1"]
    for minute in range(1, 300):
        budget.offer(minute * MINUTE, candidate("P-1", 12, "temperature"))
        assert budget.tick(minute * MINUTE) == []
    assert budget.is_open("P-1")
    ended = budget.tick(299 * MINUTE + QUIET)
    assert [(one.active, one.weighed.candidate.metric) for one in ended] == [(False, "gas")]
    assert not budget.is_open("P-1")


def test_many_devices_odd_in_one_metric_are_the_weather() -> None:
    budget = Budget()
    for number in range(100):
        budget.offer(0, candidate(f"P-{number}", 7, "pm25"))
    budget.offer(0, candidate("G-1", 7, "gas"))
    assert warned(budget.tick(0)) == ["G-1"]
    assert budget.held_back[0].weighed.alike == 99
    assert budget.counts["weak"] == 100
    budget.offer(2 * HOUR, candidate("P-3", 7, "pm25"))
    assert warned(budget.tick(2 * HOUR)) == ["P-3"]


def test_labels_move_the_share_of_a_series_and_taking_them_back_undoes_it() -> None:
    def weight(**counts: tuple[int, int]) -> float:
        budget = Budget()
        budget.label({("P-1", metric): count for metric, count in counts.items()})
        budget.offer(0, candidate("P-1", 12, "gas"))
        return budget.tick(0)[0].weighed.weight

    assert weight(gas=(2, 0)) < weight(gas=(1, 0)) < weight() == weight(heat=(5, 0)) == weight(gas=(2, 2))
    assert weight(gas=(0, 1)) > weight()
    assert weight(gas=(50, 0)) > 12 - 4
    budget = Budget()
    budget.label({("P-1", "gas"): (1, 0)})
    assert budget.shares() == {("P-1", "gas"): 0.25}
    budget.label({})
    assert budget.shares() == {}


def test_what_was_packed_goes_on_as_if_nothing_had_happened() -> None:
    random = np.random.default_rng(1)
    whole = parted = Budget(4)
    parted = Budget(4)
    for minute in range(1000):
        for number in range(random.poisson(0.3)):
            one = candidate(f"P-{random.integers(40)}-{number}", FLOOR + random.exponential(), f"m{number}")
            whole.offer(minute * MINUTE, one)
            parted.offer(minute * MINUTE, one)
        assert whole.tick(minute * MINUTE) == parted.tick(minute * MINUTE)
        if minute % 7 == 0:
            again = Budget(4)
            again.unpack(parted.pack())
            parted = again
    assert list(whole.held_back) == list(parted.held_back)
    assert whole.counts["warned"] > 20


@pytest.mark.parametrize("kept", [b"{}", b"[]", b"null", b"{"])
def test_what_is_no_state_is_refused(kept: bytes) -> None:
    with pytest.raises(ValueError, match=r"budget|JSON|Expecting"):
        Budget().unpack(kept)


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Budget(0)
