"""The class of a day, and the profile that is kept of one."""

from datetime import datetime

import numpy as np

from core.clock import DAY, HOUR, SHANGHAI, moment_of
from detectors.anomaly.cheap import CheapTier
from detectors.anomaly.cheap_state import UNKNOWN
from detectors.anomaly.daily_calendar import REST_DAY, WORKDAY, day_class
from detectors.anomaly.daily_profile import NONE, OTHER, OWN, expected


def moments(*days: tuple[int, int, int, int]) -> np.ndarray:
    return np.array([moment_of(datetime(*day, tzinfo=SHANGHAI)) for day in days], np.int64)


def test_holidays_count_as_sundays_and_shifted_workdays_as_workdays() -> None:
    at = moments((2026, 10, 1, 12), (2026, 10, 10, 12), (2026, 10, 11, 12), (2026, 10, 12, 12))
    assert day_class(at).tolist() == [REST_DAY, WORKDAY, REST_DAY, WORKDAY]


def test_a_day_begins_at_local_midnight() -> None:
    friday = moments((2026, 9, 11, 0))[0]
    assert day_class(friday + np.array([-1, 0, DAY - 1, DAY])).tolist() == [0, 0, 0, 1]


def test_the_town_may_have_days_of_its_own_and_a_clock_far_off_costs_nothing() -> None:
    at = np.array([0, 10**17, 2 * 10**17], np.int64)
    assert day_class(at, lambda when: when.year < 2000).tolist() == [0, 1, 1]
    assert day_class(at[:0]).tolist() == []


def test_the_profile_becomes_the_course_of_the_day_and_the_other_class_stands_in() -> None:
    start = moments((2026, 9, 7, 0))[0]
    at = start + HOUR // 12 * np.arange(4 * 288)
    tier = CheapTier(1)
    value = 1000 + 300 * np.sin((at - start) / DAY * 2 * np.pi) + np.random.default_rng(1).normal(0, 1, len(at))
    tier.read(np.zeros(len(at), np.int64), at, value, day_class(at))
    row = tier._state[0]
    for hour in range(24):
        want, known = expected(row, int(start + hour * HOUR), WORKDAY)
        assert known == OWN
        assert abs(want + row["center"] + row["level"] - 1000 - 300 * np.sin(hour / 12 * np.pi)) < 12
        assert expected(row, int(start + hour * HOUR), REST_DAY) == (want, OTHER)
    assert (row["profile"][1::2] == UNKNOWN).all()


def test_a_bucket_that_was_never_read_is_not_known() -> None:
    start = moments((2026, 9, 7, 0))[0]
    at = start + HOUR // 12 * np.arange(4 * 288)
    at = at[(at - start) % DAY < 12 * HOUR]
    tier = CheapTier(1)
    said = tier.read(np.zeros(len(at), np.int64), at, np.random.default_rng(1).normal(0, 1, len(at)), day_class(at))
    assert expected(tier._state[0], int(start + 18 * HOUR), WORKDAY)[1] == NONE
    assert said.score.max() < 6
