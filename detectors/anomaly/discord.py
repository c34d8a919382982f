"""The discord tier: how unlike anything in its window the newest stretch of a series is, on three scales.

A value is entered for each interval of the series: what comes much sooner is passed over, gaps of a few intervals are
filled with the value before, and of readings so fast that a day would not fit into the largest scale's window a block
stands for one, by the value farthest from the series' mean.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.anomaly.discord_kernel import (
    KEPT,
    LONGEST,
    RANKS,
    SCALES,
    STRETCH,
    WINDOW,
    gathered,
    hold,
    nearest_lag,
    read,
)

STATE = np.dtype(
    [
        ("center", "f8"),
        ("last_at", "i8"),
        ("mean", "f4"),
        ("interval", "f4"),  # s
        ("value", "f4"),  # the newest
        ("outlying", "f4"),  # of the values that one stands for, the farthest from the mean
        ("readings", "i4"),
        ("gathered", "i4"),
        ("held", "i4"),
        ("known", "f4"),  # the newest score
        ("count", "i4", (SCALES,)),
        ("place", "i4", (SCALES,)),
        ("filled", "i4", (SCALES,)),
        ("score", "f4", (SCALES,)),
        ("strength", "f4", (SCALES,)),
        ("extreme", "f4", (SCALES,)),
        ("newest", "f4", (LONGEST,)),  # while held
        ("last", "i4", (SCALES, 2)),
    ]
)
PAGE = 64
"""Series in a page of the state: about 0.8 MB."""
_ARRAYS = (((SCALES, 2 * KEPT), "f4"), ((SCALES, WINDOW), "f4"), ((SCALES, RANKS), "f4"))


class Stretch(NamedTuple):
    """Why a series is unlike itself: its newest stretch beside the nearest earlier one, the newest value last."""

    newest: npt.NDArray[np.float64]
    nearest: npt.NDArray[np.float64]
    lag: int
    """Values between the two."""
    interval_s: float
    """Seconds between two values."""
    distance: float
    """Sum of the absolute differences."""
    score: float


class DiscordTier:
    """Windows of `count` series by slot 0 … count-1, about 12 KB each.

    >>> tier = DiscordTier(1)
    >>> at = 1_790_000_000_000_000 + 300_000_000 * np.arange(900)
    >>> value = np.sin(np.arange(900) / 40 * 2 * np.pi) + np.random.default_rng(1).normal(0, 0.05, 900)
    >>> value[880:] = 2
    >>> score = tier.read(np.zeros(900, np.int64), at, value)
    >>> bool(score[880:].max() == 3)
    True
    """

    def __init__(self, count: int) -> None:
        self._state, self._arrays = _fresh(count)

    def __len__(self) -> int:
        return len(self._state)

    @property
    def nbytes(self) -> int:
        """Memory of the state, bytes."""
        return self._state.nbytes + sum(array.nbytes for array in self._arrays)

    def read(
        self, slot: npt.NDArray[np.integer], at: npt.NDArray[np.int64], value: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.float32]:
        """Score and learn from readings, in their order; shapes (n,): slots, times (µs UTC), values.

        A score is 3 - log10 of the rank of how odd the newest stretch is among the 64 oddest known, a mean over the
        scales: 3 is odder than ever. It is 0 in warm-up, and for what is NaN, not newer, or of no known series.
        """
        if not len(slot) == len(at) == len(value):
            raise ValueError("slot, at and value differ in length")
        score = np.zeros(len(slot), np.float32)
        given = np.ascontiguousarray(slot, np.int64), np.ascontiguousarray(at, np.int64)
        buffers, distances, tops = self._arrays
        read(self._state, buffers, distances, tops, *given, np.ascontiguousarray(value, np.float64), score)
        return score

    def hold(self, slot: int) -> None:
        """Keep what is known of a series as it is, while an alert on it is open: a long fault is not learnt."""
        hold(self._state[slot], self._arrays[0][slot, 0])

    def unhold(self, slot: int) -> None:
        """Learn again; what came while held is forgotten."""
        self._state[slot]["held"] = 0

    def release(self, slot: int) -> None:
        """Forget a series, after a change that was confirmed."""
        self._state[slot : slot + 1], fresh = _fresh(1)
        for array, empty in zip(self._arrays, fresh, strict=True):
            array[slot] = empty[0]

    def explain(self, slot: int) -> Stretch | None:
        """Why the newest reading of a series has its score; None while too little is known."""
        state, buffer, distance = self._state[slot], self._arrays[0][slot, 0], self._arrays[1][slot, 0]
        lag = nearest_lag(distance, int(state["count"][0]))
        if lag == 0:
            return None
        place, stretch, center = int(state["place"][0]), int(STRETCH[0]), float(state["center"])
        newest = buffer[place : place + stretch][::-1] + center
        nearest = buffer[place + lag : place + lag + stretch][::-1] + center
        step = float(state["interval"]) * gathered(float(state["interval"]))
        return Stretch(newest, nearest, lag, step, float(distance[lag - 1]), float(state["known"]))

    def grow(self, count: int) -> None:
        """Make room for `count` series in all. ValueError if there are more already."""
        if count < len(self):
            raise ValueError(f"{len(self)} series cannot shrink to {count}")
        more, arrays = _fresh(count - len(self))
        self._state = np.concatenate([self._state, more])
        self._arrays = [np.concatenate(pair) for pair in zip(self._arrays, arrays, strict=True)]

    def pages(self) -> int:
        """How many pages the state has."""
        return -(-len(self) // PAGE)

    def page(self, number: int) -> bytes:
        """A copy of a page. IndexError beyond the last."""
        rows = self._rows_of(number)
        return b"".join([self._state[rows].tobytes(), *(array[rows].tobytes() for array in self._arrays)])

    def restore(self, number: int, kept: bytes) -> None:
        """Put back a page; ValueError if it is of another size than that page is now."""
        rows = self._rows_of(number)
        parts: list[Any] = [self._state[rows], *(array[rows] for array in self._arrays)]
        if len(kept) != sum(part.nbytes for part in parts):
            raise ValueError(f"page {number} has {sum(part.nbytes for part in parts)} bytes, not {len(kept)}")
        place = 0
        for part in parts:
            part[:] = np.frombuffer(kept[place : place + part.nbytes], part.dtype).reshape(part.shape)
            place += part.nbytes

    def _rows_of(self, number: int) -> slice:
        if not 0 <= number < self.pages():
            raise IndexError(f"there is no page {number} of {self.pages()}")
        return slice(number * PAGE, min((number + 1) * PAGE, len(self)))


def _fresh(count: int) -> tuple[npt.NDArray[np.void], list[npt.NDArray[Any]]]:
    state = np.zeros(count, STATE)
    state["last"] = -1
    return state, [np.zeros((count, *shape), kind) for shape, kind in _ARRAYS]
