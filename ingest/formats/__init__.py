"""How gateways spell their messages; a gateway's registration names its format.

A format turns a topic's tail and a payload into items, and never raises: what it can't read becomes a `Refused`.
"""

from typing import Protocol

from ingest.formats.items import Item
from ingest.formats.v1 import VersionOne


class Format(Protocol):
    """One convention."""

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The topic filters on which its messages arrive."""
        ...

    def decode(self, path: list[str], payload: bytes) -> list[Item]:
        """The items of a message; `path` is the topic split at its slashes, behind the gateway's code."""
        ...


FORMATS: dict[str, Format] = {"v1": VersionOne()}
