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


class Reach(msgspec.Struct):
    """The gateway says that it reaches a device, or no longer does; `t` as in Measured."""

    device: str
    online: bool
    t: int | float | None = None


class Refused(msgspec.Struct):
    """What could not be read and why. `payload` is a message of its own that can be replayed; None: the whole one."""

    reason: str
    detail: str
    readings: int = 0
    payload: bytes | None = None


class Answer(msgspec.Struct):
    """What the convention wants to be sent back, such as a command to announce everything anew."""

    topic: str
    payload: bytes


class Remember(msgspec.Struct):
    """What the next message of the same gateway is read with; `durable`: it must outlive this process."""

    memory: Any
    durable: bool = True


Item = Measured | Happened | Status | Reach | Refused | Answer | Remember
