"""What follows an attempt: pure decisions, each with its named reason."""

from typing import Literal, NamedTuple

from alerts.channels import Channel, Outcome
from core.clock import SECOND

_FIRST_WAIT = 2 * SECOND
_LONGEST_WAIT = 60 * SECOND


class Next(NamedTuple):
    """The state a notice takes, when it is tried next (µs UTC; only for queued) and why."""

    state: Literal["accepted", "queued", "failed", "uncertain", "expired"]
    next_try_at: int
    reason: str


def backoff(attempts: int) -> int:
    """The wait (µs) after so many attempts: 2 s, doubled each time, 60 s at most.

    >>> [backoff(n) // SECOND for n in (1, 2, 3, 9)]
    [2, 4, 8, 60]
    """
    return int(min(_FIRST_WAIT * 2 ** min(attempts - 1, 10), _LONGEST_WAIT))


def decide_retry(outcome: Outcome, attempts: int, now: int, not_after: int) -> Next:
    """What becomes of a notice after `attempts` attempts, the last with this outcome.

    A request that nobody knows the end of is uncertain, never tried again here.
    """
    if outcome.state == "accepted":
        return Next("accepted", now, "accepted")
    if outcome.state == "failed":
        return Next("failed", now, "refused_for_good")
    if outcome.state == "uncertain":
        return Next("uncertain", now, "no_answer")
    next_try_at = now + max(outcome.retry_after, backoff(attempts))
    if next_try_at >= not_after:
        return Next("expired", now, "no_time_left")
    return Next("queued", next_try_at, "provider_asked_to_wait" if outcome.retry_after else "try_again")


class Uncertain(NamedTuple):
    """What the decision about an uncertain notice depends on; `shared`: its message listed others too."""

    life_safety: bool
    repeated: bool
    not_after: int
    shared: bool = False


class Settlement(NamedTuple):
    """What to do about an uncertain notice, and why; `leave` shows it as it is."""

    action: Literal["resend", "ask", "next_step", "leave"]
    reason: str


def decide_uncertain(notice: Uncertain, channel: Channel, now: int) -> Settlement:
    """What to do about a notice that may or may not have arrived.

    A provider that deduplicates gets it again, unless it was in a list, which may not come about again as it was; one
    that can be asked is asked; with neither, a life-safety notice is repeated once and says so, and any other goes to
    the next escalation step.
    """
    if now >= notice.not_after:
        return Settlement("leave", "too_late_to_send")
    if channel.deduplicates and not notice.shared:
        return Settlement("resend", "provider_deduplicates")
    if channel.can_ask:
        return Settlement("ask", "provider_can_be_asked")
    if notice.life_safety and not notice.repeated:
        return Settlement("resend", "life_safety_repeats_once")
    return Settlement("next_step", "repeated_already" if notice.life_safety else "not_life_safety")
