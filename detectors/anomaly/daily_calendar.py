"""Which class of day a reading falls on: a workday, or a day of rest with the State Council's holidays."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import chinese_calendar
import numpy as np
import numpy.typing as npt

from core.clock import DAY, HOUR, SECOND

WORKDAY, REST_DAY = 0, 1
OFFSET = 8 * HOUR
"""Local time is ahead of UTC by this many µs, all year."""


def is_worked(when: date) -> bool:
    """Whether a local day is worked: weekends and holidays are not, shifted workdays are.

    For years that no calendar was published of, weekends alone count.

    >>> is_worked(date(2026, 10, 1)), is_worked(date(2026, 10, 10)), is_worked(date(2090, 1, 2))
    (False, True, True)
    """
    try:
        return bool(chinese_calendar.is_workday(when))
    except NotImplementedError:
        return when.weekday() < 5


def day_class(at: npt.NDArray[np.int64], worked: Callable[[date], bool] = is_worked) -> npt.NDArray[np.int8]:
    """WORKDAY or REST_DAY of each moment (µs, UTC) by its local day; `worked` tells of a day whether it is one.

    >>> day_class(np.array([1_790_000_000_000_000, 1_790_841_600_000_000])).tolist()
    [0, 1]
    """
    if len(at) == 0:
        return np.zeros(0, np.int8)
    days = (at + OFFSET) // DAY
    first = int(days.min())
    numbers = range(first, int(days.max()) + 1)
    if len(numbers) > 10_000:  # a clock far off among the readings
        found, place = np.unique(days, return_inverse=True)
        return np.array([_class_of(int(day), worked) for day in found], np.int8)[place]
    return np.array([_class_of(day, worked) for day in numbers], np.int8)[days - first]


def _class_of(day: int, worked: Callable[[date], bool]) -> int:
    when = datetime.fromtimestamp(day * (DAY // SECOND), UTC).date()
    return WORKDAY if worked(when) else REST_DAY
