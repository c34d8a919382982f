"""How gateways spell their messages; a gateway's registration names its format.

A format, given a gateway's code and its registered options, makes the gateway's `Dialect`: it turns messages into items
and never raises; what it can't read becomes a `Refused`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ingest.formats.chirpstack import ChirpStack
from ingest.formats.flat_json import FlatJson
from ingest.formats.hj212 import Hj212
from ingest.formats.items import Item
from ingest.formats.senml import SenML
from ingest.formats.sparkplug_b import SparkplugB
from ingest.formats.thingsboard import ThingsBoard
from ingest.formats.v1 import VersionOne
from ingest.words import Message


class Dialect(Protocol):
    """How one gateway speaks one convention.

    One may also offer `answers`, the filters on which the platform speaks to its gateway, and `holds_state(topic)`:
    whether messages of a topic may be retained, because they are states and no readings.
    """

    @property
    def topics(self) -> tuple[str, ...]:
        """The topic filters on which this gateway's messages arrive."""
        ...

    def decode(self, message: Message, memory: Any = None) -> list[Item]:
        """The items of a message; `memory` is what the last `Remember` of this gateway kept, None before the first.

        Changes nothing: the same message and memory give the same items.
        """
        ...

    def pack(self, memory: Any) -> bytes:
        """A memory as bytes for the journal; of a convention without memory never called."""
        ...

    def unpack(self, packed: bytes) -> Any:
        """The inverse of `pack`. Raises ValueError for what it never packed."""
        ...


class Encodes(Protocol):
    """A dialect that can also write what it reads."""

    def encode(self, items: Sequence[Item]) -> list[tuple[str, bytes]]:
        """Messages (topic, payload) that decode to these items."""
        ...


FORMATS: dict[str, Callable[[str, Mapping[str, Any]], Dialect]] = {
    "v1": VersionOne,
    "sparkplug_b": SparkplugB,
    "thingsboard": ThingsBoard,
    "chirpstack": ChirpStack,
    "senml": SenML,
    "hj212": Hj212,
    "json": FlatJson,
}
"""The conventions by name: `FORMATS[name](gateway, options)`; raises options.OptionsRefused for bad options."""
