"""JSON as gateways write it: also Python's NaN and Infinity, 1e999, and integers of any length.

>>> loads(b'{"t": NaN}'), loads(b'[1e999]')
({'t': nan}, [inf])
>>> loads(b'{"t":')
Traceback (most recent call last):
ingest.formats.json_text.NotJson: Input data was truncated
"""

import json
from typing import Any

import msgspec


class NotJson(ValueError):
    """Bytes that are no JSON, hold half a character, or nest deeper than this process can follow."""


def loads(payload: bytes) -> Any:
    """The value. Raises NotJson and nothing else."""
    try:
        return msgspec.json.decode(payload)
    except RecursionError:
        raise NotJson("nested too deeply") from None
    except ValueError as error:
        return _lenient(payload, str(error))


def _lenient(payload: bytes, why: str) -> Any:
    """What Python's own reader makes of it; an integer of any length becomes a float, if need be infinite."""
    try:
        whole = json.loads(payload, parse_int=float)
        json.dumps(whole, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise NotJson(why[:200]) from None  # the path of a fault may be as long as the payload
    return whole
