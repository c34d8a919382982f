"""The arrays that the kernels work on: plans (rules resolved for one kind of series), checks and series.

A check is one rule on one series; it names its plan. Values are direction-normalised: multiplied by the plan's `sign`,
so that "violates" is always "reaches the limit".
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.kernel import BUCKETS, FROZEN, LEVELS, NEVER, OUT_OF_RANGE, RATE, THRESHOLD

KINDS = {"threshold": THRESHOLD, "rate": RATE, "frozen": FROZEN, "out_of_range": OUT_OF_RANGE}

PLAN = np.dtype(
    [
        ("limit", np.float64, LEVELS),
        ("floor", np.float64, LEVELS),  # below it a level is left
        ("sign", np.float64),
        ("ignore", np.float64),
        ("rest", np.float64),
        ("dwell", np.int64),
        ("window", np.int64),
        ("least", np.int32),  # readings that a frozen value needs
        ("kind", np.int8),
        ("over", np.int8),  # severity of an over-range reading, 0 none
        ("life", np.int8),  # lowest life-safety severity
        ("fill", np.int8),
    ]
)
"""A plan: spans in µs; column 0 of `limit` and `floor` is the lowest of the row; what there is none of is NaN, which
nothing reaches."""

PROFILE = np.dtype(
    [
        ("lower", np.float64),
        ("upper", np.float64),
        ("rest", np.float64),
        ("least", np.int32),
        ("rated", np.int32),  # whether there is a rate, which wants every reading
    ]
)
"""What series with the same plans share: a value between `lower` and `upper` reaches no limit; one at `rest`, or that
was the same for fewer than `least` readings, is not frozen."""

SERIES = np.dtype(
    [
        ("last_at", np.int64),
        ("last_received", np.int64),
        ("last_value", np.float64),
        ("run_start", np.int64),  # since when the value is the same
        ("out_start", np.int64),  # since when readings are out of range
        ("out_at", np.int64),
        ("run_count", np.int32),
        ("device", np.int32),
        ("quality", np.uint16),
        ("out_count", np.uint16),
        ("profile", np.uint16),
        ("busy", np.uint16),  # whether one of its checks has a level or a dwell that runs
    ]
)
"""64 bytes, one cache line a series. `last_…` are of the newest reading that feeds rules."""

CHECK = np.dtype(
    [
        ("onset", np.int64),
        ("aged_at", np.int64),  # when an episode was recorded unpaged because it is aged, else 0
        ("since", np.int64, 4),  # from when level 1..4 is violated
        ("plan", np.int32),
        ("rate", np.int32),  # row of the rate's buckets, -1 (the last, nobody's) for none
        ("level", np.int8),  # confirmed by dwell
        ("told", np.int8),  # the level announced last
        ("paged", np.int8),  # the highest level announced with page
        ("running", np.int8),  # the level violated by the newest reading: `since` holds for 1..running
        ("noted", np.int8),  # stands in `attention`
        ("fill", np.int8, 3),
    ]
)
"""64 bytes, one cache line a check."""

RATE_WINDOW = np.dtype([("bucket", np.int64, BUCKETS), ("lowest", np.float64, BUCKETS)])
"""The numbers of the buckets that a rate keeps, and the lowest value in each."""

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
"""Names of an emission's `reason`, in the order of the kernel's numbers; the first four are those of the kinds."""


class Arrays(NamedTuple):
    """All that the kernels read and write.

    `plan` is PLAN, `profile` PROFILE, `series` SERIES, `check` CHECK, `rate` RATE_WINDOW (its last row is nobody's).
    `start` is the CSR index of checks over series (length series + 1), `owner` the series of each check. Over devices:
    `heard` and `heard_at` (receipt and own time of
    the last thing heard, NEVER before it), `active` (pages people), `silence` (µs). `attention` lists the checks that a
    tick must judge; `counters` is [length of attention, readings of unknown series].
    """

    plan: npt.NDArray[Any]
    profile: npt.NDArray[Any]
    series: npt.NDArray[Any]
    start: npt.NDArray[np.int64]
    check: npt.NDArray[Any]
    owner: npt.NDArray[np.int32]
    rate: npt.NDArray[Any]
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
