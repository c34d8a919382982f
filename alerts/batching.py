"""How many of the notices that wait for an address go into its next message, and when: pure decisions."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from alerts.channels import Limit, free_at
from core.clock import SECOND

_PATIENCE = SECOND + SECOND // 2  # what a life-safety notice waits at most so that the next goes with it
_KEPT = 2  # one part in so many of a limit is kept for life-safety


class Standing(NamedTuple):
    """How an address stands: when messages went there (µs UTC), and until when its provider wants nothing."""

    sent: Sequence[int] = ()
    held_until: int = 0


class Batch(NamedTuple):
    """How many notices go now, none if 0, and why; `free_at` (µs UTC) is when the next look makes sense."""

    size: int
    reason: Literal["one_each", "several_in_one", "held", "at_limit", "kept_for_life_safety", "paced"]
    free_at: int


def decide_batch(
    life_safety: bool, waiting: int, standing: Standing, limits: Sequence[Limit], most_in_one: int, now: int
) -> Batch:
    """What to do for an address at which `waiting` notices wait, the most urgent of them life-safety or not.

    Each has a message of its own while the limits have room. When they are short, one message lists several, and the
    messages are paced, so that the last of them is not spent on the first second of a storm. Half of each limit is kept
    for life-safety.

    >>> decide_batch(True, 7, Standing(), [Limit(20, 60 * SECOND)], 10, now=0)
    Batch(size=1, reason='one_each', free_at=0)
    >>> decide_batch(True, 25, Standing(), [Limit(20, 60 * SECOND)], 10, now=0)
    Batch(size=10, reason='several_in_one', free_at=0)
    """
    if standing.held_until > now:
        return Batch(0, "held", standing.held_until)
    own = limits if life_safety else [_shared(limit) for limit in limits]
    later = free_at(own, standing.sent, now)
    if later > now:
        kept = not life_safety and free_at(limits, standing.sent, now) <= now
        return Batch(0, "kept_for_life_safety" if kept else "at_limit", later)
    if most_in_one == 1 or not any(_short(limit, standing.sent, waiting, now) for limit in own):
        return Batch(1, "one_each", now)
    paced = max(standing.sent, default=-_PATIENCE) + max(_pace(limit, standing.sent, now) for limit in own)
    if paced > now:
        return Batch(0, "paced", paced)
    size = min(waiting, most_in_one)
    return Batch(size, "several_in_one" if size > 1 else "one_each", now)


def _shared(limit: Limit) -> Limit:
    return limit._replace(messages=limit.messages - limit.messages // _KEPT)


def _used(limit: Limit, sent: Sequence[int], now: int) -> int:
    return sum(moment > now - limit.window for moment in sent)


def _short(limit: Limit, sent: Sequence[int], waiting: int, now: int) -> bool:
    room = limit.messages - _used(limit, sent, now)
    return room * 2 <= limit.messages or waiting > room


def _pace(limit: Limit, sent: Sequence[int], now: int) -> int:
    """The time between two messages: the more of the limit is used, the longer."""
    used = _used(limit, sent, now)
    return min(_PATIENCE, limit.window * used // (2 * limit.messages**2))
