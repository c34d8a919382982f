"""Judging the time of readings, once: replaced, disordered, aged. The kernel runs in arrival order."""

import msgspec
import numba
import numpy as np
import numpy.typing as npt

from core.clock import HOUR, MINUTE, SECOND
from ingest.words import Quality

EARLIEST = 1_577_836_800 * SECOND
"""2020-01-01 UTC; a clock before it was never set."""
AHEAD = HOUR
"""A clock further ahead than this was set wrong."""
STEP = 5 * MINUTE
"""A reading this fresh is not called disordered by one that claimed to be from the future."""
_OUTAGES_KEPT = 256

_RANGE, _DISORDERED, _AGED = int(Quality.OUT_OF_RANGE), int(Quality.DISORDERED), int(Quality.AGED)


class Outages(msgspec.Struct):
    """When the platform heard nothing, newest last: closed spans, and the one that is open, µs."""

    starts: list[int] = []
    ends: list[int] = []
    open_since: int = 0

    def lost(self, at: int) -> None:
        """An outage begins, not before the last one's end; inside one nothing changes."""
        if not self.open_since:
            self.open_since = max(at, *self.ends[-1:], 0)

    def connected(self, at: int) -> None:
        """The open outage ends."""
        if self.open_since:
            self.starts = [*self.starts, self.open_since][-_OUTAGES_KEPT:]
            self.ends = [*self.ends, max(at, self.open_since)][-_OUTAGES_KEPT:]
            self.open_since = 0

    def length(self, now: int) -> int:
        """How long the open outage lasts, 0 when none is."""
        return max(0, now - self.open_since) if self.open_since else 0

    def spans(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Starts and ends as arrays; an open outage has no end yet."""
        starts, ends = list(self.starts), list(self.ends)
        if self.open_since:
            starts.append(self.open_since)
            ends.append(np.iinfo(np.int64).max)
        return np.array(starts, np.int64), np.array(ends, np.int64)


def implausible(at: npt.NDArray[np.int64], received_at: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which times no working clock would give."""
    return (at < EARLIEST) | (at > received_at + AHEAD)


def age_of(at: int, received_at: int, outages: Outages, clock: int) -> int:
    """How long something was under way (µs), the platform's own outages and the clock's offset taken off."""
    measured_at = at + clock
    starts, ends = outages.spans()
    own = np.maximum(0, np.minimum(ends, received_at) - np.maximum(starts, measured_at)).sum()
    return int(received_at - measured_at - own)


@numba.njit(cache=True, nogil=True)
def judge(
    series: npt.NDArray[np.int32],
    at: npt.NDArray[np.int64],
    received_at: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    quality: npt.NDArray[np.uint16],
    newest: npt.NDArray[np.int64],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    late: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    clock: npt.NDArray[np.int64],
) -> None:
    """Set the flags in `quality` and move `newest` (both in place). Times µs; low, high, late by series number.

    `clock` is how far each row's clock is behind, empty when all are right: only lateness is judged by it.
    """
    for i in range(len(series)):
        s = series[i]
        flags = 0
        if value[i] < low[s] or value[i] > high[s]:
            flags |= _RANGE
        clock_was_ahead = newest[s] > received_at[i] and at[i] > received_at[i] - STEP
        if at[i] < newest[s] and not clock_was_ahead:
            flags |= _DISORDERED
        else:
            newest[s] = at[i]
        measured_at = at[i] + (clock[i] if len(clock) else 0)
        age = received_at[i] - measured_at
        if age > late[s]:
            for k in range(len(starts)):
                overlap = min(received_at[i], ends[k]) - max(measured_at, starts[k])
                if overlap > 0:
                    age -= overlap
            if age > late[s]:
                flags |= _AGED
        quality[i] |= flags
