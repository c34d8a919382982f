"""Alerts that come and go: when one chatters, and what of its re-openings is still told. Pure.

Three activations of one alarm within a minute are chattering by ISA-18.2.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from core.clock import MINUTE


class ChatterPolicy(NamedTuple):
    """`openings` of one rule on one subject within `within` µs are chattering, which lasts until `quiet` µs without.

    Of a life-safety alert people are still told every `told_again` µs.
    """

    openings: int = 3
    within: int = MINUTE
    quiet: int = 10 * MINUTE
    told_again: int = 5 * MINUTE


class Opening(NamedTuple):
    """One earlier episode: when it opened, and since when it was chattering then (None: it was not)."""

    opened_at: int
    chattering: int | None


class ChatterDecision(NamedTuple):
    """`since` is None when it does not chatter; `told` is whether this opening is told to people."""

    since: int | None
    told: Literal["as_usual", "quietly"]
    reason: str


def decide_chattering(
    earlier: Sequence[Opening], now: int, life_safety: bool, told_at: int | None, policy: ChatterPolicy
) -> ChatterDecision:
    """Judge an opening at `now`; `earlier` are the episodes before it, the newest first.

    `told_at` is when people were last told of the ticket that it belongs to. The opening with which it begins is told
    as usual: so are the first three of every alarm.

    >>> policy, second = ChatterPolicy(), 1_000_000
    >>> decide_chattering([Opening(20 * second, None), Opening(0, None)], 40 * second, False, None, policy).reason
    'chattering_begins'
    """
    newest = earlier[0] if earlier else None
    if newest and newest.chattering is not None and 0 <= now - newest.opened_at <= policy.quiet:
        due = life_safety and (told_at is None or not 0 <= now - told_at < policy.told_again)
        return ChatterDecision(newest.chattering, "as_usual" if due else "quietly", "still_chattering")
    recent = [each.opened_at for each in earlier if 0 <= now - each.opened_at <= policy.within]
    if len(recent) + 1 >= policy.openings:
        return ChatterDecision(min(recent, default=now), "as_usual", "chattering_begins")
    return ChatterDecision(None, "as_usual", "seldom")
