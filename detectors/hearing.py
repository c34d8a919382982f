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
    """

    heard: Times
    heard_at: Times
    told: npt.NDArray[np.int8]
    onset: Times
    known: Times

    @classmethod
    def unheard(cls, count: int) -> Self:
        """State of devices of which nothing was heard."""
        never = np.full((3, count), NEVER)
        return cls(never[0], never[1], np.zeros(count, np.int8), np.zeros(count, np.int64), never[2])

    def hear(self, index: int, event: Event, now: int) -> None:
        """Something other than a reading came."""
        before = (int(self.heard[index]), int(self.heard_at[index]))
        self.heard[index], self.heard_at[index] = max(before, (now, event.at))


@dataclass
class Gateways(Devices):
    """Over gateway indexes: what `Devices` has (`heard` only by its own events), and its status.

    `offline_at` is the own time of the status that took it offline and `offline_received` the journal's, NEVER while it
    is not; `status_at` is
    the newest status' own time; `dead_at` the last tick that found it dead.
    """

    offline_at: Times = field(default_factory=lambda: np.empty(0, np.int64))
    offline_received: Times = field(default_factory=lambda: np.empty(0, np.int64))
    status_at: Times = field(default_factory=lambda: np.empty(0, np.int64))
    dead_at: Times = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def unheard(cls, count: int) -> Self:
        """State of gateways of which nothing was heard."""
        devices, never = Devices.unheard(count), np.full((4, count), NEVER)
        heard = (devices.heard, devices.heard_at, devices.told, devices.onset, devices.known)
        return cls(*heard, never[0], never[1], never[2], never[3])

    def status(self, index: int, event: Event, now: int) -> None:
        """A gateway's status: offline holds until online, whatever is repeated in between.

        A repeated online is no sign of life: the broker keeps the last one and says it to every new session.
        """
        online = event.attributes.get("online")
        if not isinstance(online, bool) or event.at < self.status_at[index]:
            return
        was_offline, known = self.offline_at[index] != NEVER, self.status_at[index] != NEVER
        self.status_at[index] = event.at
        if online and (was_offline or not known):
            self.offline_at[index] = self.offline_received[index] = NEVER
            self.hear(index, event, now)
        elif not online and not was_offline:
            self.offline_at[index], self.offline_received[index] = event.at, now


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
