"""The newest reading of every series as arrays: answers "latest" and tells certainly new readings from suspects."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import HOUR
from ingest.store import Point
from ingest.words import Block

_COLUMNS = ("series", "at", "received_at", "value", "quality")
_LOOKUPS = 8
"""Into how many spans the suspects of one batch are cut at most; each costs a look at what the store holds there."""
_SERIES_HOURS = 20_000
"""How much of a server's readings is looked at in one go: about two million values of series that speak every 30 s."""

Columns = dict[str, npt.NDArray[Any]]

NEVER = np.iinfo(np.int64).min
"""The `at` of a series without a reading."""


def last_of_each(series: npt.NDArray[np.int32], at: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """The rows that hold the last write of their (series, at), ordered by series and at.

    >>> last_of_each(np.array([2, 1, 2], np.int32), np.array([10, 10, 10])).tolist()
    [1, 2]
    """
    order = np.lexsort((at, series))
    series, at = series[order], at[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (series[1:] != series[:-1]) | (at[1:] != at[:-1])
    return order[last]


def last_writes(blocks: Sequence[Block]) -> Columns:
    """The readings of these blocks as columns, each (series, at) once, ordered by both."""
    columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in _COLUMNS}
    rows = last_of_each(columns["series"], columns["at"])
    return {name: column[rows] for name, column in columns.items()}


def spans(at: npt.NDArray[np.int64]) -> list[npt.NDArray[np.intp]]:
    """Rows grouped by time, cut at the widest gaps over an hour, so that one old reading costs little."""
    order = np.argsort(at)
    gaps = np.diff(at[order])
    widest = np.argsort(gaps)[-(_LOOKUPS - 1) :]
    cuts = np.sort(widest[gaps[widest] > HOUR]) + 1
    return np.split(order, cuts)


def boxes(
    series: npt.NDArray[np.int32], at: npt.NDArray[np.int64], most: int = _SERIES_HOURS
) -> Iterator[npt.NDArray[np.intp]]:
    """Rows grouped by time so that a group's series, times its span and an hour, are at most `most` series × hours.

    Rows of one moment stay together. A gateway's backlog must not have all the town's readings of that time looked up.
    """
    waiting = [np.argsort(at, kind="stable")] if len(at) else []
    while waiting:
        rows = waiting.pop()
        span = int(at[rows[-1]] - at[rows[0]])
        if not span or len(np.unique(series[rows])) * (HOUR + span) <= most * HOUR:
            yield rows
            continue
        gaps = np.diff(at[rows])
        widest = int(np.argmax(gaps))
        cut = widest + 1 if 2 * gaps[widest] > span else len(rows) // 2
        waiting += [rows[cut:], rows[:cut]]


class Newest:
    """For each series number its newest `at` (NEVER when there is none), value and quality; 18 B a series."""

    def __init__(self) -> None:
        self.at = np.empty(0, np.int64)
        self.value = np.empty(0, np.float64)
        self.quality = np.empty(0, np.uint16)

    def reach(self, series: int) -> None:
        """Make room for this series number."""
        missing = series + 1 - len(self.at)
        if missing <= 0:
            return
        missing = max(missing, len(self.at) // 2, 1024)
        self.at = np.concatenate([self.at, np.full(missing, NEVER)])
        self.value = np.concatenate([self.value, np.zeros(missing)])
        self.quality = np.concatenate([self.quality, np.zeros(missing, np.uint16)])

    def suspects(self, series: npt.NDArray[np.int32], at: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether a reading may have been there before: it isn't newer than its series' newest."""
        return at <= self.at[series]

    def fold(
        self,
        series: npt.NDArray[np.int32],
        at: npt.NDArray[np.int64],
        value: npt.NDArray[np.float64],
        quality: npt.NDArray[np.uint16],
    ) -> None:
        """Take in readings that are ordered by series and at, each (series, at) once."""
        ends = np.flatnonzero(np.diff(series, append=-1))
        ends = ends[at[ends] >= self.at[series[ends]]]
        numbers = series[ends]
        self.at[numbers], self.value[numbers], self.quality[numbers] = at[ends], value[ends], quality[ends]

    def forget(self, before: int) -> None:
        """Drop what is older than `before`."""
        self.at[self.at < before] = NEVER

    def points(self, series: Sequence[int]) -> dict[int, Point]:
        """The newest readings of those of these series that have one."""
        known = [number for number in series if 0 <= number < len(self.at) and self.at[number] != NEVER]
        columns = (column[known].tolist() for column in (self.at, self.value, self.quality))
        return {number: Point(*point) for number, *point in zip(known, *columns, strict=True)}
