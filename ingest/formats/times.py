"""Times as makers spell them, to milliseconds UTC.

>>> milliseconds("2026-09-21T22:13:20", "local"), milliseconds("2026-09-21T14:13:20.5Z", "iso")
(1790000000000.0, 1790000000500.0)
>>> milliseconds(1790000000, "s"), milliseconds("2026-09-21T22:13:20", "iso"), milliseconds("soon", "ms")
(1790000000000.0, None, None)
"""

from datetime import UTC, datetime, timedelta

from core.clock import SHANGHAI
from ingest.formats.field_map import huge

TIME_FORMATS = ("iso", "local", "ms", "s")
"""ISO 8601 with a zone; the same without one, in China; milliseconds or seconds since 1970."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(value: object, spelled_as: str) -> float | None:
    """Milliseconds UTC, None where the value is no time of that format."""
    if spelled_as in ("ms", "s"):
        return _number(value, 1 if spelled_as == "ms" else 1000)
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value)
        if when.tzinfo is None and spelled_as == "local":
            when = when.replace(tzinfo=SHANGHAI)
        return None if when.tzinfo is None else (when - _EPOCH) / timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None


def _number(value: object, factor: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or huge(value):
        return None
    try:
        return round(float(value) * factor, 3)
    except ValueError:
        return None
