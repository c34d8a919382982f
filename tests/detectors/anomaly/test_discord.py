"""The discord tier on series of known make: what it finds, and each of the method's known weak spots."""

import numpy as np
import numpy.typing as npt
import pytest

from detectors.anomaly.discord import PAGE, DiscordTier
from detectors.anomaly.discord_kernel import LONGEST, STRETCH, WARM, WINDOW, gathered

START, STEP = 1_790_000_000_000_000, 300_000_000
A_DAY = 288
LOUD = 2.5
Floats = npt.NDArray[np.float64]


def times(count: int, step: int = STEP) -> npt.NDArray[np.int64]:
    return START + step * np.arange(count, dtype=np.int64)


def daily(count: int, seed: int = 1, scatter: float = 0.1, period: float = A_DAY) -> Floats:
    return np.sin(np.arange(count) / period * 2 * np.pi) + np.random.default_rng(seed).normal(0, scatter, count)


def scores(value: Floats, at: npt.NDArray[np.int64] | None = None, tier: DiscordTier | None = None) -> Floats:
    moments = times(len(value)) if at is None else at
    return (tier or DiscordTier(1)).read(np.zeros(len(value), np.int64), moments, value).astype(float)


def test_distances_kept_by_lag_are_those_counted_anew() -> None:
    value = daily(1000)
    tier = DiscordTier(1)
    scores(value, tier=tier)
    x = value - value[0]
    for lag in range(1, WINDOW + 1):
        want = np.abs(x[-STRETCH[0] :] - x[-STRETCH[0] - lag : -lag]).sum()
        assert tier._arrays[1][0, 0, lag - 1] == pytest.approx(want, abs=1e-3), lag


def test_a_stretch_that_never_was_is_odder_than_ever_and_its_nearest_is_told() -> None:
    value = daily(6 * A_DAY)
    value[1500:1520] = -value[1500:1520]
    tier = DiscordTier(1)
    score = scores(value[:1515], tier=tier)
    assert score[1500:].max() == 3
    found = tier.explain(0)
    assert found is not None
    np.testing.assert_allclose(found.newest, value[1515 - LONGEST : 1515], atol=1e-5)
    place = 1515 - LONGEST - found.lag
    np.testing.assert_allclose(found.nearest, value[place : place + LONGEST], atol=1e-5)
    assert found.distance == pytest.approx(np.abs(found.newest - found.nearest).sum(), abs=1e-3)
    assert found.interval_s == 300
    assert found.score == pytest.approx(score[-1])


def test_warm_up_is_silent_and_a_clean_sine_stays_so() -> None:
    clean = np.sin(np.arange(3000) / 50 * 2 * np.pi)
    score = scores(clean)
    assert score[: WARM[0] - 1].max() == 0
    assert score.max() < LOUD
    assert DiscordTier(1).explain(0) is None


def test_sensitivity_returns_after_a_great_fault() -> None:
    """Ranks that never fade are blind for ever to whatever is less odd than what was odd once."""
    value = daily(200 * A_DAY, period=40)
    random = np.random.default_rng(5)
    for begin in range(2000, 12_000, 100):
        value[begin : begin + 10] += random.normal(0, 40, 10)
    value[-50:-30] = -3
    value[13_000:13_020] = -3
    score = scores(value)
    assert score[13_000:13_040].max() < 2 < LOUD <= score[-50:].max()


def test_a_fault_against_the_hour_of_the_day_is_seen_at_any_interval() -> None:
    """A window shorter than the period would have only other hours to compare with."""
    for step_s in (5, 30, 60, 300, 900):
        per_day = 86_400 // step_s
        value = daily(5 * per_day, period=per_day)
        begin = 4 * per_day + per_day // 4
        value[begin : begin + per_day // 8] -= 2
        score = scores(value, times(len(value), step_s * 1_000_000))
        assert score[begin : begin + per_day // 8].max() >= LOUD, step_s
        assert gathered(step_s) * WINDOW * 6 * step_s >= 86_400


def test_a_long_fault_is_not_learnt_while_its_alert_is_open() -> None:
    value = daily(12 * A_DAY, period=60)
    begin = 6 * A_DAY
    value[begin:] = 3 + 0.2 * value[begin:]
    learning, held = DiscordTier(1), DiscordTier(1)
    for tier in (learning, held):
        scores(value[: begin + 15], times(begin + 15), tier)
    held.hold(0)
    later = slice(begin + 15, None)
    at = times(len(value))
    assert scores(value[later], at[later], learning)[A_DAY:].max() < LOUD
    assert scores(value[later], at[later], held)[A_DAY:].min() >= LOUD
    held.unhold(0)
    back = daily(3 * A_DAY, 4, period=60)
    moments = at[-1] + times(len(back)) - START + STEP
    assert scores(back, moments, held)[A_DAY:].max() <= 3


def test_a_held_series_that_is_normal_again_is_no_more_odd() -> None:
    value = daily(8 * A_DAY, period=60)
    tier, begin = DiscordTier(1), 6 * A_DAY
    value[begin : begin + 30] += 4
    at = times(len(value))
    scores(value[: begin + 15], at[: begin + 15], tier)
    tier.hold(0)
    score = scores(value[begin + 15 :], at[begin + 15 :], tier)
    assert score[:15].min() >= LOUD
    assert np.median(score[60:]) < 2


def test_irregular_intervals_say_what_regular_ones_say() -> None:
    random = np.random.default_rng(2)
    value = daily(10 * A_DAY, scatter=0.05)
    begin = 8 * A_DAY
    value[begin : begin + 20] = -value[begin : begin + 20] - 2
    at = times(len(value)) + random.integers(-60_000_000, 60_000_000, len(value))
    kept = random.random(len(value)) > 0.1
    kept[begin : begin + 20] = True
    score, where = scores(value[kept], at[kept]), np.flatnonzero(kept)
    assert score[where >= begin][:25].max() >= LOUD
    doubled = scores(np.repeat(value, 2), np.repeat(times(len(value)), 2) + np.tile([0, 40_000_000], len(value)))
    assert doubled[2 * begin : 2 * begin + 60].max() >= LOUD


def test_a_constant_series_is_silent_and_what_is_no_number_or_old_is_ignored() -> None:
    assert scores(np.full(2000, 20.9)).max() == 0
    value = daily(1000)
    want = scores(value)
    spoilt, at = np.repeat(value, 2), np.repeat(times(1000), 2)
    spoilt[1::2] = np.where(np.arange(1000) % 2, np.nan, 1e9)
    score = scores(spoilt, at)
    np.testing.assert_array_equal(score[::2], want)
    assert score[1::2].max() == 0
    tier = DiscordTier(1)
    assert tier.read(np.array([1, -1]), times(2), np.ones(2)).max() == 0
    with pytest.raises(ValueError, match="differ in length"):
        tier.read(np.zeros(3, np.int64), times(2), np.ones(2))


def test_pages_bring_back_what_was_known_and_growing_keeps_it() -> None:
    count = PAGE + 3
    value = np.random.default_rng(1).normal(0, 1, (500, count))
    tier, slot = DiscordTier(count), np.arange(count)
    for step, at in enumerate(times(400)):
        tier.read(slot, np.full(count, at), value[step])
    other = DiscordTier(count)
    for number in range(tier.pages()):
        other.restore(number, tier.page(number))
    other.grow(count + 5)
    for step, at in zip(range(400, 500), times(500)[400:], strict=True):
        now = np.full(count, at)
        np.testing.assert_array_equal(tier.read(slot, now, value[step]), other.read(slot, now, value[step]))
    assert tier.nbytes / count < 12_500
    assert len(tier.page(0)) < 2**20
    with pytest.raises(ValueError, match="bytes"):
        tier.restore(1, tier.page(0))
    with pytest.raises(IndexError, match="no page"):
        tier.page(2)
    with pytest.raises(ValueError, match="cannot shrink"):
        other.grow(3)
    tier.release(0)
    assert tier.explain(0) is None
    assert tier.explain(1) is not None
