"""How far each gateway's clock is off, estimated from when its live messages were sent and when they came.

A message's delta is its receipt less its newest `at`. A clock that is off shifts all deltas alike for good; a backlog
does not: its deltas fall while it drains, or are mixed with those of live messages. So a minute's median counts only
where its quickest messages agree with it, and three such minutes must agree before they are a clock.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE, SECOND
from ingest.words import Event

CLOCK = "clock"
"""The type of the event of a gateway whose clock is off, or no longer."""
OFF = 5 * MINUTE
"""A clock this far off is off, and said to be."""
RECOVERED = 4 * MINUTE
CORRECTED = 2 * MINUTE
"""From here on the offset is taken off when lateness is judged."""
_SAMPLES = 64  # a minute
_MINUTES = 3  # that must agree
_AGREE = 30 * SECOND
_STEADY = 2 * SECOND  # a clock's medians do not move by more, always the same way
_MIXED = 2 * MINUTE
_APART = 120  # min; filled minutes further apart do not follow each other
_RIGHT_AFTER = 3  # messages in a row
_NONE = -1


class ClockChange(NamedTuple):
    """A gateway's clock is off from now on, or no longer; `seconds` that it is behind, negative when it is ahead."""

    gateway: str
    active: bool
    seconds: float


class Bucket(NamedTuple):
    """One minute's median delta, µs."""

    minute: int
    median: int


def agreed_offset(buckets: Sequence[Bucket]) -> int | None:
    """The offset that the last filled minutes agree on, µs; None where they might be a backlog's.

    >>> agreed_offset([Bucket(1, 600_000_000), Bucket(2, 601_000_000), Bucket(3, 600_500_000)])
    600500000
    >>> agreed_offset([Bucket(1, 600_000_000), Bucket(2, 590_000_000), Bucket(3, 580_000_000)])
    """
    medians = [bucket.median for bucket in buckets]
    pairs = list(pairwise(buckets))
    if len(buckets) < _MINUTES or max(medians) - min(medians) > _AGREE:
        return None
    if any(abs(later.minute - earlier.minute) > _APART for earlier, later in pairs):
        return None
    steps = [later.median - earlier.median for earlier, later in pairs]
    if min(steps) > _STEADY or max(steps) < -_STEADY:  # a backlog that grows or drains slowly
        return None
    return sorted(medians)[len(medians) // 2]


def bucket_median(deltas: Sequence[int]) -> int | None:
    """The median of a minute's deltas (µs); None where its quickest tenth tells of another clock than the median."""
    ordered = sorted(deltas)
    median = ordered[len(ordered) // 2]
    return median if median - ordered[len(ordered) // 10] <= _MIXED else None


class Clocks:
    """Each gateway's estimated offset, µs: positive is behind. Arrays over the registry's gateway indexes.

    `correction` is what lateness takes off (0 below CORRECTED), `off` says whose clock is off; `correcting` whether any
    correction is not 0. About 600 B a gateway.
    """

    def __init__(self) -> None:
        self._codes: list[str] = []
        self._allocate(0)

    def _allocate(self, count: int) -> None:
        self.correction = np.zeros(count, np.int64)
        self.off = np.zeros(count, np.bool_)
        self.correcting = False
        self._offset = np.zeros(count, np.int64)
        self._known = np.zeros(count, np.bool_)
        self._better = np.zeros(count, np.int64)
        self._minute = np.full(count, _NONE, np.int64)
        self._count = np.zeros(count, np.int64)
        self._samples = np.zeros((count, _SAMPLES), np.int64)
        self._buckets: dict[int, list[Bucket]] = {}

    def load(self, codes: list[str]) -> None:
        """Take the gateways of a newer registry; what is known of those that stay stays, but for the open minute."""
        state = self.state()
        self._codes = codes
        self._allocate(len(codes))
        self.restore(state)

    def observe(
        self, gateways: npt.NDArray[np.int64], deltas: npt.NDArray[np.int64], received_at: npt.NDArray[np.int64]
    ) -> list[ClockChange]:
        """Take live messages in order of arrival: their gateways' indexes, receipt less newest `at`, receipt (µs)."""
        changes: list[ClockChange] = []
        minutes = received_at // MINUTE
        cuts = np.flatnonzero(np.diff(minutes)) + 1
        for start, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(minutes)], strict=True):
            if start < end:
                self._take(gateways[start:end], deltas[start:end], int(minutes[start]), changes)
        return changes

    def _take(
        self,
        gateways: npt.NDArray[np.int64],
        deltas: npt.NDArray[np.int64],
        minute: int,
        changes: list[ClockChange],
    ) -> None:
        order = np.argsort(gateways, kind="stable")
        gateways, deltas = gateways[order], deltas[order]
        starts = np.flatnonzero(np.diff(gateways, prepend=_NONE))
        seen = gateways[starts]
        sizes = np.diff(starts, append=len(gateways))
        for index in seen[self._minute[seen] != minute].tolist():
            self._close(index, changes)
            self._minute[index] = minute
        if self.correcting:
            for index, start, size in zip(seen.tolist(), starts.tolist(), sizes.tolist(), strict=True):
                if self.correction[index]:
                    self._doubt(index, deltas[start : start + size].tolist(), changes)
        places = np.arange(len(gateways)) - np.repeat(starts - self._count[seen], sizes)
        room = places < _SAMPLES
        self._samples[gateways[room], places[room]] = deltas[room]
        self._count[seen] = np.minimum(_SAMPLES, self._count[seen] + sizes)

    def _doubt(self, index: int, deltas: list[int], changes: list[ClockChange]) -> None:
        """A clock that was put right tells by fresh messages: the correction goes, before it calls old ones fresh."""
        offset, better = abs(int(self._offset[index])), int(self._better[index])
        for delta in deltas:
            better = better + 1 if abs(delta) < offset - _MIXED else 0
            if better == _RIGHT_AFTER:
                self._forget(index, delta, changes)
                better = 0
                break
        self._better[index] = better

    def _close(self, index: int, changes: list[ClockChange]) -> None:
        """End the open minute of a gateway and judge its last ones."""
        count = int(self._count[index])
        if not count:
            return
        self._count[index] = 0
        median = bucket_median(self._samples[index, :count].tolist())
        if median is None:
            self._buckets.pop(index, None)
            return
        buckets = [*self._buckets.get(index, []), Bucket(int(self._minute[index]), median)][-_MINUTES:]
        self._buckets[index] = buckets
        offset = agreed_offset(buckets)
        if offset is not None:
            self._settle(index, offset, changes)

    def _settle(self, index: int, offset: int, changes: list[ClockChange]) -> None:
        was = bool(self.off[index])
        off = abs(offset) >= (RECOVERED if was else OFF)
        self._set(index, offset, off)
        if off != was:
            changes.append(ClockChange(self._codes[index], off, offset / SECOND))

    def _forget(self, index: int, delta: int, changes: list[ClockChange]) -> None:
        if self.off[index]:
            changes.append(ClockChange(self._codes[index], False, delta / SECOND))
        self._set(index, 0, off=False)
        self._known[index] = False
        self._count[index] = 0
        self._buckets.pop(index, None)

    def _set(self, index: int, offset: int, off: bool) -> None:
        self._offset[index], self._known[index], self.off[index] = offset, True, off
        self._better[index] = 0
        self.correction[index] = offset if abs(offset) >= CORRECTED else 0
        self.correcting = bool(self.correction.any())

    def offsets(self) -> dict[str, float]:
        """The known offsets in seconds by gateway."""
        return {self._codes[index]: int(self._offset[index]) / SECOND for index in np.flatnonzero(self._known).tolist()}

    def said(self, gateway: str, active: bool, seconds: float) -> None:
        """Take up a change that was journalled."""
        if gateway in self._codes:
            index = self._codes.index(gateway)
            self._set(index, round(seconds * SECOND) if active else 0, active)
            self._known[index] = active

    def state(self) -> dict[str, Any]:
        """All that outlives a restart as plain values, by gateway; an open minute does not."""
        kept = np.flatnonzero(self._known).tolist()
        return {
            self._codes[index]: {
                "offset": int(self._offset[index]) if index in kept else None,
                "off": bool(self.off[index]),
                "buckets": [list(bucket) for bucket in self._buckets.get(index, [])],
            }
            for index in sorted({*kept, *self._buckets})
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`; gateways that are no longer registered are left out."""
        for index, code in enumerate(self._codes):
            if kept := state.get(code):
                self._buckets[index] = [Bucket(*bucket) for bucket in kept["buckets"]]
                if kept["offset"] is not None:
                    self._set(index, kept["offset"], kept["off"])


def clock_event(change: ClockChange, now: int) -> Event:
    """What is journalled of a change."""
    attributes = {"active": change.active, "value": round(change.seconds, 3), "limit": OFF // SECOND}
    return Event("gateway", change.gateway, CLOCK, now, now, attributes)
