"""Words for what a message holds that can't be read."""

from collections.abc import Sequence


def few(told: Sequence[str], most: int = 5) -> str:
    """The first few of many faults, and how many more there are.

    >>> few(["mode must be a number, not text", "x is too large", "y is too large"], most=1)
    'mode must be a number, not text; and 2 more'
    """
    more = [f"and {len(told) - most} more"] if len(told) > most else []
    return "; ".join([*told[:most], *more])
