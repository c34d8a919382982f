"""The cheap tier on series of known make: what it says, what it does not say, and what it keeps."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from detectors.anomaly.cheap import PAGE, PARTS, CheapTier, Said
from detectors.anomaly.daily_calendar import day_class

START = 1_788_192_000_000_000  # 2026-09-01 00:00 in Shanghai, a Tuesday
STEP = 300_000_000
A_DAY = 288
LOUD = 6.0
Floats = npt.NDArray[np.float64]


def times(days: float, step: int = STEP) -> npt.NDArray[np.int64]:
    return START + step * np.arange(int(days * A_DAY * STEP / step), dtype=np.int64)


def season(at: npt.NDArray[np.int64], amplitude: float = 5) -> Floats:
    return 20 + amplitude * np.sin((at - START) / (A_DAY * STEP) * 2 * np.pi)


def noise(count: int, seed: int = 3) -> Floats:
    return np.random.default_rng(seed).normal(0, 0.5, count)


def said_of(at: npt.NDArray[np.int64], value: Floats, tier: CheapTier | None = None) -> Said:
    return (tier or CheapTier(1)).read(np.zeros(len(at), np.int64), at, value, day_class(at))


def spoke(said: Said, begin: int) -> list[str]:
    """The parts that spoke loudly from `begin` on, within 30 readings."""
    after = slice(begin, begin + 30)
    return [PARTS[int(part)] for part in said.part[after][said.score[after] >= LOUD]]


def test_a_series_takes_at_most_400_bytes() -> None:
    assert CheapTier(1000).nbytes <= 400_000


@pytest.mark.parametrize("seed", range(8))
def test_a_usual_fortnight_is_silent(seed: int) -> None:
    at = times(14)
    assert said_of(at, season(at) + noise(len(at), seed)).score.max() < LOUD


def test_warm_up_is_silent_whatever_happens() -> None:
    at = times(2)
    value = season(at) + noise(len(at))
    value[300:310] += 100
    said = said_of(at, value)
    assert said.score.max() == 0
    assert np.isnan(said.low).all()


def test_a_spike_is_a_matter_of_the_moving_average_and_the_band_is_told() -> None:
    at = times(10)
    value = season(at) + noise(len(at))
    value[2500] += 6
    said = said_of(at, value)
    assert said.ewma[2500] >= LOUD > said.score[2000:2500].max()
    assert PARTS[int(said.part[2500])] == "point"
    assert said.low[2500] < value[2500] - 6 < said.high[2500] < value[2500]


def test_all_but_a_few_usual_readings_are_in_the_band() -> None:
    at = times(14)
    value = season(at) + noise(len(at))
    said, later = said_of(at, value), slice(4 * A_DAY, None)
    inside = (said.low <= value) & (value <= said.high)
    assert inside[later].mean() > 0.99
    assert (said.high - said.low)[later].mean() < 8


def test_greater_scatter_is_noticed() -> None:
    at = times(10)
    value = season(at) + noise(len(at))
    value[2500:2560] += 4 * noise(60, 5)
    assert spoke(said_of(at, value), 2500)


def test_a_stuck_sensor_is_noticed() -> None:
    at = times(10)
    value = np.round(season(at) + noise(len(at)), 1)
    value[2500:2600] = value[2500]
    assert "run" in spoke(said_of(at, value), 2500)


@pytest.mark.parametrize("weekend", [False, True])
def test_an_evening_reading_at_noon_is_off_the_day_even_if_it_came_slowly(weekend: bool) -> None:
    at = times(12)
    value = season(at, 12) + noise(len(at))
    begin = 10 * A_DAY + 150 if weekend else 9 * A_DAY + 150
    value[begin : begin + 60] += np.arange(60) * -0.25
    assert {"day", "trend"} & set(spoke(said_of(at, value), begin))


def test_a_day_without_its_course_is_noticed() -> None:
    at = times(12)
    value = season(at, 3) + noise(len(at))
    begin = 10 * A_DAY + 40
    value[begin:] = 20 + noise(len(at) - begin, 9)
    said = said_of(at, value)
    assert {"season", "day"} & set(spoke(said, begin) + spoke(said, begin + 30))


def test_a_holiday_is_read_as_a_sunday_and_a_shifted_workday_as_a_workday() -> None:
    """Traffic of a town over the National Day holiday of 2026, with the Saturday after it worked."""
    at = times(42)
    rest = day_class(at) == 1
    value = 100 + season(at, 20) * np.where(rest, 1, 2) + noise(len(at))
    said = said_of(at, value)
    assert said.score[20 * A_DAY :].max() < LOUD
    blind = CheapTier(1).read(np.zeros(len(at), np.int64), at, value, np.zeros(len(at), np.int8))
    assert blind.daily[20 * A_DAY :].max() > LOUD


@pytest.mark.parametrize("level", [0.0, 20.9, -1e9])
def test_a_constant_series_never_cries(level: float) -> None:
    at = times(10)
    assert said_of(at, np.full(len(at), level)).score.max() == 0


def test_a_coarse_series_does_not_cry_over_its_steps() -> None:
    at = times(14)
    for step in (0.5, 1, 2, 5):
        value = np.round((season(at, 3) + noise(len(at))) / step) * step
        assert said_of(at, value).score.max() < LOUD, step


def test_rare_small_steps_of_a_quiet_sensor_are_no_news() -> None:
    at = times(20)
    value = (np.random.default_rng(4).random(len(at)) < 0.004).astype(float)
    assert said_of(at, value).score.max() < LOUD


def test_a_leap_of_a_sensor_that_never_moved_is_news() -> None:
    at = times(20)
    value = (np.random.default_rng(4).random(len(at)) < 0.004).astype(float)
    value[-1] = 60
    assert said_of(at, value).score[-1] >= LOUD


def test_slow_drift_is_followed_without_a_word() -> None:
    at = times(30)
    value = season(at) + noise(len(at)) + np.arange(len(at)) / len(at) * 15
    assert said_of(at, value).score[5 * A_DAY :].max() < LOUD


def test_gaps_and_irregular_intervals_are_harmless() -> None:
    at = times(20, STEP // 5)
    random = np.random.default_rng(2)
    kept = random.random(len(at)) < 0.3
    for begin in random.integers(0, len(at) - 600, 40):
        kept[begin : begin + 600] = False
    at = at[kept] + random.integers(0, 30_000_000, kept.sum())
    assert said_of(at, season(at) + noise(len(at))).score.max() < LOUD


def test_what_is_no_number_and_what_is_not_newer_changes_nothing() -> None:
    at = times(8)
    value = season(at) + noise(len(at))
    plain, odd = CheapTier(1), CheapTier(1)
    want = said_of(at, value, plain)
    spoilt, again = np.repeat(value, 2), np.repeat(at, 2)
    spoilt[1::2] = np.where(np.arange(len(at)) % 2, np.nan, 1e9)
    again[1::2] -= np.where(np.arange(len(at)) % 2, -1, 1000)
    said = said_of(again, spoilt, odd)
    np.testing.assert_array_equal(said.score[::2], want.score)
    assert said.score[1::2].max() == 0
    assert odd.ignored().tolist() == [len(at) // 2]
    assert odd.readings().tolist() == plain.readings().tolist() == [len(at)]


def test_the_order_of_series_in_a_batch_does_not_matter() -> None:
    at = np.repeat(times(8), 5)
    slot = np.tile(np.arange(5), len(at) // 5)
    value = season(at) * (1 + slot) + noise(len(at))
    apart = CheapTier(5).read(slot, at, value, day_class(at))
    order = np.lexsort((at, np.random.default_rng(1).permutation(5)[slot]))
    mixed = CheapTier(5).read(slot[order], at[order], value[order], day_class(at[order]))
    np.testing.assert_array_equal(apart.score[order], mixed.score)


def test_readings_of_no_known_series_are_counted_and_not_judged() -> None:
    tier = CheapTier(2)
    at = times(0.02)[:4]
    said = tier.read(np.array([0, 2, -1, 1]), at, np.ones(4), day_class(at))
    assert tier.unknown == 2
    assert said.score.tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="differ in length"):
        tier.read(np.zeros(3, np.int64), at, np.ones(4), day_class(at))


def _town(count: int) -> list[tuple[Any, ...]]:
    at = times(5, 3 * STEP)
    slot = np.arange(count)
    value = season(at)[:, None] + noise(len(at) * count).reshape(len(at), -1)
    return [(slot, np.full(count, at[k]), value[k], np.zeros(count, np.int8)) for k in range(len(at))]


def test_pages_taken_while_running_are_brought_up_to_date_by_replaying() -> None:
    count = 2 * PAGE + 10
    batches, tier = _town(count), CheapTier(count)
    for batch in batches[:400]:
        tier.read(*batch)
    kept = []
    for number, batch in zip(range(tier.pages()), batches[400:], strict=False):
        kept.append(tier.page(number))
        tier.read(*batch)
    other = CheapTier(count)
    for number, page in enumerate(kept):
        other.restore(number, page)
    for batch in batches[400:]:
        again = other.read(*batch)
    for batch in batches[400 + tier.pages() :]:
        want = tier.read(*batch)
    np.testing.assert_array_equal(again.score, want.score)
    assert all(tier.page(number) == other.page(number) for number in range(tier.pages()))
    assert tier.pages() == 3


def test_a_page_of_another_size_or_number_is_refused() -> None:
    tier = CheapTier(PAGE + 1)
    with pytest.raises(ValueError, match="bytes"):
        tier.restore(1, tier.page(0))
    with pytest.raises(IndexError, match="no page"):
        tier.page(2)


def test_growing_keeps_what_was_learnt_and_a_released_series_learns_again() -> None:
    batches = _town(4)
    grown, whole = CheapTier(2), CheapTier(4)
    for batch in batches[:200]:
        grown.read(*(column[:2] for column in batch))
        whole.read(*batch)
    grown.grow(4)
    assert len(grown) == 4
    for batch in batches[200:]:
        few, all_of = grown.read(*batch), whole.read(*batch)
        np.testing.assert_array_equal(few.score[:2], all_of.score[:2])
    with pytest.raises(ValueError, match="cannot shrink"):
        grown.grow(3)
    whole.release(np.array([1]))
    assert whole.readings()[1] == 0 < whole.readings()[0]
