"""The loop of the cheap tier over readings, as machine code: a few statistics of each, and how unlikely the largest is.

Residuals are counted in units of the series' usual residual at that time of day, so that a statistic's tail does not
depend on the hour.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.anomaly.cheap_state import (
    BUCKET,
    BUCKETS,
    CLASSES,
    DAY,
    LINES,
    NO_BUCKET,
    NOBODY,
    POINT,
    RUN,
    SCATTER,
    SEASON,
    TREND,
    UNKNOWN,
)
from detectors.anomaly.cheap_tail import FIRST_EXCESS, FIRST_OVER, end_run, run_score, tail_score
from detectors.anomaly.daily_profile import DAY_SPAN, LOCAL, NONE, OWN, WIDTHS, expected, new_day, visited
from detectors.jit import compiled, prefetch

WARM_READINGS, WARM_DAYS = 200, 2
"""No score before so many readings, nor before so many local days have ended (for the daily ones: of its class)."""
FAST, SLOW, LONG = 1 / 4, 1 / 64, 1 / 12
"""Weights of a reading in the EWMA, in the mean that a trend is seen against, and in the present scatter."""
_LEVEL = 86_400.0
"""Seconds in which the slow level follows."""
_GAP = 6
"""Intervals after which means of recent readings say nothing."""
_BAND = 3.0
"""ln(SHARE / 0.001): the band holds all but a thousandth."""
_AHEAD = 10
_NONE = np.nan


@compiled
def begin(row: Any, value: float, at: int, day_class: int) -> None:
    """Take the first reading of a series."""
    row.center, row.last_at, row.readings = value, at, 1
    row.quantum, row.bucket, row.day_class = np.inf, NO_BUCKET, day_class
    row.day = ((at + LOCAL) // DAY_SPAN) & 65_535
    for place in range(BUCKETS * CLASSES):
        row.profile[place] = UNKNOWN
    for part in range(len(FIRST_OVER)):
        row.over[part], row.excess[part] = FIRST_OVER[part], FIRST_EXCESS[part]


@compiled
def placed(row: Any, at: int, day_class: int) -> int:
    """Enter the bucket of a reading, closing the one before; its number."""
    local = at + LOCAL
    day = local // DAY_SPAN
    bucket, day = (local - day * DAY_SPAN) // BUCKET, day & 65_535
    if bucket != row.bucket or day != row.day:
        visited(row, 2 * row.over[DAY] * row.usual if row.days[row.day_class] >= WARM_DAYS else np.inf)
        if day != row.day:
            new_day(row, day_class)
            row.longest = round(0.97 * row.longest)
        row.bucket, row.day, row.day_class = bucket, day, day_class
    return bucket


@compiled
def unit_of(row: Any, bucket: int) -> float:
    """The usual residual at this time of day, not less than a step of the sensor."""
    noise = WIDTHS[row.noise[bucket]] * row.unit if row.noise[bucket] > 0 else row.usual
    return max(noise, 0.4 * row.usual, row.quantum)  # type: ignore[no-any-return]


@compiled
def repeated(row: Any, value: float, broken: bool, settled: bool) -> float:
    """Follow runs of equal values and the least step; the score of the present run."""
    same = value == row.last
    if not same:
        row.quantum = min(row.quantum, abs(value - row.last))
    row.last = value
    row.repeats += ((1.0 if same else 0.0) - row.repeats) / min(row.readings, 512)
    if same and not broken:
        row.run = min(row.run + 1, 60_000)
        return run_score(row) if settled and row.quantum < np.inf else 0.0
    end_run(row, settled)
    return 0.0


@compiled
def lost_season(row: Any, off: float, shape: float) -> float:
    """CUSUM of how much likelier the profile's mean is than the profile, in readings of the usual amplitude.

    Gaussian log-likelihood ratio of `off` = -shape against `off` = 0 (Page 1954), over the mean square of the profile.
    """
    if row.power < 4 * row.usual * row.usual:
        return 0.0
    step = (-off * shape - 0.5 * shape * shape) / row.power
    row.season = min(max(row.season + min(max(step, -2.0), 2.0), 0.0), 60.0)
    return row.season  # type: ignore[no-any-return]


@compiled
def followed(row: Any, off: float, residual: float, unit: float, seconds: float) -> None:
    """Let the means follow a reading."""
    row.fast += FAST * residual
    row.slow += SLOW * (off - row.slow)
    row.usual += (min(abs(residual), 6 * unit) - row.usual) / min(row.readings, 512)
    row.visit += 1
    row.visit_sum += off
    row.visit_scatter += min(abs(residual), 6 * unit)
    if row.known == OWN and row.days[row.day_class] >= WARM_DAYS:
        row.level += min(seconds, 4 * row.interval) / _LEVEL * min(max(off, -8 * unit), 8 * unit)


@compiled
def judged(row: Any, given: float, at: int, day_class: int) -> tuple[float, float, int, float, float]:
    """Scores by EWMA and by day of a later reading, the part that speaks, the band's middle and its half."""
    value, seconds = float(np.float32(given - row.center)), (at - row.last_at) * 1e-6
    broken = row.readings > 8 and seconds > _GAP * row.interval
    row.interval += (min(seconds, 4 * row.interval) - row.interval) / 32 if row.readings > 1 else seconds
    row.last_at, row.readings = at, min(row.readings + 1, 4_000_000_000)
    days = row.days[0] + row.days[1]
    settled = days >= WARM_DAYS and row.readings >= WARM_READINGS
    same_class = day_class == row.day_class
    bucket = placed(row, at, day_class)
    ewma, part = repeated(row, value, broken, settled), RUN
    want, known = expected(row, at, day_class)
    off = value - want - row.level
    if broken or known != row.known or not same_class:
        row.slow = off if broken or row.known == NONE else row.slow + off - row.fast
        row.fast, row.known = off, known
    residual, unit, before = off - row.fast, unit_of(row, bucket), row.fast
    size = abs(residual) / unit
    followed(row, off, residual, unit, seconds)
    if days < 1:
        return 0.0, 0.0, NOBODY, _NONE, _NONE
    row.scatter += LONG * (min(size, 8.0) - row.scatter)
    found = tail_score(row, POINT, size, settled)
    if found > ewma:
        ewma, part = found, POINT
    found = tail_score(row, SCATTER, row.scatter, settled)
    if found > ewma:
        ewma, part = found, SCATTER
    daily, of_day = 0.0, DAY
    if known == OWN:
        speaks = row.days[day_class] >= WARM_DAYS
        daily = tail_score(row, DAY, abs(row.fast) / unit, speaks)
        found = tail_score(row, TREND, abs(row.fast - row.slow) / unit, speaks)
        if found > daily:
            daily, of_day = found, TREND
        found = tail_score(row, SEASON, lost_season(row, off, want - row.middle), speaks)
        if found > daily:
            daily, of_day = found, SEASON
        if not speaks:
            daily = 0.0
    if not settled:
        return 0.0, 0.0, NOBODY, _NONE, _NONE
    middle = row.center + want + row.level
    if daily > ewma:
        return ewma, daily, of_day, middle, unit * (row.over[DAY] + _BAND * row.excess[DAY])
    part = part if ewma > 0 else NOBODY
    return ewma, daily, part, middle + before, unit * (row.over[POINT] + _BAND * row.excess[POINT])


@compiled
def read(
    state: Any,
    words: npt.NDArray[np.int64],
    slot: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    day_class: npt.NDArray[np.int8],
    ewma: npt.NDArray[np.float32],
    daily: npt.NDArray[np.float32],
    part: npt.NDArray[np.uint8],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> int:
    """Readings in their order; how many were of no known series. `words`: the memory of `state`, to fetch ahead."""
    last, count, strange = len(slot) - 1, len(state), 0
    for place in range(len(slot)):
        ahead = slot[min(place + _AHEAD, last)]
        if 0 <= ahead < count:
            for line in range(LINES // 2 + 1):
                prefetch(words, (ahead * LINES + line) * 8)
        s = slot[place]
        ewma[place], daily[place], part[place] = 0.0, 0.0, NOBODY
        low[place], high[place] = np.nan, np.nan
        if s < 0 or s >= count:
            strange += 1
            continue
        row, given, when = state[s], value[place], at[place]
        if not np.isfinite(given):
            row.ignored = min(row.ignored + 1, 65_000)
        elif row.readings == 0:
            begin(row, given, when, day_class[place])
        elif when > row.last_at:
            by_ewma, by_day, who, middle, half = judged(row, given, when, day_class[place])
            ewma[place], daily[place], part[place] = by_ewma, by_day, who
            low[place], high[place] = middle - half, middle + half
    return strange
