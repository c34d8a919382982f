"""What was heard of devices and gateways, and whether the platform hears anything itself."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from core.clock import SECOND
from detectors.kernel import NEVER
from ingest.words import Event

GRACE = 15 * SECOND
"""µs beyond an interval that a device has after our own silence or its gateway's."""

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
FOREVER = 2**62


@dataclass
class Devices:
    """Over device indexes: the journal's and the own time of the last thing heard (NEVER before it), the open episode.

    `told` is the announced severity; `onset` and `known` (the value of `heard` at its opening) are the episode's.
    `offline_at` is the own time of the report that took it out of reach and `offline_received` the journal's, NEVER
    while it is not; `status_at` is the newest such report's own time, of either sort.
    """

    heard: Times
    heard_at: Times
    told: npt.NDArray[np.int8]
    onset: Times
    known: Times
    offline_at: Times
    offline_received: Times
    status_at: Times

    @classmethod
    def unheard(cls, count: int) -> Self:
        """State of devices of which nothing was heard."""
        known, *status = np.full((4, count), NEVER)
        heard, heard_at = np.full((count, 2), NEVER).T  # side by side: readings touch both
        return cls(heard, heard_at, np.zeros(count, np.int8), np.zeros(count, np.int64), known, *status)

    def hear(self, index: int, event: Event, now: int) -> None:
        """Something other than a reading came."""
        before = (int(self.heard[index]), int(self.heard_at[index]))
        self.heard[index], self.heard_at[index] = max(before, (now, event.at))

    def report(self, index: int, event: Event, now: int) -> None:
        """What is said of it: offline holds until online or something newer, whatever is repeated in between.

        Offline is no sign of life. A repeated online is none either: the broker keeps the last one and says it to every
        new session.
        """
        online = event.attributes.get("online")
        if not isinstance(online, bool) or event.at < self.status_at[index] <= event.received_at:
            return
        was_offline, known = self.offline_at[index] != NEVER, self.status_at[index] != NEVER
        self.status_at[index] = event.at
        if not online:
            if not was_offline or self.heard_at[index] > self.offline_at[index]:
                self.offline_at[index], self.offline_received[index] = event.at, now
        elif was_offline or not known:
            self.offline_at[index] = self.offline_received[index] = NEVER
            self.hear(index, event, now)

    def revive(self) -> None:
        """Whatever was heard with a later time than the report has overtaken it."""
        overtaken = (self.offline_at != NEVER) & (self.heard_at > self.offline_at)
        self.offline_at[overtaken] = self.offline_received[overtaken] = NEVER


@dataclass
class Gateways(Devices):
    """Over gateway indexes: what `Devices` has (`heard` only by its own events).

    `dead_at`: when it was last found dead, or not all that it sent was heard.
    """

    dead_at: Times = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def unheard(cls, count: int) -> Self:
        """State of gateways of which nothing was heard."""
        made = super().unheard(count)
        made.dead_at = np.full(count, NEVER)
        return made


@dataclass
class Listening:
    """Whether the platform hears anything: `since` its first record, `connected_at` its present session (µs)."""

    since: int = FOREVER
    connected_at: int = NEVER
    lost: bool = False

    def suspended(self, now: int, interval: Times) -> Flags:
        """Whether silence means nothing yet, for things that speak every `interval` µs."""
        if self.lost:
            return np.ones(len(interval), np.bool_)
        return np.less(now, self.connected_at + interval + GRACE)
