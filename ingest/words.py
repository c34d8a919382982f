"""What the broker delivers and what becomes of it: Message → Reading, Event or Reject; readings travel as a Block."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt


class Quality(IntFlag):
    """Flags of a reading, stored with it as uint16; 0 is a plain good reading."""

    GOOD = 0
    OUT_OF_RANGE = 1
    """Outside the device type's physical range."""
    DISORDERED = 2
    """Older than the series' newest reading."""
    AGED = 4
    """Came later after its own time than the device type allows, our own downtime taken off."""
    TIME_REPLACED = 8
    """Its clock was implausible: `at` was shifted so that the batch's newest reading is at receipt."""
    NO_TIME = 16
    """Came without a time: `at` is the time of receipt, delivery is only at-least-once."""
    CLOCK_OFF = 32
    """Its gateway's clock is minutes off: `at` is as sent, lateness was judged by the corrected time."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """What came from the broker: payload bytes under a topic, received at µs UTC. QoS 0 promises nothing.

    `replayed_from` is the first receipt of one that comes again from the dead letters, 0 for all others: what has no
    time of its own stands there, while lateness counts up to the receipt now.
    """

    topic: str
    payload: bytes
    received_at: int
    retained: bool = False
    replayed_from: int = 0
    qos: int = 1

    @property
    def stands_at(self) -> int:
        """Where readings stand that have no usable time of their own, µs UTC."""
        return self.replayed_from or self.received_at


class Event(msgspec.Struct, frozen=True):
    """Something that happened at a device or gateway, or in the platform; its `attributes` are plain JSON values.

    `kind` is "device" or "gateway", `id` its registered code; `at` and `received_at` in µs UTC. The type "status" of a
    gateway carries {"online": bool}; its "clock" and "flooding", and all events of kind "platform" (`id` is the part
    concerned, such as "journal"), carry {"active": bool, "value": float, "limit": float}. Of kind "model" is what the
    platform's models of normal say of the device `id`, {"active": bool} and more.
    """

    kind: str
    id: str
    type: str
    at: int
    received_at: int
    attributes: dict[str, Any] = {}
    quality: int = 0


class Reject(msgspec.Struct, frozen=True):
    """A message, or the part of one, that the gate refused, and why. `readings` counts the values refused with it.

    One record may stand for many `messages` of a gateway: its topic and payload are then the last one's.
    """

    topic: str
    payload: bytes
    received_at: int
    gateway: str
    reason: str
    detail: str
    readings: int = 0
    retained: bool = False
    messages: int = 1


_HEADER = np.dtype("<u4")
_COLUMNS = (("series", "<i4"), ("at", "<i8"), ("received_at", "<i8"), ("value", "<f8"), ("quality", "<u2"))


@dataclass(slots=True)
class Block:
    """Readings as equal-length columns, in order of arrival. Times are µs UTC.

    `shift_rows` and `shifts` list, for the rows whose time was replaced, by how many µs `at` was moved.
    """

    series: npt.NDArray[np.int32]
    at: npt.NDArray[np.int64]
    received_at: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint16]
    shift_rows: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    shifts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def of(
        cls,
        series: Sequence[int],
        at: Sequence[int],
        received_at: Sequence[int],
        value: Sequence[float],
        quality: Sequence[int] | None = None,
    ) -> "Block":
        """A block from plain sequences; quality 0 where none is given.

        >>> Block.of([1, 2], [10, 11], [12, 12], [0.5, 3.25]).value.tolist()
        [0.5, 3.25]
        """
        return cls(
            np.asarray(series, np.int32),
            np.asarray(at, np.int64),
            np.asarray(received_at, np.int64),
            np.asarray(value, np.float64),
            np.zeros(len(series), np.uint16) if quality is None else np.asarray(quality, np.uint16),
        )

    def to_bytes(self) -> bytes:
        """Counts of rows and of shifts, then each column's little-endian bytes.

        >>> block = Block.of([7], [1], [2], [1.5])
        >>> Block.from_bytes(block.to_bytes()).series.tolist()
        [7]
        """
        head = np.array([len(self.series), len(self.shifts)], _HEADER).tobytes()
        columns = [getattr(self, name).astype(kind, copy=False).tobytes() for name, kind in _COLUMNS]
        return b"".join([head, *columns, self.shift_rows.tobytes(), self.shifts.tobytes()])

    @classmethod
    def from_bytes(cls, payload: bytes) -> "Block":
        """The inverse of `to_bytes`; the columns are read-only views of `payload`."""
        rows, shifted = (int(n) for n in np.frombuffer(payload, _HEADER, 2))
        place, columns = 8, {}
        for name, kind in _COLUMNS:
            columns[name] = np.frombuffer(payload, kind, rows, place)
            place += columns[name].nbytes
        shift_rows = np.frombuffer(payload, "<i4", shifted, place)
        shifts = np.frombuffer(payload, "<i8", shifted, place + shift_rows.nbytes)
        return cls(**columns, shift_rows=shift_rows, shifts=shifts)


class Connected(msgspec.Struct, frozen=True, tag="connected"):
    """The platform's session with the broker stands since `at`."""

    at: int


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """The platform hears nothing since `at`; every start journals one as of the last tick."""

    at: int


class RulesChanged(msgspec.Struct, frozen=True, tag="rules"):
    """From here on the rules of this version hold."""

    version: int


class RegistryChanged(msgspec.Struct, frozen=True, tag="registry"):
    """From here on the registry of this version holds: new devices, other states, maintenance on or off."""

    version: int


class Rearm(msgspec.Struct, frozen=True, tag="rearm"):
    """An alert was cleared by hand: a rule that is still violated must announce itself again, with its onset."""

    kind: str
    id: str
    rule: str


class Remembered(msgspec.Struct, frozen=True, tag="remembered"):
    """What the next messages of a gateway are read with, packed by its dialect."""

    gateway: str
    memory: bytes


Control = Connected | Lost | RulesChanged | RegistryChanged | Rearm | Remembered

encode = msgspec.msgpack.Encoder().encode
"""Bytes of an Event, Reject or Control for the journal."""
decode_event = msgspec.msgpack.Decoder(Event).decode
decode_reject = msgspec.msgpack.Decoder(Reject).decode
decode_control = msgspec.msgpack.Decoder(Control).decode
