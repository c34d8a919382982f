"""Slows password guessing down: each failure beyond a few doubles the wait, by name and by address."""

import threading
from collections import OrderedDict

from core.clock import MINUTE, SECOND

LONGEST = 15 * MINUTE
REMEMBERED = 10_000


class Throttle:
    """Counts failures by key in memory; `free` of them cost nothing.

    The least recently failed of 10,000 keys is forgotten first.

    >>> throttle = Throttle()
    >>> for second in range(6):
    ...     throttle.failed("G17", second * SECOND)
    >>> throttle.wait("G17", 5 * SECOND) // SECOND
    2
    """

    def __init__(self, free: int = 5) -> None:
        self._free = free
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def wait(self, key: str, now: int) -> int:
        """How long `key` must still wait, µs; 0 when it may try."""
        with self._lock:
            count, last = self._failures.get(key, (0, 0))
        if count < self._free:
            return 0
        return max(0, last + min(LONGEST, SECOND << min(count - self._free, 20)) - now)

    def failed(self, key: str, now: int) -> None:
        """Count one failure."""
        with self._lock:
            count, last = self._failures.pop(key, (0, 0))
            if now - last > 2 * LONGEST:
                count = 0
            self._failures[key] = (count + 1, now)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def passed(self, key: str) -> None:
        """Forget the failures of `key`."""
        with self._lock:
            self._failures.pop(key, None)
