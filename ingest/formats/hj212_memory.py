"""What stands between two messages of HJ 212: the beginning of a frame, and the time of a report in several packets."""

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec

from core.clock import SECOND
from ingest.formats.items import Refused
from ingest.words import Message

WAITS = 60 * SECOND
"""µs for which the beginning of a frame waits for its rest."""
MOST = 64
"""Beginnings, and reports, that are kept; of more the newest."""
MOST_BYTES = 64 * 1024
"""Bytes of beginnings that are kept, for each change of them is journalled."""
_Kept = TypeVar("_Kept")


class Partial(msgspec.Struct, frozen=True):
    """The beginning of a frame, and when it came, µs UTC."""

    data: bytes
    since: int


class Memory(msgspec.Struct, frozen=True):
    """Beginnings of frames by topic; DataTime by "MN/QN"."""

    partial: dict[str, Partial] = {}
    times: dict[str, str] = {}

    def pack(self) -> bytes:
        """The bytes of it."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> "Memory":
        """The inverse of `pack`. Raises ValueError for anything else."""
        return msgspec.msgpack.decode(packed, type=cls)


class Joined(NamedTuple):
    """A message behind what its topic's last one left: the bytes, what still waits on other topics, what gave up."""

    stream: bytes
    since: int
    others: dict[str, Partial]
    refused: list[Refused]

    def waiting(self, rest: bytes, message: Message) -> dict[str, Partial]:
        """What waits once the stream is cut: `rest` keeps its age while it reaches back before this message."""
        if not rest:
            return self.others
        since = self.since if len(rest) > len(message.payload) else message.received_at
        kept = newest({**self.others, message.topic: Partial(rest, since)})
        while len(kept) > 1 and sum(len(topic) + len(partial.data) for topic, partial in kept.items()) > MOST_BYTES:
            kept.pop(next(iter(kept)))
        return kept


def joined(memory: Memory, message: Message) -> Joined:
    """The message's bytes behind those that wait for them; a beginning that waited too long, or in vain, is refused."""
    others, refused = dict(memory.partial), list[Refused]()
    for topic, partial in memory.partial.items():
        if not 0 <= message.received_at - partial.since <= WAITS:
            refused.append(incomplete(others.pop(topic).data, "its rest did not come within a minute"))
    begun = others.pop(message.topic, None)
    if begun and message.payload.lstrip().startswith(b"##"):
        refused.append(incomplete(begun.data, "another frame began before its rest came"))
        begun = None
    stream = (begun.data if begun else b"") + message.payload
    return Joined(stream, begun.since if begun else message.received_at, others, refused)


def newest(kept: Mapping[str, _Kept]) -> dict[str, _Kept]:
    """The last MOST of them."""
    return dict(islice(kept.items(), max(0, len(kept) - MOST), None))


def incomplete(data: bytes, why: str) -> Refused:
    """The refusal of the beginning of a frame."""
    return Refused("broken_frame", f"the beginning of a frame: {why}", data.count(b"-Rtd="), data)
