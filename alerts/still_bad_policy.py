"""How long an alert may stay open behind a ticket that a person ended as false."""

from dataclasses import dataclass

from core.clock import HOUR, MINUTE

_MOST_DOUBLINGS = 3


@dataclass(frozen=True)
class StillBadPolicy:
    """How long (µs) an alert may stay open behind a ticket that was ended as false or void before it is raised again.

    Each further time it is twice as long, up to eight times.
    """

    life_safety: int = 30 * MINUTE
    others: int = 4 * HOUR

    def wait(self, life_safety: bool, times: int) -> int:
        """The wait of an alert that was raised again so many times.

        >>> [StillBadPolicy().wait(True, times) // MINUTE for times in (0, 1, 2, 3, 9)]
        [30, 60, 120, 240, 240]
        """
        return int((self.life_safety if life_safety else self.others) * 2 ** min(times, _MOST_DOUBLINGS))
