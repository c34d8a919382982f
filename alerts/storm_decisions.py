"""Storm mode: when many sites alarm at once, one incident stands for them. Pure.

Life-safety alerts are never part of a storm: each keeps its own alert, ticket and notices.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from core.clock import MINUTE

STORM_WORTHY = 12
"""Sites, by default."""


class StormPolicy(NamedTuple):
    """So many different `sites` with new alerts of one hazard within `window` µs; over after `quiet` µs without."""

    sites: int = STORM_WORTHY
    window: int = 5 * MINUTE
    quiet: int = 10 * MINUTE


class StormDecision(NamedTuple):
    """`why` holds the counts and limits by which it was decided."""

    action: Literal["none", "join", "declare"]
    reason: str
    why: dict[str, Any]


def decide_storm(
    life_safety: bool, under_way: bool, newest: Mapping[str, int], site: str | None, now: int, policy: StormPolicy
) -> StormDecision:
    """What an alert that opened at `site` is part of; `newest` is by site when its newest alert of the hazard opened.

    >>> policy = StormPolicy(sites=3)
    >>> decide_storm(False, False, {"S1": 0, "S2": 9}, "S3", 9, policy)[:2]
    ('declare', 'many_sites_at_once')
    >>> decide_storm(True, True, {"S1": 0, "S2": 9}, "S3", 9, policy)[:2]
    ('none', 'life_safety_stands_alone')
    """
    if life_safety:
        return StormDecision("none", "life_safety_stands_alone", {})
    if under_way:
        return StormDecision("join", "storm_under_way", {})
    if site is None:
        return StormDecision("none", "no_site", {})
    fresh = {code for code, opened in newest.items() if abs(now - opened) <= policy.window} | {site}
    why = {"sites": len(fresh), "limit": policy.sites, "window": policy.window, "quiet": policy.quiet}
    if len(fresh) < policy.sites:
        return StormDecision("none", "too_few_sites", why)
    return StormDecision("declare", "many_sites_at_once", why)


def storm_over(last_at: int, now: int, policy: StormPolicy) -> bool:
    """Whether a storm's quiet time has passed; a clock that was set back by more than it ends the storm too."""
    return abs(now - last_at) >= policy.quiet
