"""What any format makes of a message."""

from typing import Any

import msgspec


class Measured(msgspec.Struct, gc=False):
    """Values of one device at one time; `t` in ms UTC, None where the sender gave none."""

    device: str
    values: dict[str, float | bool]
    t: int | float | None = None


class Happened(msgspec.Struct):
    """An event at a device; `t` as in Measured."""

    device: str
    type: str
    t: int | float | None = None
    attributes: dict[str, Any] = {}


class Status(msgspec.Struct):
    """The gateway itself is online or offline."""

    online: bool


class Refused(msgspec.Struct):
    """What could not be read and why. `payload` is a message of its own that can be replayed; None: the whole one."""

    reason: str
    detail: str
    readings: int = 0
    payload: bytes | None = None


Item = Measured | Happened | Status | Refused
