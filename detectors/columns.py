"""The arrays that the kernels work on: plans (rules resolved for one kind of series), checks and series.

A check is one rule on one series; it names its plan. Values are direction-normalised: multiplied by the plan's `sign`,
so that "violates" is always "reaches the limit".
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.expression import MOST_METRICS
from detectors.measures import FROZEN, LEVELS, LONG_AGO, NEVER, NOISE, OUT_OF_RANGE, PARTS, RATE, THRESHOLD

_LINE = 64
KINDS = {"threshold": THRESHOLD, "rate": RATE, "frozen": FROZEN, "out_of_range": OUT_OF_RANGE, "noise": NOISE}

PLAN = np.dtype(
    [
        ("limit", np.float64, LEVELS),
        ("floor", np.float64, LEVELS),  # below it a level is left
        ("sign", np.float64),
        ("ignore", np.float64),
        ("rest", np.float64),
        ("dwell", np.int64),
        ("dwell_off", np.int64),
        ("window", np.int64),  # of a rate, a count or a mean
        ("base", np.float64),  # the baseline where it is given
        ("resolution", np.float64),  # of the metric
        ("least", np.int32),  # readings that a frozen value needs
        ("learn", np.int32),  # readings that make a baseline, 0 without one
        ("needed", np.int32),  # parts with data that a mean needs, 0 without one
        ("count", np.int32),  # readings over the limit within the window, 0 for any one
        ("hours", np.int32),  # row of the week's hours, -1 for all
        ("mask", np.uint16),  # quality flags of readings that are not for the rule
        ("kind", np.int8),
        ("over", np.int8),  # severity of an over-range reading, 0 none
        ("life", np.int8),  # lowest life-safety severity
        ("latch", np.int8),
        ("anomaly", np.int8),
    ]
)
"""A plan: spans in µs; column 0 of `limit` and `floor` is the lowest of the row; what there is none of is NaN, which
nothing reaches."""

PROFILE = np.dtype(
    [
        ("lower", np.float64),
        ("upper", np.float64),
        ("rest", np.float64),
        ("keen", np.int64),
        ("least", np.int32),
        ("rate", np.int32),
        ("noise", np.int32),
        ("rate_window", np.int16),
        ("noise_memo", np.int16),
    ]
)
"""What series with the same plans share: a value between `lower` and `upper` reaches no limit; one at `rest`, or that
was the same for fewer than `least` readings, is not frozen. `keen` has a bit for each of a series' checks that wants
every reading, and bit 62 when a derived series does. The plans of one rate and one noise that need no more than
`measures.stays_level` and `stays_quiet` while nothing happens are `rate` and `noise` instead (-1: none), with the place
of what they remember among the series' windows and memos."""

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
        ("memo", np.int32),  # row of what it remembers besides, -1 (the last, nobody's) for none
        ("level", np.int8),  # confirmed by dwell
        ("told", np.int8),  # the level announced last
        ("paged", np.int8),  # the highest level announced with page
        ("running", np.int8),  # the level violated by the newest reading: `since` holds for 1..running
        ("noted", np.int8),  # stands in `attention`
        ("fill", np.int8, 3),
    ]
)
"""64 bytes, one cache line a check."""

MEMO = np.dtype(
    [
        ("below", np.int64, LEVELS - 1),  # since when the measure is below the floor of level 1..4, NEVER when it isn't
        ("total", np.float64),  # sum of the baseline's readings; present scatter
        ("slow", np.float64),  # usual scatter
        ("before", np.float64),  # the reading before; for a baseline when the device came into service
        ("readings", np.int32),
        ("window", np.int32),  # row of its window, -1 (the last, nobody's) for none
    ]
)
"""64 bytes: what a check with a dwell off, a baseline or a scatter remembers besides."""

WINDOW = np.dtype(
    [
        ("newest", np.int64),  # number of a rate's part
        ("older", np.float64),  # lowest value of a rate's other parts
        ("value", np.float64, PARTS),
        ("part", np.int64, PARTS),
        ("readings", np.int32, PARTS),
        ("fill", np.int64, 2),
    ]
)
"""The parts of a span: of a rate the lowest value in each, of a mean sum and number, of a count time and measure.

512 bytes, of which a rate needs the first two cache lines."""

FIRST = np.dtype([("memo", np.int32), ("window", np.int32)])
"""Where the rows of a series' checks in MEMO and WINDOW begin."""

DERIVED = np.dtype(
    [
        ("max_age", np.int64),
        ("first", np.int32),  # its steps
        ("end", np.int32),
        ("anchor", np.int32),  # the lowest of its inputs
        ("inputs", np.int32),
        ("input", np.int32, MOST_METRICS),
    ]
)
"""A series whose values an expression makes of others; its number is behind the registry's."""

STEP = np.dtype([("op", np.int64), ("argument", np.float64)])
"""A step of an expression."""

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
    "noise",
    "over_range",
    "held",
    "recovered",
    "eased",
    "aged_recorded",
    "not_in_service",
    "fresh",
    "still_violated",
    "sensor_sick",
    "schedule_ended",
)
"""Names of an emission's `reason`, in the order of the kernel's numbers; the first five are those of the kinds."""


class Arrays(NamedTuple):
    """All that the kernels read and write.

    `plan` is PLAN, `profile` PROFILE, `series` SERIES (the registry's, then the derived ones), `check` CHECK, `memo`
    MEMO and `window` WINDOW (their last rows are nobody's). `start` is the CSR index of checks over series (length
    series + 1), `owner` the series of each check. Over devices: `since` (in service, µs), `heard` and `heard_at`
    (receipt and own time of the last thing heard, NEVER before it), `active` (pages people), `sick` (can't be
    believed), `silence` (µs). `hours` are minutes of the week by row, 1 when open. `attention` lists the checks that a
    tick must judge; `counters` is [length of attention, readings of unknown series, emissions that one reading may
    cause]. `feeds` is the CSR index over the registry's series of `fed`, the rows of `derived` that each one feeds;
    `steps` is STEP, `stack` where they are run. `first` is FIRST over series.
    """

    plan: npt.NDArray[Any]
    profile: npt.NDArray[Any]
    series: npt.NDArray[Any]
    start: npt.NDArray[np.int64]
    check: npt.NDArray[Any]
    owner: npt.NDArray[np.int32]
    memo: npt.NDArray[Any]
    window: npt.NDArray[Any]
    since: npt.NDArray[np.int64]
    heard: npt.NDArray[np.int64]
    heard_at: npt.NDArray[np.int64]
    active: npt.NDArray[np.bool_]
    sick: npt.NDArray[np.bool_]
    silence: npt.NDArray[np.int64]
    hours: npt.NDArray[np.uint8]
    attention: npt.NDArray[np.int32]
    counters: npt.NDArray[np.int64]
    feeds: npt.NDArray[np.int64]
    fed: npt.NDArray[np.int32]
    derived: npt.NDArray[Any]
    steps: npt.NDArray[Any]
    stack: npt.NDArray[np.float64]
    first: npt.NDArray[Any]


def in_lines(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy that begins at a cache line, so that a row of 64 bytes is one line and not two halves."""
    room = np.zeros(rows.nbytes + _LINE, np.uint8)
    begin = -room.ctypes.data % _LINE
    copy = room[begin : begin + rows.nbytes].view(rows.dtype)
    copy[:] = rows
    return copy


def empty_series(device: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """Series without a reading yet, of the devices at these indexes (-1: a number that no device has)."""
    series = np.zeros(len(device), SERIES)
    series["last_at"] = series["out_at"] = NEVER
    series["last_received"] = NEVER
    series["device"] = device
    return series


def empty_memos(count: int, windows: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Rows of MEMO and WINDOW that remember nothing, nobody's last."""
    memo, window = np.zeros(count + 1, MEMO), np.zeros(windows + 1, WINDOW)
    memo["below"], memo["window"] = NEVER, -1
    window["part"] = window["newest"] = LONG_AGO
    return memo, window
