"""What a series usually reads at each time of day by class of day: a profile in 16 bits, learnt a bucket at a time.

A bucket learns once, when the readings of its half hour are over, so that rates are by day whatever the interval. The
first day of a class is taken as it is; later ones with weight 1 / days, of which the least is 1/8: a baseline that
drifts over weeks is followed.
"""

import math
from typing import Any

import numpy as np

from detectors.anomaly.cheap_state import BUCKET, BUCKETS, CLASSES, NO_BUCKET, UNKNOWN
from detectors.jit import compiled

DAY_SPAN = BUCKETS * BUCKET
LOCAL = 28_800_000_000
"""Local time is 8 hours ahead of UTC, all year."""
WIDTHS = (2.0 ** ((np.arange(256) - 64) / 8)).astype(np.float32)
"""Scatter in units of the profile's, by its code; code 0 is unknown."""
OWN, OTHER, NONE = 1, 2, 0
"""What the profile is known from: the class of the day itself, the other one, nothing."""
_LIMIT = 32_000
_LONGEST_MEMORY = 7


@compiled
def expected(row: Any, moment: int, day_class: int) -> tuple[float, int]:
    """The profile at a moment less the center, between the middles of buckets; and whence it is known."""
    in_day = (moment + LOCAL) % DAY_SPAN
    bucket = in_day // BUCKET
    part = (in_day - bucket * BUCKET) / BUCKET - 0.5
    beside = bucket + 1 if part > 0 else bucket - 1
    if beside == BUCKETS:
        beside = 0
    elif beside < 0:
        beside = BUCKETS - 1
    here, there = row.profile[bucket * CLASSES + day_class], row.profile[beside * CLASSES + day_class]
    known = OWN
    if here == UNKNOWN:
        here, there = row.profile[bucket * CLASSES + 1 - day_class], row.profile[beside * CLASSES + 1 - day_class]
        known = OTHER
        if here == UNKNOWN:
            return 0.0, NONE
    if there == UNKNOWN:
        there = here
    return row.unit * (here + (there - here) * abs(part)), known


@compiled
def visited(row: Any, bound: float) -> None:
    """Learn from the visit of a bucket that is over; `bound` is the most that it may be off by."""
    if row.visit > 0 and row.bucket != NO_BUCKET:
        if row.unit == 0 and row.readings >= 32 and row.usual > 0:
            row.unit = max(row.usual / 32, 1e-30)
        if row.unit > 0:
            _learn_profile(row, min(max(row.visit_sum / row.visit, -bound), bound))
            _learn_noise(row, row.visit_scatter / row.visit)
    row.visit, row.visit_sum, row.visit_scatter = 0, 0.0, 0.0


@compiled
def _learn_profile(row: Any, off: float) -> None:
    place = row.bucket * CLASSES + row.day_class
    weight = 1 / (1 + min(row.days[row.day_class], _LONGEST_MEMORY))
    base = row.profile[place]
    if base == UNKNOWN:
        weight = 1.0
        base = row.profile[row.bucket * CLASSES + 1 - row.day_class]
        if base == UNKNOWN:
            base = 0
    value = base * row.unit + weight * off
    for _ in range(60):
        if abs(value) <= _LIMIT * row.unit:
            break
        _coarsen(row)
    row.profile[place] = round(min(max(value / row.unit, -_LIMIT), _LIMIT))


@compiled
def _coarsen(row: Any) -> None:
    """Make the unit four times as large."""
    row.unit *= 4
    for place in range(BUCKETS * CLASSES):
        if row.profile[place] != UNKNOWN:
            row.profile[place] = row.profile[place] // 4
    for bucket in range(BUCKETS):
        if row.noise[bucket] > 0:
            row.noise[bucket] = max(row.noise[bucket] - 16, 1)


@compiled
def _learn_noise(row: Any, scatter: float) -> None:
    code = row.noise[row.bucket]
    days = row.days[0] + row.days[1]
    if code > 0:
        before = WIDTHS[code] * row.unit
        scatter = before + (min(scatter, 3 * before) - before) / (1 + min(days + 1, _LONGEST_MEMORY))
    width = max(scatter / row.unit, 1e-6)
    row.noise[row.bucket] = min(max(round(64 + 8 * math.log2(width)), 1), 255)


@compiled
def new_day(row: Any, day_class: int) -> None:
    """Count the day that is over, and take the mean and the mean square of the new day's profile."""
    row.days[row.day_class] = min(row.days[row.day_class] + 1, 250)
    total, squares, known = 0.0, 0.0, 0
    for bucket in range(BUCKETS):
        value = row.profile[bucket * CLASSES + day_class]
        if value == UNKNOWN:
            value = row.profile[bucket * CLASSES + 1 - day_class]
        if value != UNKNOWN:
            total, squares, known = total + value, squares + np.float64(value) * value, known + 1
    if known == BUCKETS:
        mean = total / known
        row.middle, row.power = mean * row.unit, max(squares / known - mean * mean, 0.0) * row.unit * row.unit
