"""A host that hears one edge node, for the tests of what it learns."""

from dataclasses import dataclass, field
from typing import Any

from core.clock import SECOND
from ingest.formats.items import Answer, Item, Refused, Remember
from ingest.formats.sparkplug_b import Node, SparkplugB
from ingest.formats.sparkplug_payload import Tag, birth
from ingest.words import Message

NOW = 1_790_000_000 * SECOND
T = NOW // 1000
GAS = "GAS-0001"


@dataclass
class Host:
    """Hears one node and remembers what the dialect wants remembered; a second passes with each message."""

    dialect: SparkplugB = field(default_factory=lambda: SparkplugB("GW-0001", {}))
    memory: Node | None = None
    now: int = NOW
    durable: bool = False

    def hear(self, place: str, payload: bytes, **more: Any) -> list[Item]:
        kind, _, device = place.partition("/")
        topic = f"spBv1.0/shouwang/{kind}/GW-0001" + (f"/{device}" if device else "")
        items = self.dialect.decode(Message(topic, payload, self.now, **more), self.memory)
        self.now += SECOND
        told = [item for item in items if isinstance(item, Remember)]
        self.durable = any(item.durable for item in told)
        self.memory = told[-1].memory if told else self.memory
        return [item for item in items if not isinstance(item, Remember)]

    def born(self, bd_seq: int = 0, t: int = T, *tags: Tag) -> list[Item]:
        return self.hear("NBIRTH", birth(tags, 0, t, bd_seq))


def gas(value: float = 3.25, **more: Any) -> Tag:
    return Tag("gas_lel", value, alias=1, **more)


def asked(items: list[Item]) -> list[str]:
    return [item.topic for item in items if isinstance(item, Answer)]


def reasons(items: list[Item]) -> list[str]:
    return [item.reason for item in items if isinstance(item, Refused)]


def host_of_a_gas_detector() -> Host:
    """A host to which a node with one gas detector was born: their seq were 0 and 1, the alias of gas_lel is 1."""
    host = Host()
    host.born()
    host.hear(f"DBIRTH/{GAS}", birth([gas()], 1, T))
    return host
