"""Who may come in from outside without signing in, and what proves that it is they."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.lifecycle import Role
from alerts.measurements import Language


class ReceiptDoor(NamedTuple):
    """A channel whose provider pushes receipts: the channel's kind, and the token that its address ends in."""

    kind: str
    token: str


class CardDoor(NamedTuple):
    """A WeCom application whose cards call back: its token, the 43 characters of its key, the enterprise's id."""

    token: str
    aes_key: str
    corp_id: str
    language: Language = "zh"


class SystemDoor(NamedTuple):
    """Another platform: the secret that it signs with, and as whom it may move its tickets."""

    secret: bytes
    role: Role = "leader"


@dataclass(frozen=True)
class Doors:
    """All of them: receipts and cards by channel, platforms by the name that their addresses carry."""

    receipts: Mapping[str, ReceiptDoor] = field(default_factory=dict)
    cards: Mapping[str, CardDoor] = field(default_factory=dict)
    systems: Mapping[str, SystemDoor] = field(default_factory=dict)
