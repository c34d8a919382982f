"""The journal's port: the one durable line between the broker's acknowledgement and everything else.

A record is bytes of a kind at an offset; what the bytes mean is the business of the packages above. Records are read
in order by named consumers, each with an offset of its own. Offsets are opaque to consumers: compare, store, hand back.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol


class RecordKind(IntEnum):
    """What a record carries."""

    BLOCK = 1
    EVENT = 2
    REJECT = 3
    TICK = 4
    CONTROL = 5


class Offset(NamedTuple):
    """A place in the journal: `n` grows within a partition. `START` is before the first record."""

    partition: int
    n: int


START = Offset(0, 0)


class Entry(NamedTuple):
    """What is appended: a kind, its bytes, and how many readings it stands for (for counting what a quota drops)."""

    kind: RecordKind
    payload: bytes
    weight: int = 0


class Record(NamedTuple):
    """What is read back. `time` is the journal's own, µs UTC: it never goes backwards, nor stands still."""

    offset: Offset
    time: int
    kind: RecordKind
    payload: bytes


class JournalError(Exception):
    """The journal can't serve; nothing was changed."""


class JournalFull(JournalError):
    """The quota or the disk's reserve is reached and nothing may be dropped: try again later, acknowledge nothing."""


class RegistryMismatch(JournalError):
    """The journal belongs to another registry: its series numbers mean other devices."""


class Journal(Protocol):
    """Append, read, wait, acknowledge. `core.sqlite_journal` is the embedded adapter."""

    @property
    def registry_id(self) -> str:
        """The registry whose series numbers the blocks use."""
        ...

    def append(self, entries: Sequence[Entry], now: int) -> Offset:
        """Write a batch, durable when this returns; the offset of its last record. Raises JournalFull."""
        ...

    def read(self, after: Offset, limit: int) -> list[Record]:
        """Up to `limit` records behind `after`, in order; shorter only at the head."""
        ...

    def wait(self, after: Offset, timeout: float) -> bool:
        """Block until a record stands behind `after` or `timeout` seconds passed; whether one does."""
        ...

    def head(self) -> Offset:
        """The offset of the newest record (START when empty)."""
        ...

    def tail(self) -> Offset:
        """The offset just before the oldest record that is kept."""
        ...

    def last_time(self) -> int:
        """The time of the newest record ever appended, 0 when none was."""
        ...

    def acknowledge(self, consumer: str, offset: Offset) -> None:
        """Tell that `consumer` needs nothing at or before `offset` any more; may become durable a little later."""
        ...

    def acknowledged(self, consumer: str) -> Offset:
        """The last offset that `consumer` acknowledged durably, START if it never did."""
        ...

    def close(self) -> None:
        """Release files; acknowledgements so far are durable."""
        ...
