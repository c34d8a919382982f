"""Words for what a message holds that can't be read, however much of it there is and however long its names are."""

from collections.abc import Sequence

from ingest.formats.items import Refused

_LONGEST = 500  # characters


def refusal(reason: str, detail: str, readings: int = 0, payload: bytes | None = None) -> Refused:
    """A Refused whose detail is no longer than a person reads.

    >>> len(refusal("wrong_type", "x" * 9_000).detail)
    500
    """
    return Refused(reason, detail if len(detail) <= _LONGEST else f"{detail[: _LONGEST - 1]}…", readings, payload)


def few(told: Sequence[str], most: int = 5) -> str:
    """The first few of many faults, and how many more there are.

    >>> few(["mode must be a number, not text", "x is too large", "y is too large"], most=1)
    'mode must be a number, not text; and 2 more'
    """
    more = [f"and {len(told) - most} more"] if len(told) > most else []
    return "; ".join([*(fault[: _LONGEST // most] for fault in told[:most]), *more])
