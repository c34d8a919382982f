"""The cheap tier: an EWMA with the tail of its residuals and a daily baseline, for every series of a town."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.anomaly.cheap_kernel import WARM_DAYS, WARM_READINGS, read
from detectors.anomaly.cheap_state import DAY, LINES, NOBODY, POINT, ROW, RUN, SCATTER, SEASON, TREND

PAGE = 1024
"""Series in a page of the state."""
PARTS = {POINT: "point", SCATTER: "scatter", DAY: "day", TREND: "trend", SEASON: "season", RUN: "run", NOBODY: ""}


class Said(NamedTuple):
    """What the tier says of each reading of a batch, arrays of its length, in its order.

    Scores are -log10 of the probability of a reading at least as odd, hence comparable; 0 for the usual, in warm-up,
    and for a reading that is NaN, not newer than the series' newest, or of no known series.
    """

    ewma: npt.NDArray[np.float32]
    """Off the moving average, scattering more than usual, or stuck."""
    daily: npt.NDArray[np.float32]
    """Off what the time of day lets expect, moving away from it, or without the usual course of the day."""
    part: npt.NDArray[np.uint8]
    """Which statistic spoke loudest, a key of PARTS."""
    low: npt.NDArray[np.float64]
    """The band that all but a thousandth of readings was expected in; NaN where none is known."""
    high: npt.NDArray[np.float64]

    @property
    def score(self) -> npt.NDArray[np.float32]:
        """The larger score of each reading."""
        return np.maximum(self.ewma, self.daily)


class CheapTier:
    """State of `count` series by slot 0 … count-1, 384 bytes each.

    Of each a copy of any page may be taken between two batches: a row knows its newest reading, and readings that are
    not newer are ignored, so replaying from where the oldest page was taken brings all of them up to date.

    >>> tier = CheapTier(1)
    >>> days = 3 * 288
    >>> at = 1_790_000_000_000_000 + 300_000_000 * np.arange(days)
    >>> value = np.sin(np.arange(days) / 288 * 2 * np.pi) + np.random.default_rng(1).normal(0, 0.1, days)
    >>> value[-1] += 2
    >>> said = tier.read(np.zeros(days, np.int64), at, value, np.zeros(days, np.int8))
    >>> bool(said.score[-1] > 6 > said.score[:-1].max()), PARTS[int(said.part[-1])]
    (True, 'point')
    """

    def __init__(self, count: int) -> None:
        self._state = _rows(count)
        self.unknown = 0
        """Readings of slots that there are none of."""

    def __len__(self) -> int:
        return len(self._state)

    @property
    def nbytes(self) -> int:
        """Memory of the state, bytes."""
        return self._state.nbytes

    def read(
        self,
        slot: npt.NDArray[np.integer],
        at: npt.NDArray[np.int64],
        value: npt.NDArray[np.floating],
        day_class: npt.NDArray[np.integer],
    ) -> Said:
        """Judge and learn from readings in their order; those of one series by time, else the older are ignored.

        Shapes (n,) each: slots, times (µs UTC), values, and WORKDAY or REST_DAY (`daily_calendar.day_class`).
        """
        if not len(slot) == len(at) == len(value) == len(day_class):
            raise ValueError("slot, at, value and day_class differ in length")
        n = len(slot)
        said = Said(np.empty(n, "f4"), np.empty(n, "f4"), np.empty(n, "u1"), np.empty(n), np.empty(n))
        given = _as(slot, np.int64), _as(at, np.int64), _as(value, np.float64), _as(day_class, np.int8)
        self.unknown += read(self._state, self._state.view(np.int64), *given, *_arrays(said))
        return said

    def readings(self) -> npt.NDArray[np.uint32]:
        """Of each series, how many readings it has learnt from; shape (count,)."""
        return self._state["readings"].copy()

    def settled(self) -> npt.NDArray[np.bool_]:
        """Of each series, whether it has been read for long enough to be judged; shape (count,)."""
        days = self._state["days"].sum(1)
        return (days >= WARM_DAYS) & (self._state["readings"] >= WARM_READINGS)  # type: ignore[no-any-return]

    def ignored(self) -> npt.NDArray[np.uint16]:
        """Of each series, how many readings were NaN or infinite; shape (count,)."""
        return self._state["ignored"].copy()

    def release(self, slot: npt.NDArray[np.integer] | int) -> None:
        """Let series learn again from nothing, after a change that was confirmed; they are silent in warm-up."""
        ignored = self._state["ignored"][slot]
        self._state[slot] = np.zeros((), ROW)
        self._state["ignored"][slot] = ignored

    def grow(self, count: int) -> None:
        """Make room for `count` series in all; those known keep their slots. ValueError if there are more already."""
        if count < len(self):
            raise ValueError(f"{len(self)} series cannot shrink to {count}")
        rows = _rows(count)
        rows[: len(self)] = self._state
        self._state = rows

    def pages(self) -> int:
        """How many pages the state has, each PAGE series but the last."""
        return -(-len(self) // PAGE)

    def page(self, number: int) -> bytes:
        """A copy of a page. IndexError beyond the last."""
        return self._state[self._rows_of(number)].tobytes()

    def restore(self, number: int, kept: bytes) -> None:
        """Put back a page; ValueError if it is of another size than that page is now."""
        rows = self._state[self._rows_of(number)]
        if len(kept) != rows.nbytes:
            raise ValueError(f"page {number} has {rows.nbytes} bytes, not {len(kept)}")
        rows[:] = np.frombuffer(kept, ROW)

    def _rows_of(self, number: int) -> slice:
        if not 0 <= number < self.pages():
            raise IndexError(f"there is no page {number} of {self.pages()}")
        return slice(number * PAGE, min((number + 1) * PAGE, len(self)))


def _arrays(said: Said) -> tuple[Any, ...]:
    return tuple(said)


def _as(given: npt.NDArray[Any], kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(given, kind)


def _rows(count: int) -> npt.NDArray[np.void]:
    """Empty rows whose first byte begins a line of the processor's cache."""
    room = np.zeros(count * ROW.itemsize + 64, np.uint8)
    begin = -room.ctypes.data % (LINES and 64)
    return room[begin : begin + count * ROW.itemsize].view(ROW)
