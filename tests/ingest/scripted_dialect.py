"""A convention for tests: says by its payload what it becomes, and remembers how many messages it read."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ingest.formats.items import Answer, Happened, Item, Measured, Reach, Remember
from ingest.formats.options import OptionsRefused
from ingest.words import Message


class Scripted:
    """`{"device", "values"}` is measured, `{"device", "online"}` a reach, `{"device", "type"}` an event; any message
    counts. `{"answer": topic}` is answered with the count, `{"durable": false}` is not remembered beyond the process.
    """

    def __init__(self, _gateway: str, options: Mapping[str, Any]) -> None:
        topics = options.get("topics", [])
        if not isinstance(topics, list):
            raise OptionsRefused(["topics: must be a list"])
        self.topics = tuple(topics)

    def decode(self, message: Message, memory: Any = None) -> list[Item]:
        body, count = msgspec.json.decode(message.payload), (memory or 0) + 1
        items: list[Item] = [Remember(count, body.get("durable", True))]
        if "values" in body:
            items.append(Measured(body["device"], body["values"], body.get("t")))
        if "online" in body:
            items.append(Reach(body["device"], body["online"]))
        if "type" in body:
            items.append(Happened(body["device"], body["type"]))
        if "answer" in body:
            items.append(Answer(body["answer"], str(count).encode()))
        return items

    def pack(self, memory: Any) -> bytes:
        return str(memory).encode()

    def unpack(self, packed: bytes) -> Any:
        return int(packed)
