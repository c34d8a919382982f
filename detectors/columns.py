"""The arrays that the kernels work on: plans (rules resolved for one kind of series), checks and series.

A check is one rule on one series; it names its plan. Values are direction-normalised: multiplied by the plan's `sign`,
so that "violates" is always "reaches the limit".
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

LEVELS = 5
"""Severities NONE..CRITICAL."""
BUCKETS = 10
"""A rate's window is this many buckets, of each of which only the minimum is kept."""

THRESHOLD, RATE, FROZEN, OUT_OF_RANGE = range(4)
KINDS = {"threshold": THRESHOLD, "rate": RATE, "frozen": FROZEN, "out_of_range": OUT_OF_RANGE}

NEVER = np.iinfo(np.int64).min
"""A time before all others."""


class Plans(NamedTuple):
    """One row a plan: int8 kind, over (severity of an over-range reading, 0 none), life (lowest life-safety severity).

    `limit` and `floor` (below it a level is left) are [plan, LEVELS], column 0 the lowest of the row; spans are µs;
    whatever there is none of is NaN,
    which nothing reaches. `least` is how many readings a frozen one needs.
    """

    kind: npt.NDArray[np.int8]
    over: npt.NDArray[np.int8]
    life: npt.NDArray[np.int8]
    sign: npt.NDArray[np.float64]
    limit: npt.NDArray[np.float64]
    floor: npt.NDArray[np.float64]
    dwell: npt.NDArray[np.int64]
    window: npt.NDArray[np.int64]
    least: npt.NDArray[np.int32]
    ignore: npt.NDArray[np.float64]
    rest: npt.NDArray[np.float64]


SERIES = np.dtype(
    [
        ("last_at", np.int64),
        ("last_received", np.int64),
        ("last_value", np.float64),
        ("run_start", np.int64),  # since when the value is the same
        ("out_start", np.int64),  # since when readings are out of range
        ("out_at", np.int64),
        ("run_count", np.int32),
        ("out_count", np.int32),
        ("device", np.int32),
        ("quality", np.uint16),
        ("fill", np.uint16),
    ]
)
"""64 bytes, one cache line a series. `last_…` are of the newest reading that feeds rules."""

CHECK = np.dtype(
    [
        ("onset", np.int64),
        ("aged_at", np.int64),  # when an episode was recorded unpaged because it is aged, else 0
        ("plan", np.int32),
        ("rate", np.int32),  # row of the rate's buckets, -1 none
        ("level", np.int8),  # confirmed by dwell
        ("told", np.int8),  # the level announced last
        ("paged", np.int8),  # the highest level announced with page
        ("running", np.int8),  # the level violated by the newest reading: `since` holds for 1..running
        ("noted", np.int8),  # stands in `attention`
        ("fill", np.int8, 3),
    ]
)
"""32 bytes a check."""

EMISSION = np.dtype(
    [
        ("check", np.int32),
        ("series", np.int32),
        ("level", np.int8),
        ("told", np.int8),
        ("page", np.int8),
        ("reason", np.int8),
        ("measure", np.float64),
        ("value", np.float64),
        ("onset", np.int64),
        ("at", np.int64),
        ("received_at", np.int64),
        ("age", np.int64),
    ]
)
"""What a kernel says: the check went from `told` to `level`."""

REASONS = (
    "threshold",
    "rate",
    "frozen",
    "out_of_range",
    "over_range",
    "held",
    "recovered",
    "eased",
    "aged_recorded",
    "not_in_service",
    "fresh",
    "still_violated",
)
"""Names of an emission's `reason`; the first four are those of the kinds."""
OVER_RANGE, HELD, RECOVERED, EASED, AGED_RECORDED, NOT_IN_SERVICE, FRESH, STILL_VIOLATED = range(4, 12)


class Arrays(NamedTuple):
    """All that the kernels read and write. `start` is the CSR index of checks over series (length series + 1).

    Over checks: `check`, `since` [check, 4] (µs, level j in column j - 1). Over rates: `bucket`, `lowest` [rate,
    BUCKETS]. Over devices: `heard` and `heard_at` (receipt and own time of the last thing heard, NEVER before it),
    `active` (pages people), `silence` (µs). `attention` lists the checks that a tick must judge; `counters` is
    [length of attention, readings of unknown series].
    """

    series: npt.NDArray[Any]
    start: npt.NDArray[np.int64]
    check: npt.NDArray[Any]
    since: npt.NDArray[np.int64]
    bucket: npt.NDArray[np.int64]
    lowest: npt.NDArray[np.float64]
    heard: npt.NDArray[np.int64]
    heard_at: npt.NDArray[np.int64]
    active: npt.NDArray[np.bool_]
    silence: npt.NDArray[np.int64]
    attention: npt.NDArray[np.int32]
    counters: npt.NDArray[np.int64]


def empty_series(device: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """Series without a reading yet, of the devices at these indexes (-1: a number that no device has)."""
    series = np.zeros(len(device), SERIES)
    series["last_at"] = series["out_at"] = NEVER
    series["last_received"] = NEVER
    series["device"] = device
    return series
